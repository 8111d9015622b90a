"""Sampling in proportion to priorities by a binary tree of sums, a whole batch at a time.

In: non-negative priorities by slot. Out: for points of the cumulative sum, the slots they lie in.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class SumTree:
    """Priorities of n slots; setting or finding k of them takes O(k log n) operations.

    Both walk the tree level by level, once for the whole batch.

    Args:
        capacity: number of slots, 1 or more, all of priority 0 at first.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._depth = (self.capacity - 1).bit_length()
        self._leaves = 1 << self._depth
        # Node i has the children 2i and 2i + 1; the root is 1, the leaves come last.
        self._sums = np.zeros(2 * self._leaves)

    @property
    def total(self) -> float:
        """Sum of all priorities."""
        return float(self._sums[1])

    def __getitem__(self, slots: NDArray[np.int64] | slice) -> NDArray[np.float64]:
        """Return the priorities of some slots."""
        return self._sums[self._leaves : self._leaves + self.capacity][slots]

    def set(self, slots: NDArray[np.int64], priorities: NDArray[np.float64] | float) -> None:
        """Set the priorities of some slots; of a slot given twice, the last one counts.

        Raises:
            ValueError: a priority is negative or not finite.
        """
        if not np.all(np.isfinite(priorities)) or np.any(np.asarray(priorities) < 0):
            raise ValueError(f"priorities must be finite and 0 or more, got {priorities}")
        nodes = np.asarray(slots) + self._leaves
        self._sums[nodes] = priorities
        for _ in range(self._depth):
            nodes = np.unique(nodes >> 1)
            self._sums[nodes] = self._sums[2 * nodes] + self._sums[2 * nodes + 1]

    def find(self, masses: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return, for each mass in [0, total), the slot whose part of the sum contains it."""
        nodes = np.ones(len(masses), dtype=np.int64)
        left_over = np.array(masses, dtype=np.float64)
        for _ in range(self._depth):
            left = 2 * nodes
            # A mass that rounding carries past the last priority must not go to an empty half.
            goes_right = (left_over >= self._sums[left]) & (self._sums[left + 1] > 0)
            left_over -= np.where(goes_right, self._sums[left], 0.0)
            nodes = left + goes_right
        return nodes - self._leaves
