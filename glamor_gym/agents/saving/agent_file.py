"""Agents as files: tensors and a JSON header in one ``.safetensors`` file, never a pickle.

Saving writes a temporary file and renames it, so that a file is either complete or absent. Loading
executes nothing in the file: it reads numbers and JSON, and checks both before anything is built.
"""

from __future__ import annotations

import io
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from safetensors import SafetensorError
from safetensors.torch import load, save

from glamor_gym.checks import as_integer, as_path
from glamor_gym.files import PathOrStream, content_of, writing_to
from glamor_gym.untrusted import parse_json, read_file

FORMAT = "glamor_gym agent 1"
SUFFIX = ".safetensors"

MAX_FILE_BYTES = 4 * 2**30
MAX_HEADER_BYTES = 16 * 2**20
"""Largest file and largest header that are read; the paper's agent has some 40 MB and 10 KB."""

ZIP_BYTES = b"PK\x03\x04"
"""First bytes of a zip archive."""

MAX_SPACE_ELEMENTS = 2**24
"""Largest number of elements in one entry of an observation, and of actions."""


class AgentFileError(ValueError):
    """A file is not a saved agent, is damaged, or holds another kind of agent."""


def with_suffix(path: str | os.PathLike[str]) -> Path:
    """Return `path` with ``.safetensors`` appended, unless it already ends with it.

    A suffix ``.zip``, which Stable-Baselines3's callbacks append, is replaced.

    Raises:
        TypeError: `path` is not a path.
        ValueError: `path` does not name a file.
    """
    path = as_path(path, name="path")
    if not path.name:
        raise ValueError(f"path must name a file, got {str(path)!r}")
    if path.suffix == ".zip":
        return path.with_suffix(SUFFIX)
    return path if path.suffix == SUFFIX else path.with_name(path.name + SUFFIX)


def file_named(path: str | os.PathLike[str]) -> Path:
    """Return the existing file that `path` names, with or without the suffix; else `path` itself.

    Raises:
        TypeError: `path` is not a path.
        ValueError: `path` holds a null character.
    """
    path = as_path(path, name="path")
    is_short = bool(path.name) and not path.is_file() and with_suffix(path).is_file()
    return with_suffix(path) if is_short else path


def is_zip_archive(path: Path) -> bool:
    """Return whether a file exists and is a zip archive, as which Stable-Baselines3 saves agents.

    Only the first bytes are compared: in a saved agent of this library they would mean a header of
    64 MB. (``zipfile.is_zipfile`` also accepts files that happen to hold its signature in weights.)
    """
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(ZIP_BYTES)) == ZIP_BYTES


def save_tensors(
    path: PathOrStream, tensors: dict[str, torch.Tensor], header: dict[str, Any]
) -> None:
    """Write tensors and a JSON-able header to a stream, or to a path (see :func:`with_suffix`).

    The same tensors and header give the same bytes.

    Raises:
        ValueError: the header is too large to be read, or holds a number that JSON lacks.
    """
    metadata = {"format": FORMAT, "header": json.dumps(header, allow_nan=False)}
    if len(metadata["header"]) > MAX_HEADER_BYTES:
        largest = max(header, key=lambda name: len(json.dumps(header[name])))
        raise ValueError(
            f"an agent's file must have a header of at most {MAX_HEADER_BYTES} bytes; "
            f"its {largest} is too large"
        )
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    data = _in_order(save(contiguous, metadata=metadata))
    target = path if isinstance(path, io.BufferedIOBase) else with_suffix(path)
    with writing_to(target) as file:
        file.write(data)


def _in_order(data: bytes) -> bytes:
    """Return the content of a ``.safetensors`` file with its metadata sorted."""
    size = int.from_bytes(data[:8], "little")
    entries = json.loads(data[8 : 8 + size])
    entries["__metadata__"] = dict(sorted(entries["__metadata__"].items()))
    header = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)  # tensors are aligned
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


