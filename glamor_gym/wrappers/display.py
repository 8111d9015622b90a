"""Pictures for display: frames and vectors as colour pictures, two of them side by side.

In: frames, uint8 (C, H, W), or vectors with values in [0, 1]. Out: uint8 (H, W, 3).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

MIN_SIDE = 320
"""Minimum length of the longer side of a displayed picture, in pixels."""

_GAP = 8


def to_picture(observation: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a frame, or a vector as a row of gray cells, as uint8 (H, W, 3).

    Values of a vector are clipped to [0, 1], from black to white; frames with neither one nor
    three channels are shown as the mean of their channels.
    """
    if observation.ndim == 1:
        cells = np.round(np.clip(observation, 0.0, 1.0) * 255).astype(np.uint8)
        shown = cells[np.newaxis, :, np.newaxis]
    else:
        shown = np.moveaxis(observation, 0, -1)
        if shown.shape[-1] not in (1, 3):
            shown = shown.mean(axis=-1, keepdims=True).astype(np.uint8)
    return np.broadcast_to(shown, (*shown.shape[:2], 3)).copy()


def side_by_side(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return two pictures side by side in one size, with a white gap between them.

    The size is that of the left one, times the smallest integer factor f for which its longer side
    has at least :data:`MIN_SIDE` pixels.

    Args:
        left: uint8 (H, W, 3).
        right: uint8 (H', W', 3).

    Returns:
        uint8 (f·H, 2·f·W + 8, 3); where a side is odd, with one white row or column more, since
        what many players show is encoded in blocks of 2 × 2 pixels.
    """
    factor = -(-MIN_SIDE // max(left.shape[:2]))
    height, width = factor * left.shape[0], factor * left.shape[1]
    gap = np.full((height, _GAP, 3), 255, np.uint8)
    both = np.concatenate(
        (resized(left, height, width), gap, resized(right, height, width)), axis=1
    )
    missing = ((0, both.shape[0] % 2), (0, both.shape[1] % 2), (0, 0))
    return np.pad(both, missing, constant_values=255)


def resized(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return a picture, uint8 (H, W, 3), in another size; enlarged pixels stay sharp squares."""
    for axis, size in enumerate((height, width)):
        picture = picture.repeat(-(-size // picture.shape[axis]), axis)
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
