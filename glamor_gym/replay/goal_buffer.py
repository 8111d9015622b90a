"""Goals far apart from each other, from a stream of frames (Warde-Farley et al., 2019, §4.3).

In: frames, one per call. Out: frames drawn uniformly from those kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glamor_gym.replay.frame_ring import map_array
from glamor_gym.snapshots import Snapshot

_ROWS = 16  # frames compared at a time, few enough to stay in a core's cache


class GoalBuffer:
    """A fixed number of slots with distance-based substitution.

    The first frames fill the slots. Each later one is compared with the frame in a random slot, and
    replaces it if its nearest neighbour in the *other* slots is farther away than that frame's own;
    always if there are no other slots. Distances are Euclidean, between pixels.

    Args:
        capacity: number of slots, 1 or more.
        shape: shape of a frame.
        dtype: dtype of a frame.

    Raises:
        ValueError: `capacity` is too large for an array of frames.
    """

    def __init__(self, capacity: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._frames = map_array((capacity, *shape), dtype, setting="goal_buffer_size")
        self._size = 0

    def __len__(self) -> int:
        """Return the number of frames kept."""
        return self._size

    @property
    def frames(self) -> NDArray[Any]:
        """The frames kept, (n, *shape); a view."""
        return self._frames[: self._size]

    def offer(self, frame: NDArray[Any], rng: np.random.Generator) -> None:
        """Keep a frame if a slot is free, or instead of one that is nearer to the others."""
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
        """Restore what :meth:`snapshot` returned.

        Raises:
            KeyError: `snapshot` is not a snapshot of a goal buffer.
            ValueError: its frames have another shape or dtype, or are more than there are slots.
        """
        frames = snapshot["frames"]
        own = self._frames
        if frames.shape[1:] != own.shape[1:] or frames.dtype != own.dtype:
            raise ValueError(
                f"frames must be {own.dtype} of shape (n, *{own.shape[1:]}), got {frames.dtype} "
                f"of shape {frames.shape}"
            )
        if len(frames) > len(own):
            raise ValueError(
                f"capacity (an agent's goal_buffer_size) must be at least {len(frames)}, the "
                f"number of frames in the snapshot, got {len(own)}"
            )
        self._size = len(frames)
        self.frames[:] = frames

    def _nearest(self, frame: NDArray[Any], slot: int) -> float:
        """Return the squared distance from a frame to the nearest of the other slots."""
        away = squared_distances(self.frames, frame)
        away[slot] = np.inf
        return float(away.min())


def squared_distances(frames: NDArray[Any], frame: NDArray[Any]) -> NDArray[np.float64]:
    """Return the squared distance of each of `frames`, (n, *shape), from `frame`, (*shape).

    Each distance is exact for whole numbers and does not depend on the other frames. Differences
    are squared; expanding the square would lose small distances to cancellation.
    """
    rows = frames.reshape(len(frames), frame.size)
    # Differences of pixels fit in two bytes and their squares in four, which is twice as fast.
    narrow, wide = (np.int16, np.int32) if frames.dtype == np.uint8 else (np.float64, np.float64)
    other = np.asarray(frame, narrow).reshape(-1)
    away = np.empty(len(rows))
    for first in range(0, len(rows), _ROWS):
        difference = (rows[first : first + _ROWS] - other).astype(wide, copy=False)
        # Not einsum, whose sums depend on where in memory a row begins.
        away[first : first + _ROWS] = np.square(difference, out=difference).sum(axis=1)
    return away
