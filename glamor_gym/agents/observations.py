"""Checks of what `predict` is given: arrays from a user in, checked batches out.

Networks accept anything of the right shape: a float picture would be scaled down twice and a NaN
would lead to meaningless plans, both silently. Here they raise an error that names the entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray


def as_batch(
    observation: Mapping[str, Any], space: spaces.Dict, keys: tuple[str, ...]
) -> tuple[dict[str, NDArray[Any]], bool]:
    """Check an observation and give it a batch axis.

    Args:
        observation: one observation of `space`, or a batch of them (one more axis in front).
        space: the agent's observation space.
        keys: the entries that are needed; others may be missing.

    Returns:
        The needed entries as a batch, and whether `observation` was a batch.

    Raises:
        ValueError: `observation` is not a dict; an entry is missing, is no array, does not fit its
            space or is not finite; or the batch is empty, or its entries differ in size. The
            message names the entry.
    """
    if not isinstance(observation, Mapping):
        raise ValueError(
            f"observation must be a dict with {', '.join(keys)}, got {type(observation).__name__}"
        )
    batch: dict[str, NDArray[Any]] = {}
    sizes: dict[str, int | None] = {}
    for key in keys:
        if key not in observation:
            raise ValueError(f"observation lacks {key!r}; it has {', '.join(observation)}")
        box = space[key]
        assert isinstance(box, spaces.Box)
        value, sizes[key] = _check_entry(key, observation[key], box)
        batch[key] = value
    if len(set(sizes.values())) > 1:
        raise ValueError(f"observation has entries of different batch sizes: {sizes}")
    is_batch = next(iter(sizes.values())) is not None
    return batch, is_batch


def steps_left_of(
    batch: Mapping[str, NDArray[Any]], horizon: int, taken: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return (B,) steps left, from 1 to `horizon`; without an entry, `horizon` minus `taken`."""
    left = batch["steps_left"][:, 0] if "steps_left" in batch else horizon - taken
    return np.clip(left, 1, horizon).astype(np.int64)


def _check_entry(key: str, value: Any, box: spaces.Box) -> tuple[NDArray[Any], int | None]:
    """Return one entry with a batch axis, and its batch size (None if it had no batch axis)."""
    name = f"observation[{key!r}]"
    try:
        array = np.asarray(value)
    except (RuntimeError, TypeError, ValueError) as error:  # such as a tensor that needs gradients
        raise ValueError(f"{name} must be an array: {error}") from error
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be numeric, got dtype {array.dtype}")
    if box.dtype == np.uint8 and array.dtype != np.uint8:
        raise ValueError(
            f"{name} must be uint8 in [0, 255], got {array.dtype}; the agent scales it itself"
        )
    if array.shape == box.shape:
        size = None
        array = array[None]
    elif array.ndim == len(box.shape) + 1 and array.shape[1:] == box.shape and len(array):
        size = len(array)
    else:
        raise ValueError(
            f"{name} must have shape {box.shape}, or (batch, *{box.shape}); got {array.shape}"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        fitted = array.astype(box.dtype, copy=False)
    if fitted.dtype.kind == "f":
        if not np.isfinite(fitted).all():
            raise ValueError(f"{name} must be finite as {box.dtype}, got NaN or infinity")
    elif fitted is not array and not np.array_equal(fitted, array):
        raise ValueError(f"{name} must be {box.dtype}, got {array.dtype} that it cannot hold")
    return fitted, size
