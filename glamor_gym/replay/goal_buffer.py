"""Goals far apart from each other, kept while frames go by (Warde-Farley et al., 2019, §4.3).

In: frames, one a call. Out: one of the frames kept, each as likely.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glamor_gym.snapshots import Snapshot

_ROWS = 16  # as many frames as stay in a core's cache while they are compared


class GoalBuffer:
    """A fixed number of slots with distance-based substitution.

    The first frames fill the slots. Each later one is held against the frame in a random slot,
    and takes its place if its nearest neighbour in the *other* slots is farther away than that
    frame's own; where there are no others, always. Distances are Euclidean, between pixels.

    Args:
        capacity: number of slots.
        shape: of a frame.
        dtype: of a frame.

    Raises:
        ValueError: `capacity` is below 1.
    """

    def __init__(self, capacity: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be 1 or more, got {capacity}")
        self._frames = np.zeros((capacity, *shape), dtype)
        self._size = 0

    def __len__(self) -> int:
        """Return the number of frames kept."""
        return self._size

    @property
    def frames(self) -> NDArray[Any]:
        """The frames kept, (n, *shape); a view."""
        return self._frames[: self._size]

    def offer(self, frame: NDArray[Any], rng: np.random.Generator) -> None:
        """Keep a frame if there is room, or if it spreads the goals farther than one of them."""
        slot = self._size
        if slot == len(self._frames):
            slot = int(rng.integers(slot))
            has_others = self._size > 1
            if has_others and self._nearest(frame, slot) <= self._nearest(self._frames[slot], slot):
                return
        else:
            self._size += 1
        self._frames[slot] = frame

    def draw(self, count: int, rng: np.random.Generator) -> NDArray[Any]:
        """Return `count` of the frames kept, (count, *shape), drawn with replacement."""
        return self.frames[rng.integers(self._size, size=count)]

    def snapshot(self) -> Snapshot:
        """Return the frames kept, for a checkpoint."""
        return {"frames": self.frames.copy()}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take back what :meth:`snapshot` returned.

        Raises:
            KeyError: it is no snapshot of a goal buffer.
            ValueError: it is one of other frames, or of more than there are slots.
        """
        frames = snapshot["frames"]
        own = self._frames
        if frames.shape[1:] != own.shape[1:] or frames.dtype != own.dtype or len(frames) > len(own):
            raise ValueError(
                f"frames must be {own.dtype} of shape (n, *{own.shape[1:]}) with n up to "
                f"{len(own)}, got {frames.dtype} of {frames.shape}"
            )
        self._size = len(frames)
        self.frames[:] = frames

    def _nearest(self, frame: NDArray[Any], slot: int) -> float:
        """Return the squared distance from a frame to the nearest of the other slots."""
        away = squared_distances(self.frames, frame)
        away[slot] = np.inf
        return float(away.min())


def squared_distances(frames: NDArray[Any], frame: NDArray[Any]) -> NDArray[np.float64]:
    """Return the squared distance of each of `frames`, (n, *shape), from one, (*shape).

    It is exact for whole numbers, and hangs on nothing else that is in `frames`. Differences are
    squared, rather than products subtracted, in which those of near frames would be lost.
    """
    rows = frames.reshape(len(frames), frame.size)
    # Differences of pixels fit two bytes and their squares four, which is twice as fast.
    narrow, wide = (np.int16, np.int32) if frames.dtype == np.uint8 else (np.float64, np.float64)
    other = np.asarray(frame, narrow).reshape(-1)
    away = np.empty(len(rows))
    for first in range(0, len(rows), _ROWS):
        difference = (rows[first : first + _ROWS] - other).astype(wide, copy=False)
        # Not einsum, whose sums hang on where in memory a row begins.
        away[first : first + _ROWS] = np.square(difference, out=difference).sum(axis=1)
    return away
