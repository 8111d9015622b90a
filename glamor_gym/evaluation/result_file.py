"""Keep an evaluation result: one JSON file of figures, and one ``.npz`` of pictures beside it.

In: an :class:`~glamor_gym.types.EvaluationResult`. Out: the same one, read back. Nothing in
either file can execute; a figure that is missing (NaN) is null in the JSON.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from glamor_gym.files import write_atomically
from glamor_gym.types import EpisodeFrames, EvaluationResult


def save_result(result: EvaluationResult, path: str | os.PathLike[str]) -> None:
    """Write a result to `path` (JSON), and its pictures beside it with the suffix ``.npz``.

    Raises:
        OSError: a file cannot be written.
    """
    path = Path(path)
    figures = {
        field.name: getattr(result, field.name)
        for field in dataclasses.fields(result)
        if field.name != "frames"
    }
    figures["frames"] = [
        {"goal_index": episode.goal_index, "success": episode.success} for episode in result.frames
    ]
    pictures = {}
    for index, episode in enumerate(result.frames):
        pictures[f"goal_{index}"] = episode.goal
        pictures[f"frames_{index}"] = episode.frames
    with write_atomically(path.with_suffix(".npz")) as file:
        np.savez_compressed(file, allow_pickle=False, **pictures)
    with write_atomically(path) as file:
        file.write(json.dumps(_nan_as_null(figures), indent=2, allow_nan=False).encode())


def load_result(path: str | os.PathLike[str]) -> EvaluationResult:
    """Read a result that :func:`save_result` wrote.

    Raises:
        OSError: a file cannot be read.
        ValueError: `path` does not hold a result.
    """
    path = Path(path)
    try:
        figures = json.loads(path.read_text())
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as pictures:
            frames = [
                EpisodeFrames(
                    goal=pictures[f"goal_{index}"], frames=pictures[f"frames_{index}"], **row
                )
                for index, row in enumerate(figures.pop("frames"))
            ]
        per_goal = {int(goal): rate for goal, rate in figures.pop("per_goal").items()}
        return EvaluationResult(
            per_goal=per_goal,
            per_label=figures.pop("per_label"),
            frames=frames,
            **{name: _as_read(value) for name, value in figures.items()},
        )
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} does not hold an evaluation result: {error!r}") from error


def _nan_as_null(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, dict):
        return {key: _nan_as_null(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_nan_as_null(item) for item in value]
    return value


def _as_read(value: Any) -> Any:
    """Undo what JSON did to a field: null for NaN, lists for intervals."""
    if isinstance(value, list):
        return tuple(_as_read(item) for item in value)
    return math.nan if value is None else value
