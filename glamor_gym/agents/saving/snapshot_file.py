"""Snapshots as files: nested plain data in, one ``.safetensors`` file out, never a pickle.

Arrays and tensors are stored as tensors; the nesting and all other values are JSON in the file's
header.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import save

from glamor_gym.agents.saving.agent_file import tensors_and_metadata
from glamor_gym.snapshots import Snapshot
from glamor_gym.untrusted import DamagedFileError, parse_json

_OUTLINE = "outline"


def encode(snapshot: Mapping[str, Any]) -> bytes:
    """Return a snapshot as the content of a ``.safetensors`` file.

    Raises:
        TypeError: a value or key is not plain data; the message says where.
    """
    tensors: dict[str, torch.Tensor] = {}
    outline = _encode(snapshot, "snapshot", tensors)
    return save(tensors, metadata={_OUTLINE: json.dumps(outline, allow_nan=False)})


def decode(data: bytes) -> Snapshot:
    """Return the snapshot that :func:`encode` wrote. Nothing in it is executed.

    Raises:
        DamagedFileError: `data` is not a snapshot, or is damaged.
    """
    try:
        tensors, metadata = tensors_and_metadata(data)
        snapshot = _decode(parse_json(metadata[_OUTLINE], name="the outline"), tensors)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise DamagedFileError(f"not a snapshot: {error}") from error
    if not isinstance(snapshot, dict):
        raise DamagedFileError(f"not a snapshot: it holds a {type(snapshot).__name__}, not a dict")
    return snapshot


def _encode(value: Any, place: str, tensors: dict[str, torch.Tensor]) -> Any:
    """Return the JSON-able outline of a value; its arrays are added to `tensors`."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or key.startswith("$"):
                raise TypeError(f"{place} must have string keys without a leading $, got {key!r}")
        return {key: _encode(entry, f"{place}[{key!r}]", tensors) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(entry, f"{place}[{i}]", tensors) for i, entry in enumerate(value)]
    if isinstance(value, np.ndarray | np.generic | torch.Tensor):
        name = str(len(tensors))
        if isinstance(value, torch.Tensor):
            tensors[name] = value.detach().cpu().contiguous().clone()
            return {"$tensor": name}
        # A copy in the machine's byte order: safetensors refuses tensors that share memory.
        tensors[name] = torch.from_numpy(np.array(value, value.dtype.newbyteorder("="), order="C"))
        return {"$array" if isinstance(value, np.ndarray) else "$scalar": name}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{place} must be plain data, got {type(value).__name__}")


def _decode(outline: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    if isinstance(outline, list):
        return [_decode(entry, tensors) for entry in outline]
    if not isinstance(outline, dict):
        return outline
    match list(outline.items()):
        case [("$tensor", name)]:
            return tensors[name]
        case [("$array", name)]:
            return tensors[name].numpy()
        case [("$scalar", name)]:
            return tensors[name].numpy()[()]
        case [("$float", text)]:
            return float(text)
    return {key: _decode(entry, tensors) for key, entry in outline.items()}
