"""What arguments are replaced by: values near a right one, and values of any other kind."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from hypothesis import strategies as st

NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 7, 255, -(2**31), 2**31, 2**40, 2**63, 2**100, 0.5, -0.5, 1e-300, 1e300,
    math.nan, math.inf, -math.inf, True, False, np.float32(0.5), np.int64(-1), np.uint8(3), 1 + 2j,
)  # fmt: skip
TEXTS = ("", " ", "x", "paper", "auto", "cuda:99", "é\0", "../..", "glamor/Nope-v0", "a" * 300)
OBJECTS = (
    None, b"bytes", [], [1, "a", None], (), (1, 2), {}, {"a": 1}, {1: None}, object, int,
    spaces.Discrete(3), spaces.Box(0, 1, (2,)), spaces.Dict(), torch.zeros(2), Path("nowhere"),
    np.zeros(0), np.zeros((2, 2)), np.array([math.nan]), np.array(["a"]), np.array([None]),
)  # fmt: skip


def replacement(right: Any) -> st.SearchStrategy[Any]:
    """Return a strategy of values to put in the place of a right one."""
    anything = st.sampled_from(NUMBERS + TEXTS + OBJECTS)
    close = list(near(right))
    return st.one_of(st.sampled_from(close), anything) if close else anything


def near(right: Any) -> list[Any]:
    """Return values of the same kind, or almost, of which some are wrong."""
    if isinstance(right, bool):
        return [not right, int(right)]
    if isinstance(right, int | float):
        return [*NUMBERS, right, str(right), [right], np.array(right)]
    if isinstance(right, str):
        return [*TEXTS, right.upper(), f"{right}x", right.encode()]
    if isinstance(right, Path):
        return [right / "deeper", right.parent, str(right), str(right).encode()]
    if isinstance(right, np.ndarray):
        return _near_array(right)
    if isinstance(right, torch.Tensor):
        arrays = _near_array(right.numpy())
        return [torch.from_numpy(array) for array in arrays if array.dtype.kind in "iuf"]
    if isinstance(right, Mapping):
        return _near_mapping(right)
    if isinstance(right, list | tuple):
        kind = type(right)
        items = list(right)
        return [kind(items[:1]), kind(items * 2), kind([*items, None]), kind([None] * len(items))]
    return []


def _near_array(right: np.ndarray) -> list[np.ndarray]:
    changed = [
        right.astype(np.float64),
        right.astype(np.int64),
        right[None],
        right[..., :-1] if right.ndim else right,
        right[:0] if right.ndim else right,
        np.zeros((3, *right.shape), right.dtype),
        right.astype(object),
        np.full_like(right, 1) * -1,
    ]
    if right.dtype.kind == "f":
        changed += [np.full_like(right, np.nan), np.full_like(right, np.inf), right * 1e30]
    return changed


def _near_mapping(right: Mapping[str, Any]) -> list[dict[str, Any]]:
    changed: list[dict[str, Any]] = [{**right, "unknown": 1}]
    for key, value in right.items():
        changed.append({name: entry for name, entry in right.items() if name != key})
        changed += [{**right, key: other} for other in [None, "x", *near(value)]]
    return changed
