"""Where each run lies in the ring, as a queue that can be searched.

In: (first slot, number of actions) of a run, appended when it is stored, dropped when it is
overwritten. Out: for a number drawn from [0, steps), the step of that rank and its span.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class SpanQueue:
    """A first-in first-out queue of spans with constant-time append and drop.

    The span of a step is found by bisection in the cumulative sum of lengths, which never restarts,
    so that nothing is recomputed when a span is appended or dropped.
    """

    def __init__(self) -> None:
        self._starts = np.zeros(64, dtype=np.int64)
        self._ends = np.zeros(64, dtype=np.int64)  # actions ever appended, up to this span's last
        self._low = 0
        self._high = 0
        self._dropped = 0  # actions ever dropped

    def __len__(self) -> int:
        return self._high - self._low

    @property
    def steps(self) -> int:
        """Number of actions in the queue."""
        return int(self._ends[self._high - 1]) - self._dropped if len(self) else 0

    @property
    def starts(self) -> NDArray[np.int64]:
        """First slots of the spans, oldest first."""
        return self._starts[self._low : self._high]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of actions of each span, oldest first."""
        return np.diff(self._ends[self._low : self._high], prepend=self._dropped)

    @classmethod
    def of(cls, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> SpanQueue:
        """Return a queue of spans with these :attr:`starts` and :attr:`lengths`."""
        queue = cls()
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
            queue.append(start, length)
        return queue

    def append(self, start: int, length: int) -> None:
        """Add the newest span."""
        if self._high == len(self._starts):
            self._compact()
        appended = self._dropped + self.steps
        self._starts[self._high] = start
        self._ends[self._high] = appended + length
        self._high += 1

    def drop_oldest(self) -> None:
        """Remove the oldest span."""
        self._dropped = int(self._ends[self._low])
        self._low += 1

    def locate(
        self, rank: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Find steps by rank, counted from the oldest.

        Args:
            rank: (B,) int64 in [0, steps).

        Returns:
            For each step, the first slot of its span, its own slot, and the slot after that of the
            span's last action.
        """
        ends = self._ends[self._low : self._high] - self._dropped
        row = np.searchsorted(ends, rank, side="right")
        begins = np.where(row > 0, ends[row - 1], 0)
        first = self.starts[row]
        return first, first + (rank - begins), first + (ends[row] - begins)

    def _compact(self) -> None:
        """Move the live spans to the front, into larger arrays if they fill more than half."""
        size = 2 * len(self._starts) if 2 * len(self) > len(self._starts) else len(self._starts)
        for name in ("_starts", "_ends"):
            moved = np.zeros(size, dtype=np.int64)
            moved[: len(self)] = getattr(self, name)[self._low : self._high]
            setattr(self, name, moved)
        self._low, self._high = 0, len(self)
