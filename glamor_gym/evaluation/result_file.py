"""Save and load evaluation results: a JSON file, and an ``.npz`` of the frames beside it.

In: an :class:`~glamor_gym.types.EvaluationResult`. Out: the same result, read back. Loading either
file executes no code; NaN is null in the JSON. The JSON holds the hash of its ``.npz``
(``frames_sha256``), as a process may end after writing only one of the two.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glamor_gym.files import write_atomically, write_text
from glamor_gym.types import EpisodeFrames, EvaluationResult
from glamor_gym.untrusted import check_fields, open_npz, read_json

MAX_PICTURE_BYTES = 2**30
"""Maximum size of the frames of a result: about a thousand long episodes."""

_NPY_HEADER_BYTES = 128


def save_result(result: EvaluationResult, path: str | os.PathLike[str]) -> None:
    """Write a result to `path` (JSON), and its frames to the same path with the suffix ``.npz``.

    Of frames larger than :data:`MAX_PICTURE_BYTES`, only the first episodes are written.

    Raises:
        OSError: a file cannot be written.
        ValueError: `path` does not name a file, or ends in ``.npz``.
        TypeError: an argument is of the wrong type.
    """
    path = _file(path)
    figures = {
        field.name: getattr(result, field.name)
        for field in dataclasses.fields(result)
        if field.name != "frames"
    }
    figures["frames"], pictures, size = [], {}, 0
    for index, episode in enumerate(result.frames):
        size += episode.goal.nbytes + episode.frames.nbytes + 2 * _NPY_HEADER_BYTES
        if size > MAX_PICTURE_BYTES:
            break
        figures["frames"].append({"goal_index": episode.goal_index, "success": episode.success})
        pictures[f"goal_{index}"] = episode.goal
        pictures[f"frames_{index}"] = episode.frames
    archive = io.BytesIO()
    np.savez_compressed(archive, **pictures)  # type: ignore[arg-type]
    figures["frames_sha256"] = hashlib.sha256(archive.getbuffer()).hexdigest()
    with write_atomically(path.with_suffix(".npz")) as file:
        file.write(archive.getbuffer())
    write_text(path, json.dumps(_nan_as_null(figures), indent=2, allow_nan=False))


def load_result(path: str | os.PathLike[str], *, frames: bool = True) -> EvaluationResult:
    """Read a result that :func:`save_result` wrote.

    Args:
        path: the JSON file.
        frames: whether to read the frames, which may take many megabytes.

    Returns:
        The result; its ``frames`` are empty if they are not to be read, or the ``.npz`` is
        missing or belongs to another result.

    Raises:
        OSError: a file cannot be read.
        ValueError: `path` does not hold a result.
    """
    path = _file(path)
    try:
        figures = read_json(path)
        rows, digest = figures.pop("frames"), figures.pop("frames_sha256")
        episodes = _episodes(path.with_suffix(".npz"), rows, digest) if frames else []
        result = EvaluationResult(
            per_goal=_by_goal(figures.pop("per_goal")),
            distances=_by_goal(figures.pop("distances")),
            per_label=figures.pop("per_label"),
            frames=episodes,
            **{name: _as_read(value) for name, value in figures.items()},
        )
        check_fields(result)
        return result
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} does not hold an evaluation result: {error!r}") from error


def _by_goal(figures: Any) -> dict[int, float]:
    """Return values by goal index; JSON stores the indices as strings."""
    return {int(goal): figure for goal, figure in figures.items()}


def _file(path: str | os.PathLike[str]) -> Path:
    """Return `path` as a path whose suffix can be replaced by ``.npz``.

    Raises:
        ValueError: it does not name a file, or ends in ``.npz``.
    """
    if not Path(path).name:
        raise ValueError(f"path must name a file, got {str(path)!r}")
    if Path(path).suffix == ".npz":
        raise ValueError(f"path must not end in .npz, which the frames use, got {str(path)!r}")
    return Path(path)


def _episodes(path: Path, rows: Any, digest: str) -> list[EpisodeFrames]:
    """Return the recorded episodes; none if their file is missing or has another hash.

    Args:
        path: the ``.npz`` file.
        rows: the other fields of each episode.
        digest: SHA-256 of the file.
    """
    if not path.is_file():
        return []
    with path.open("rb") as file:
        if digest != hashlib.file_digest(file, "sha256").hexdigest():
            return []
    with open_npz(path, max_bytes=MAX_PICTURE_BYTES) as pictures:
        return [
            _episode(row, pictures.read(f"goal_{index}"), pictures.read(f"frames_{index}"))
            for index, row in enumerate(rows)
        ]


def _episode(row: Any, goal: NDArray[Any], frames: NDArray[Any]) -> EpisodeFrames:
    """Return one recorded episode; its `goal_index` becomes part of file names.

    Raises:
        ValueError: a field has the wrong type, shape or dtype.
    """
    episode = EpisodeFrames(goal=goal, frames=frames, **row)
    if type(episode.goal_index) is not int or type(episode.success) is not bool:
        raise ValueError(f"an episode must have an int goal_index and a bool success, got {row}")
    if goal.ndim not in (1, 2) or not len(frames) or frames.shape[1:] != goal.shape:
        raise ValueError(
            "the pictures of an episode must be a goal (H, W) or (d,) and frames (L, *goal.shape), "
            f"got the shapes {goal.shape}, {frames.shape}"
        )
    if {goal.dtype, frames.dtype} != {np.dtype(np.float32 if goal.ndim == 1 else np.uint8)}:
        raise ValueError(
            "the pictures of an episode must be uint8 images or float32 vectors, "
            f"got the dtypes {goal.dtype}, {frames.dtype}"
        )
    return episode


def _nan_as_null(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, dict):
        return {key: _nan_as_null(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_nan_as_null(item) for item in value]
    return value


def _as_read(value: Any) -> Any:
    """Return a JSON value as a field: null as NaN, and a list as a tuple (an interval)."""
    if isinstance(value, list):
        return tuple(_as_read(item) for item in value)
    return math.nan if value is None else value
