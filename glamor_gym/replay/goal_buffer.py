"""Goals far apart from each other, kept while frames go by (Warde-Farley et al., 2019, §4.3).

In: frames, one a call. Out: one of the frames kept, each as likely.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glamor_gym.snapshots import Snapshot


class GoalBuffer:
    """A fixed number of slots with distance-based substitution.

    The first frames fill the slots. Each later one is held against the frame in a random slot,
    and takes its place if its nearest neighbour in the *other* slots is farther away than that
    frame's own. Distances are Euclidean, between pixels.

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
        self._points = np.zeros((capacity, int(np.prod(shape))), np.float32)
        self._squares = np.zeros(capacity, np.float32)
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
            candidate = np.asarray(frame, np.float32).reshape(-1)
            new, old = self._distances(np.stack((candidate, self._points[slot])), slot)
            if new <= old:
                return
        else:
            self._size += 1
        self._put(slice(slot, slot + 1), np.asarray(frame)[None])

    def draw(self, count: int, rng: np.random.Generator) -> NDArray[Any]:
        """Return `count` of the frames kept, (count, *shape), drawn with replacement."""
        return self.frames[rng.integers(self._size, size=count)]

    def _distances(self, points: NDArray[np.float32], slot: int) -> NDArray[np.float32]:
        """Return the squared distances from points (k, d) to the nearest of the other slots."""
        # |a − b|² = a² + b² − 2 a·b: the frames are read once, for all points together.
        away = self._squares[: self._size] - 2 * points @ self._points[: self._size].T
        away[:, slot] = np.inf
        nearest: NDArray[np.float32] = away.min(axis=1) + np.einsum("kd,kd->k", points, points)
        return nearest

    def _put(self, slots: slice, frames: NDArray[Any]) -> None:
        points = frames.reshape(len(frames), self._points.shape[1]).astype(np.float32)
        self._frames[slots], self._points[slots] = frames, points
        self._squares[slots] = np.einsum("kd,kd->k", points, points)

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
        self._put(slice(0, self._size), frames)
