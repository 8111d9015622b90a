"""Agents in files: tensors and a JSON header in one ``.safetensors`` file, never a pickle.

Saving writes beside and renames, so that a file is whole or not there. Loading executes nothing
that is in the file: it reads numbers and JSON, and checks both before anything is built.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from glamor_gym.files import write_atomically

FORMAT = "glamor_gym agent 1"
SUFFIX = ".safetensors"


class AgentFileError(ValueError):
    """A file is no saved agent, is damaged, or holds another kind of agent."""


def with_suffix(path: str | Path) -> Path:
    """Return `path` with ``.safetensors`` appended, unless it ends so already."""
    path = Path(path)
    return path if path.suffix == SUFFIX else path.with_name(path.name + SUFFIX)


def save_tensors(
    path: str | Path, tensors: dict[str, torch.Tensor], header: dict[str, Any]
) -> None:
    """Write tensors and a JSON-able header to ``path`` (see :func:`with_suffix`)."""
    metadata = {"format": FORMAT, "header": json.dumps(header)}
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    data = save(contiguous, metadata=metadata)
    with write_atomically(with_suffix(path)) as file:
        file.write(data)


def load_tensors(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what :func:`save_tensors` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        AgentFileError: it is no saved agent.
    """
    file_path = Path(path) if Path(path).is_file() else with_suffix(path)
    if not file_path.is_file():
        raise FileNotFoundError(f"path {str(path)!r}: there is no such file, nor {file_path}")
    try:
        with safe_open(file_path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise AgentFileError(f"path {str(file_path)!r} is no saved agent of this library")
            header = json.loads(metadata["header"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, json.JSONDecodeError, KeyError, struct.error) as error:
        raise AgentFileError(f"path {str(file_path)!r} is damaged: {error}") from error
    if not isinstance(header, dict):
        raise AgentFileError(f"path {str(file_path)!r} is damaged: its header is no object")
    return tensors, header


def space_to_json(space: spaces.Space[Any]) -> dict[str, Any]:
    """Describe a Box, a Discrete or a Dict of them as JSON-able values.

    Raises:
        ValueError: the space is of another kind.
    """
    if isinstance(space, spaces.Dict):
        return {"dict": {key: space_to_json(entry) for key, entry in space.spaces.items()}}
    if isinstance(space, spaces.Discrete):
        return {"discrete": int(space.n), "start": int(space.start)}
    if isinstance(space, spaces.Box):
        return {
            "box": list(space.shape),
            "dtype": str(space.dtype),
            "low": _bound_to_json(space.low),
            "high": _bound_to_json(space.high),
        }
    raise ValueError(f"space must be a Box, a Discrete or a Dict of them, got {space}")


def space_from_json(description: Any) -> spaces.Space[Any]:
    """Build the space that :func:`space_to_json` described.

    Raises:
        AgentFileError: the description is none.
    """
    try:
        if "dict" in description:
            entries = description["dict"].items()
            return spaces.Dict({key: space_from_json(entry) for key, entry in entries})
        if "discrete" in description:
            return spaces.Discrete(int(description["discrete"]), start=int(description["start"]))
        shape, dtype = tuple(description["box"]), np.dtype(description["dtype"])
        low = np.broadcast_to(np.asarray(description["low"], dtype), shape)
        high = np.broadcast_to(np.asarray(description["high"], dtype), shape)
        return spaces.Box(low, high, shape, dtype.type)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AgentFileError(f"damaged description of a space: {description!r}") from error


def _bound_to_json(bound: np.ndarray[Any, Any]) -> Any:
    """Return one number where all entries of the bound are equal, else nested lists."""
    first = bound.flat[0]
    return first.item() if (bound == first).all() else bound.tolist()