def load_tensors(path: PathOrStream) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what :func:`save_tensors` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        AgentFileError: the file is not a saved agent, or is damaged.
    """
    source = path if isinstance(path, io.BufferedIOBase) else file_named(path)
    if isinstance(source, Path) and not source.is_file():
        other = with_suffix(source)
        also = "" if other == source else f", nor {other}"
        raise FileNotFoundError(f"path {str(path)!r}: there is no such file{also}")
    try:
        if isinstance(source, Path):
            return _decode(read_file(source, max_bytes=MAX_FILE_BYTES))
        return _decode(content_of(source, max_bytes=MAX_FILE_BYTES))
    # RuntimeError, TypeError: shapes that PyTorch has no tensors of.
    except (SafetensorError, KeyError, RuntimeError, TypeError, ValueError) as error:
        message = f"path {str(source)!r} is not a saved agent, or is damaged: {error}"
        raise AgentFileError(message) from error


def tensors_and_metadata(content: bytes) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Return what a ``.safetensors`` file of this content holds.

    Raises:
        ValueError: it is no such file, or is damaged; or SafetensorError, RuntimeError or
            TypeError, as safetensors and PyTorch see it.
    """
    tensors = load(content)
    size = int.from_bytes(content[:8], "little")
    return tensors, parse_json(content[8 : 8 + size], name="it").get("__metadata__") or {}


def _decode(content: bytes) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return tensors and header from the content of a file, once they have been checked."""
    if content.startswith(ZIP_BYTES):
        raise ValueError("it is a zip archive, as Stable-Baselines3 saves its agents")
    tensors, metadata = tensors_and_metadata(content)
    if metadata.get("format") != FORMAT:
        raise ValueError("it was not written by this library")
    if len(metadata["header"]) > MAX_HEADER_BYTES:
        raise ValueError(f"its header is larger than {MAX_HEADER_BYTES} bytes")
    header = parse_json(metadata["header"], name="its header")
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(f"{name} is not finite")
    return tensors, header


def space_to_json(space: spaces.Space[Any]) -> dict[str, Any]:
    """Describe a Box, a Discrete or a Dict of them as JSON-able values.

    Raises:
        ValueError: `space` is of another kind, or has too many elements or none.
    """
    if isinstance(space, spaces.Dict):
        return {"dict": {key: space_to_json(entry) for key, entry in space.spaces.items()}}
    if isinstance(space, spaces.Discrete):
        return {"discrete": _as_size(space.n), "start": int(space.start)}
    if isinstance(space, spaces.Box):
        _as_size(math.prod(space.shape))
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
        AgentFileError: `description` is not the description of a space.
    """
    try:
        if "dict" in description:
            entries = description["dict"].items()
            return spaces.Dict({key: space_from_json(entry) for key, entry in entries})
        if "discrete" in description:
            n_actions = _as_size(description["discrete"])
            return spaces.Discrete(n_actions, start=int(description["start"]))
        shape, dtype = tuple(description["box"]), np.dtype(description["dtype"])
        _as_size(math.prod(as_integer(side, name="box", low=1) for side in shape))
        if dtype.kind not in "biuf":
            raise ValueError(f"a Box of {dtype} elements cannot belong to an agent")
        low = np.broadcast_to(np.asarray(description["low"], dtype), shape)
        high = np.broadcast_to(np.asarray(description["high"], dtype), shape)
        return spaces.Box(low, high, shape, dtype.type)
    except AgentFileError:
        raise
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise AgentFileError(
            f"damaged description of a space ({error}): {str(description)[:200]}"
        ) from error


def _as_size(elements: Any) -> int:
    """Return the number of elements of a space if it is one that a file may describe."""
    return as_integer(elements, name="number of elements", low=1, high=MAX_SPACE_ELEMENTS)


def _bound_to_json(bound: np.ndarray[Any, Any]) -> Any:
    """Return one number if all entries of the bound are equal, else nested lists.

    JSON has no infinite numbers: if an entry is infinite, all are strings, such as ``"-inf"``.
    """
    numbers = bound.flat[0] if (bound == bound.flat[0]).all() else bound
    return (numbers if np.isfinite(numbers).all() else numbers.astype(str)).tolist()
