"""Films: of an episode, held by a page in itself; of anything, in a file.

In: frames. Out: a :class:`Film`: a VP9 video, which every browser plays, or an animated WebP
where the encoder (``imageio-ffmpeg``) is not installed; or a file of one of :data:`FORMATS`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from glamor_gym.checks import as_choice, as_integer, as_path
from glamor_gym.files import write_atomically
from glamor_gym.report.pictures import (
    FRAME_MILLISECONDS,
    LAST_FRAME_MILLISECONDS,
    animation,
    as_gray,
    data_uri,
)

SMALLEST = 80
"""Pixels that a film is high at least; smaller frames are enlarged without blur."""


MOST_FPS = 100
"""Most frames a second of a film in a file."""


class Encoding(NamedTuple):
    """How frames are encoded.

    Attributes:
        codec: FFmpeg's name of it.
        pixels: in which format pixels are kept.
        options: further words for FFmpeg.
    """

    codec: str
    pixels: str
    options: tuple[str, ...]


_VP9 = Encoding("libvpx-vp9", "yuv420p", ("-crf", "18", "-b:v", "0", "-cpu-used", "4"))

FORMATS: Mapping[str, Encoding] = MappingProxyType(
    {
        ".mp4": Encoding("libx264", "yuv420p", ("-crf", "18", "-movflags", "+faststart")),
        ".webm": _VP9,
        # A palette for each frame: one for all would have to wait for the last of them.
        ".gif": Encoding(
            "gif",
            "pal8",
            (
                "-filter_complex",
                "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1:dither=none",
            ),
        ),
    }
)
"""By the ending of a file's name, how a film in it is encoded."""


class Film(NamedTuple):
    """A film as a data URI, and whether it is a video (else it is a picture that moves)."""

    uri: str
    is_video: bool


def film(frames: NDArray[Any]) -> Film:
    """Return the frames of an episode as an endless film that rests at its end.

    Args:
        frames: uint8 (L, H, W), or vectors, float32 (L, d) with values in [0, 1]; L ≥ 1.
    """
    shown = np.stack([as_gray(frame) for frame in frames])
    try:
        return Film(data_uri(_vp9(shown), "video/webm"), is_video=True)
    except OSError:
        return Film(data_uri(animation(shown), "image/webp"), is_video=False)


def _vp9(frames: NDArray[np.uint8]) -> bytes:
    """Encode frames (L, H, W) as VP9 in WebM.

    Raises:
        OSError: there is no encoder, or it failed.
    """
    factor = -(-SMALLEST // frames.shape[1])
    large = frames.repeat(factor, 1).repeat(factor, 2)
    # Chrominance is kept at half the resolution, which an odd size does not have.
    even = np.pad(large, ((0, 0), *((0, size % 2) for size in large.shape[1:])), "edge")
    rest = LAST_FRAME_MILLISECONDS // FRAME_MILLISECONDS
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "film.webm"
        _encode((*even, *[even[-1]] * rest), file, _VP9, fps=1000 / FRAME_MILLISECONDS)
        return file.read_bytes()


def write_film(
    frames: Iterable[NDArray[np.uint8]], path: str | os.PathLike[str], *, fps: int
) -> None:
    """Write frames to a film as they come; the file is there once all have come.

    Args:
        frames: uint8 (H, W, 3) in RGB, all of one size with H and W even; at least one.
        path: ends as one of :data:`FORMATS`; what is there is replaced.
        fps: frames a second, from 1 to :data:`MOST_FPS`.

    Raises:
        ValueError: `path` ends otherwise, there are no frames or not of one size, or `fps` is out
            of range.
        TypeError: `fps` is no integer, or `path` no path.
        OSError: the file cannot be written, there is no encoder, or it failed.
    """
    path = as_path(path, name="path")
    fps = as_integer(fps, name="fps", low=1, high=MOST_FPS)
    ending = as_choice(path.suffix.lower(), tuple(FORMATS), name=f"the ending of path {path}")
    with write_atomically(path) as file, tempfile.TemporaryDirectory() as folder:
        encoded = Path(folder) / path.name
        _encode(frames, encoded, FORMATS[ending], fps)
        with encoded.open("rb") as whole:
            shutil.copyfileobj(whole, file)


def _encode(
    frames: Iterable[NDArray[np.uint8]], file: Path, encoding: Encoding, fps: float
) -> None:
    """Encode frames, (H, W) or (H, W, 3) and of even size, to a file.

    Raises:
        ValueError: there are none, or they are not of one size.
        OSError: there is no encoder, or it failed.
    """
    try:
        import imageio_ffmpeg

        imageio_ffmpeg.get_ffmpeg_exe()  # which some builds of the package come without
    except (ImportError, RuntimeError) as error:
        raise OSError(f"a film needs imageio-ffmpeg, which is not here whole: {error}") from error

    coming = iter(frames)
    first = next(coming, None)
    if first is None:
        raise ValueError("frames must hold at least one, got none")
    encoder = imageio_ffmpeg.write_frames(
        file,
        first.shape[1::-1],
        fps=fps,
        codec=encoding.codec,
        pix_fmt_in="gray" if first.ndim == 2 else "rgb24",
        pix_fmt_out=encoding.pixels,
        macro_block_size=2,
        quality=None,
        ffmpeg_log_level="error",
        output_params=[*encoding.options, "-threads", "1"],
    )
    with contextlib.closing(encoder):
        encoder.send(None)
        for frame in itertools.chain([first], coming):
            if frame.shape != first.shape:
                raise ValueError(f"frames must be of one size, got {first.shape} and {frame.shape}")
            encoder.send(np.ascontiguousarray(frame))
