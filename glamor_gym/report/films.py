"""Films of episodes, held by the page in itself.

In: the frames of an episode. Out: a :class:`Film`: a VP9 video, which every browser plays, or an
animated WebP where the optional encoder (``imageio-ffmpeg``) is not installed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from glamor_gym.report.pictures import (
    FRAME_MILLISECONDS,
    LAST_FRAME_MILLISECONDS,
    animation,
    as_gray,
    data_uri,
)

SMALLEST = 80
"""Pixels that a film is high at least; smaller frames are enlarged without blur."""


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
    except (ImportError, OSError):
        return Film(data_uri(animation(shown), "image/webp"), is_video=False)


def _vp9(frames: NDArray[np.uint8]) -> bytes:
    """Encode frames (L, H, W) as VP9 in WebM.

    Raises:
        ImportError: there is no encoder.
        OSError: the encoder failed.
    """
    import imageio_ffmpeg

    factor = -(-SMALLEST // frames.shape[1])
    large = frames.repeat(factor, 1).repeat(factor, 2)
    # Chrominance is kept at half the resolution, which an odd size does not have.
    even = np.pad(large, ((0, 0), *((0, size % 2) for size in large.shape[1:])), "edge")
    rest = LAST_FRAME_MILLISECONDS // FRAME_MILLISECONDS
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "film.webm"
        encoder = imageio_ffmpeg.write_frames(
            file,
            even.shape[:0:-1],
            fps=1000 / FRAME_MILLISECONDS,
            codec="libvpx-vp9",
            pix_fmt_in="gray",
            pix_fmt_out="yuv420p",
            macro_block_size=2,
            quality=None,
            output_params=["-crf", "18", "-b:v", "0", "-cpu-used", "4", "-threads", "1"],
        )
        encoder.send(None)
        for frame in (*even, *[even[-1]] * rest):
            encoder.send(np.ascontiguousarray(frame))
        encoder.close()
        return file.read_bytes()
