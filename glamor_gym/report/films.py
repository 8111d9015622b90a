"""Films of episodes, embedded in a page or written to a file.

In: frames. Out: a :class:`Film` (a VP9 video, which every browser plays, or an animated WebP if the
encoder, ``imageio-ffmpeg``, is not installed), or a file in one of :data:`FORMATS`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from fractions import Fraction
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
"""Minimum height of a film in pixels; smaller frames are enlarged without blur."""

MOST_FPS = 100
"""Maximum frames per second of a film in a file."""


class Encoding(NamedTuple):
    """How frames are encoded.

    Attributes:
        codec: FFmpeg's name of the codec.
        pixels: FFmpeg's name of the pixel format.
        options: further command-line options of FFmpeg.
    """

    codec: str
    pixels: str
    options: tuple[str, ...]


_VP9 = Encoding("libvpx-vp9", "yuv420p", ("-crf", "18", "-b:v", "0", "-cpu-used", "4"))

FORMATS: Mapping[str, Encoding] = MappingProxyType(
    {
        ".mp4": Encoding("libx264", "yuv420p", ("-crf", "18", "-movflags", "+faststart")),
        ".webm": _VP9,
        # One palette per frame: a common one could be computed only after the last frame.
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
"""File suffix → encoding of a film."""


class Film(NamedTuple):
    """A film as a data URI, and whether it is a video (or else an animated image)."""

    uri: str
    is_video: bool


def film(frames: NDArray[Any]) -> Film:
    """Return the frames of an episode as a film that loops and pauses on the last frame.

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
        OSError: the encoder is not installed, or failed.
    """
    factor = -(-SMALLEST // frames.shape[1])
    large = frames.repeat(factor, 1).repeat(factor, 2)
    # Chrominance is stored at half the resolution, so height and width must be even.
    even = np.pad(large, ((0, 0), *((0, size % 2) for size in large.shape[1:])), "edge")
    rest = LAST_FRAME_MILLISECONDS // FRAME_MILLISECONDS
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "film.webm"
        _encode((*even, *[even[-1]] * rest), file, _VP9, fps=1000 / FRAME_MILLISECONDS)
        return file.read_bytes()


def write_film(
    frames: Iterable[NDArray[np.uint8]], path: str | os.PathLike[str], *, fps: int
) -> None:
    """Encode frames to a film as they arrive; the file appears when all are encoded.

    Args:
        frames: uint8 (H, W, 3) in RGB, at least one, all of the same even height and width.
        path: file with a suffix of :data:`FORMATS`; an existing file is replaced.
        fps: frames per second, from 1 to :data:`MOST_FPS`.

    Raises:
        ValueError: `path` has another suffix, there are no frames, their sizes differ, or `fps` is
            out of range.
        TypeError: `fps` is not an integer, or `path` is not a path.
        OSError: the file cannot be written, or the encoder is not installed or failed.
    """
    path = as_path(path, name="path")
    fps = as_integer(fps, name="fps", low=1, high=MOST_FPS)
    ending = as_choice(path.suffix.lower(), tuple(FORMATS), name=f"the suffix of path {path}")
    with write_atomically(path) as file, tempfile.TemporaryDirectory() as folder:
        encoded = Path(folder) / path.name
        _encode(frames, encoded, FORMATS[ending], fps)
        file.write(encoded.read_bytes())


def _encode(
    frames: Iterable[NDArray[np.uint8]], file: Path, encoding: Encoding, fps: float
) -> None:
    """Encode frames, (H, W) or (H, W, 3) with H and W even, to a file.

    Raises:
        ValueError: there are no frames, or their sizes differ.
        OSError: the encoder is not installed, or failed.
    """
    program = _ffmpeg()
    remaining = iter(frames)
    first = next(remaining, None)
    if first is None:
        raise ValueError("frames must hold at least one frame, got none")
    # `imageio_ffmpeg.write_frames` would not tell that FFmpeg failed.
    with tempfile.TemporaryFile() as log:
        encoder = subprocess.Popen(
            [program, *_arguments(first, file, encoding, fps)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=log,
            process_group=0,  # Ctrl-C is for this process, which then ends FFmpeg
        )
        assert encoder.stdin is not None
        took_all = True
        try:
            for frame in itertools.chain([first], remaining):
                if frame.shape != first.shape:
                    raise ValueError(
                        f"frames must all be of one size, got {first.shape} and {frame.shape}"
                    )
                try:
                    encoder.stdin.write(np.ascontiguousarray(frame).data)
                    encoder.stdin.flush()
                except OSError:  # FFmpeg has ended; its log tells why
                    took_all = False
                    break
        except BaseException:
            encoder.kill()
            raise
        finally:
            with contextlib.suppress(OSError):
                encoder.stdin.close()
            encoder.wait()
        if encoder.returncode or not took_all:
            log.seek(0)
            told = log.read().decode(errors="replace").strip() or "no message"
            raise OSError(f"FFmpeg failed with exit code {encoder.returncode}: {told}")


def _ffmpeg() -> str:
    """Return the path of the FFmpeg program.

    Raises:
        OSError: it is not installed.
    """
    try:
        import imageio_ffmpeg

        program: str = imageio_ffmpeg.get_ffmpeg_exe()  # some builds come without FFmpeg
    except (ImportError, RuntimeError) as error:
        raise OSError(f"a film needs imageio-ffmpeg with its FFmpeg program: {error}") from error
    return program


def _arguments(
    first: NDArray[np.uint8], file: Path, encoding: Encoding, fps: float
) -> tuple[str, ...]:
    """Return FFmpeg's arguments for encoding frames like `first`, read from its standard input."""
    height, width = first.shape[:2]
    return (
        "-y", "-v", "error",
        "-f", "rawvideo", "-vcodec", "rawvideo", "-s", f"{width}x{height}",
        "-pix_fmt", "gray" if first.ndim == 2 else "rgb24",
        "-r", str(Fraction(fps).limit_denominator()), "-i", "-", "-an",
        "-vcodec", encoding.codec, "-pix_fmt", encoding.pixels, *encoding.options,
        "-threads", "1", str(file),
    )  # fmt: skip
