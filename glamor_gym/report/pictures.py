"""Lossless pictures and animations of episodes.

In: an :class:`~glamor_gym.types.EpisodeFrames`, or frames of one. Out: files, or data URIs to embed
in a page. The latter have the frames' own size; the page enlarges them without blur.
"""

from __future__ import annotations

import base64
import io
import math
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from glamor_gym.checks import as_choice, as_instance, as_integer, as_path
from glamor_gym.files import write_atomically
from glamor_gym.types import EpisodeFrames

FRAME_MILLISECONDS = 66
LAST_FRAME_MILLISECONDS = 1500
"""The last frame, which decides success, is shown longer before the film repeats."""

REACHED, MISSED = (15, 118, 110), (180, 83, 9)
"""Colours (RGB) of the border around a goal that was reached, and one that was missed."""

_BORDER, _GAP, _MIN_HEIGHT = 3, 4, 160

_MOST_IN_A_ROW = 12
"""Maximum number of entries of a vector that are shown in a single row."""


def picture(frame: NDArray[Any]) -> str:
    """Return one frame as the data URI of a PNG.

    Args:
        frame: uint8 (H, W), or a vector, float32 (d,) with values in [0, 1].
    """
    file = io.BytesIO()
    Image.fromarray(as_gray(frame)).save(file, "PNG", optimize=True)
    return data_uri(file.getvalue(), "image/png")


def write_pictures(episodes: Sequence[EpisodeFrames], folder: str | os.PathLike[str]) -> list[Path]:
    """Write ``goals.png``, a contact sheet of all episodes, and ``goal-<k>.webp``, a film of each.

    Further films of the same goal are named ``goal-<k>-2.webp`` and so on.

    Args:
        episodes: at least one episode, with frames of one size.
        folder: folder of the files; it is created if it does not exist.

    Returns:
        The files, the contact sheet first.

    Raises:
        OSError: a file cannot be written.
        ValueError: `episodes` is empty, or `folder` is not a valid path.
        TypeError: an argument is of the wrong type.
    """
    folder = as_path(folder, name="folder")
    sheet = folder / "goals.png"
    save_picture(contact_sheet(episodes), sheet)
    films: list[Path] = []
    seen: Counter[int] = Counter()
    for episode in episodes:
        seen[episode.goal_index] += 1
        again = "" if seen[episode.goal_index] == 1 else f"-{seen[episode.goal_index]}"
        films.append(folder / f"goal-{episode.goal_index}{again}.webp")
        with write_atomically(films[-1]) as file:
            file.write(animation([_pair(episode, frame) for frame in episode.frames]))
    return [sheet, *films]


def save_picture(pixels: NDArray[np.uint8], path: str | os.PathLike[str]) -> None:
    """Write a picture to a file atomically; missing folders are created.

    Args:
        pixels: uint8 (H, W), or (H, W, 3) in colour.
        path: file with the suffix ``.png`` or ``.webp``, which selects the format; both are
            lossless.

    Raises:
        OSError: the file cannot be written.
        ValueError: `path` is not a valid path, or has another suffix.
        TypeError: `path` is not a path.
    """
    path = as_path(path, name="path")
    kind = as_choice(path.suffix.lower(), (".png", ".webp"), name=f"the suffix of path {path}")
    with write_atomically(path) as file:
        Image.fromarray(pixels).save(file, kind[1:], optimize=True, lossless=True)


def contact_sheet(episodes: Sequence[EpisodeFrames], columns: int = 5) -> NDArray[np.uint8]:
    """Return a picture of all episodes: for each, the goal and the last frame side by side.

    The border around a pair is green if the goal was reached, and amber if it was missed.

    Args:
        episodes: at least one episode, with frames of one size.
        columns: number of pairs per row, at least 1; more than there are episodes is allowed.

    Returns:
        uint8 (H, W, 3).

    Raises:
        ValueError: `episodes` is empty, or `columns` is below 1.
        TypeError: an argument is of the wrong type.
    """
    columns = as_integer(columns, name="columns", low=1)
    for episode in episodes:
        as_instance(episode, EpisodeFrames, name="episodes")
    if len(episodes) == 0:
        raise ValueError("episodes must hold at least one episode, got none")
    columns = min(columns, len(episodes))
    pairs = [_pair(episode, episode.frames[-1]) for episode in episodes]
    pairs += [np.full_like(pairs[0], 255)] * (-len(pairs) % columns)
    height, width = pairs[0].shape[:2]
    rows = np.stack(pairs).reshape(-1, columns, height, width, 3)
    return np.ascontiguousarray(rows.swapaxes(1, 2).reshape(-1, columns * width, 3))


def animation(frames: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> bytes:
    """Return frames, each uint8 (H, W) or (H, W, 3), as a looping lossless WebP."""
    first, *others = map(Image.fromarray, frames)
    file = io.BytesIO()
    first.save(
        file,
        "WEBP",
        save_all=True,
        append_images=others,
        duration=[FRAME_MILLISECONDS] * len(others) + [LAST_FRAME_MILLISECONDS],
        loop=0,
        lossless=True,
    )
    return file.getvalue()


def as_gray(frame: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a frame unchanged, and a vector as gray cells: in a row if short, else in a square.

    Unused cells of the square are black. Values are clipped to [0, 1]; 0 is black, 1 is white.

    Args:
        frame: uint8 (H, W), or float32 (d,).

    Returns:
        uint8 (H, W).
    """
    if frame.ndim == 2:
        return frame
    cells: NDArray[np.uint8] = np.round(np.clip(frame, 0.0, 1.0) * 255).astype(np.uint8)
    side = math.ceil(math.sqrt(cells.size))
    if cells.size <= _MOST_IN_A_ROW and side * side != cells.size:
        return cells[np.newaxis]
    square: NDArray[np.uint8] = np.pad(cells, (0, side * side - cells.size))
    return square.reshape(side, side)


def data_uri(data: bytes, media_type: str) -> str:
    """Return the bytes of a file as a data URI."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def _pair(episode: EpisodeFrames, frame: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the goal next to a frame, enlarged and with a coloured border, uint8 (H, W, 3)."""
    goal, shown = as_gray(episode.goal), as_gray(frame)
    factor = math.ceil(_MIN_HEIGHT / len(goal))
    goal, shown = (part.repeat(factor, 0).repeat(factor, 1) for part in (goal, shown))
    gray = np.hstack([goal, np.full((len(goal), _GAP), 255, np.uint8), shown])
    edge = _GAP + _BORDER
    framed = np.full((gray.shape[0] + 2 * edge, gray.shape[1] + 2 * edge, 3), 255, np.uint8)
    framed[_GAP:-_GAP, _GAP:-_GAP] = REACHED if episode.success else MISSED
    framed[edge:-edge, edge:-edge] = gray[..., np.newaxis]
    return framed
