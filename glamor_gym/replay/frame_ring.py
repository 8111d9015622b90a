"""A ring of moments: whole runs of frames in, observations at any slot out.

In: the moments of one episode at a time, each frame once. Out: where a step lies, and what was
observed there.

A run occupies consecutive slots. Pictures are kept as single frames (8,320 bytes each at 80×104);
stacks are rebuilt when they are asked for, with zeros before the first frame. The ring's memory
is mapped without being reserved, so that it is taken as it fills.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from glamor_gym.checks import as_integer
from glamor_gym.replay.spans import SpanQueue
from glamor_gym.snapshots import Snapshot


class FrameRing:
    """Keeps the latest runs of moments, dropping the oldest ones that are in the way.

    Args:
        capacity: number of moments (frames) kept.
        observation_space: a Dict with ``observation`` and ``achieved_goal``. Where the first is
            uint8 (S, H, W) and the second uint8 (1, H, W), observations may be stacks of the last
            S achieved frames, which the first run tells; such are not stored.
        keep_goals: whether a run comes with a goal, which is kept in the slot before its frames.

    Attributes:
        runs_written: how many runs were ever stored; runs are numbered from 0 in that order.

    Raises:
        ValueError: `capacity` is below 2, or the spaces are not those of a goal environment.
    """

    def __init__(
        self, capacity: int, observation_space: spaces.Dict, *, keep_goals: bool = False
    ) -> None:
        capacity = as_integer(capacity, name="capacity", low=2)
        observation, achieved = _goal_spaces(observation_space)
        self.capacity = capacity
        self.goal_slots = int(keep_goals)
        self.stack_size = _stack_size(observation, achieved)
        self.observation_space, self.goal_space = observation, achieved
        self._achieved = map_array((capacity, *achieved.shape), achieved.dtype)
        self._observations: NDArray[Any] | None = None
        if not self.stack_size:
            self._keep_observations()
        self._spans = SpanQueue()
        self._head = 0
        self.runs_written = 0

    @property
    def n_trajectories(self) -> int:
        """Number of runs now stored."""
        return len(self._spans)

    @property
    def wants_observations(self) -> bool:
        """Whether runs are to come with observations: they are no stacks, or may be none."""
        return self._observations is not None or not self.runs_written

    @property
    def _observation_bytes(self) -> int:
        space = self.observation_space
        return math.prod(space.shape) * np.dtype(space.dtype).itemsize

    def _keep_observations(self) -> None:
        """Have a place for the observations of the runs to come: they are no stacks of frames."""
        if self._observations is None:
            space = self.observation_space
            self._observations = map_array((self.capacity, *space.shape), space.dtype)

    def _write(
        self,
        achieved: NDArray[Any],
        observations: NDArray[Any] | None,
        n_steps: int,
        goal: NDArray[Any] | None = None,
    ) -> int:
        """Store one run, checked by the caller, and return the slot of its first frame.

        Args:
            achieved: (M, *achieved_goal.shape), the run's frames.
            observations: (M, *observation.shape); None where they are stacks of frames.
            n_steps: how many steps of the run can be drawn.
            goal: (*achieved_goal.shape), where goals are kept.
        """
        start = self._make_room(self.goal_slots + len(achieved))
        first = start + self.goal_slots
        if goal is not None:
            self._achieved[start] = goal
        here = slice(first, first + len(achieved))
        self._achieved[here] = achieved
        is_open = self._observations is None and not self.runs_written
        if is_open and not self._are_stacks(achieved, observations):
            self._keep_observations()
        if self._observations is not None:
            self._observations[here] = observations
        self._spans.append(start, n_steps)
        self._head = here.stop
        self.runs_written += 1
        return first

    def _make_room(self, slots: int) -> int:
        """Free `slots` consecutive slots at the head of the ring and return the first of them."""
        first = self._head
        if first + slots > self.capacity:
            # A run never wraps. What lies between here and the end is the oldest there is: it
            # goes before anything at the start does.
            while len(self._spans) and self._spans.starts[0] >= first:
                self._drop_oldest()
            first = 0
        while len(self._spans) and first <= self._spans.starts[0] < first + slots:
            self._drop_oldest()
        return first

    def _drop_oldest(self) -> None:
        self._spans.drop_oldest()

    def _locate(
        self, rank: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Find steps by rank, see :meth:`SpanQueue.locate`; the slots are those of frames."""
        first, now, end = self._spans.locate(rank)
        return first + self.goal_slots, now + self.goal_slots, end + self.goal_slots

    # --------------------------------------------------------------------------- checkpoints

    def slot_arrays(self) -> dict[str, NDArray[Any]]:
        """Return what is written once into each slot and then stays: views, (capacity, …)."""
        arrays = {"achieved": self._achieved, "observations": self._observations}
        return {name: array for name, array in arrays.items() if array is not None}

    @property
    def oldest_run(self) -> int:
        """Number of the oldest run that is still stored; `runs_written` where there is none."""
        return self.runs_written - len(self._spans)

    def slots_since(self, run: int) -> list[tuple[int, range]]:
        """Return where the runs from number `run` on lie, those still stored, oldest first.

        Returns:
            (number of the last run, slots) of each unbroken stretch; the slots between the last
            run before the ring's end and that end are counted as its own.
        """
        skipped = max(0, run - self.oldest_run)
        starts = self._spans.starts[skipped:]
        # There is one turn at most: where the ring began again from its first slot.
        turn = int(np.argmin(starts)) if len(starts) else 0
        oldest = self.oldest_run + skipped
        stretches = [(0, turn, self.capacity), (turn, len(starts), self._head)]
        return [
            (oldest + high - 1, range(int(starts[low]), end))
            for low, high, end in stretches
            if low < high
        ]

    def snapshot(self) -> Snapshot:
        """Return all but the contents of :meth:`slot_arrays`."""
        return {
            "stacked": self._observations is None,
            "head": self._head,
            "runs_written": self.runs_written,
            "starts": self._spans.starts.copy(),
            "lengths": self._spans.lengths.copy(),
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take back what :meth:`snapshot` returned; whoever calls sets the contents.

        Raises:
            KeyError: it is no snapshot of a ring.
            ValueError: it is one of a larger ring.
        """
        starts, lengths = snapshot["starts"], snapshot["lengths"]
        fits = starts.shape == lengths.shape and (starts >= 0).all() and (lengths >= 1).all()
        if not fits or (starts + self._slots_of(lengths) > self.capacity).any():
            raise ValueError(f"snapshot holds runs that do not fit {self.capacity} slots")
        if not snapshot.get("stacked", True):
            self._keep_observations()
        self._spans = SpanQueue.of(starts, lengths)
        self._head = snapshot["head"]
        self.runs_written = snapshot["runs_written"]

    def _slots_of(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many slots runs of so many steps take at least."""
        return lengths + self.goal_slots

    def _observe(self, first: NDArray[np.int64], now: NDArray[np.int64]) -> NDArray[Any]:
        """Return the observations at the slots `now` of the runs whose frames begin at `first`."""
        if self._observations is not None:
            return np.take(self._observations, now, axis=0)
        slots = now[:, None] + np.arange(1 - self.stack_size, 1)
        before_start = slots < first[:, None]
        slots[before_start] = 0
        # NumPy, and so one thread: fetching frames from memory is all of the time, a second thread
        # gains 0.2 ms of 0.5, and waiting for it takes 30 ms where the other core has other work.
        stacks = np.take(self._achieved[:, 0], slots, axis=0)
        stacks[before_start] = 0
        return stacks

    def _check_moments(
        self,
        achieved: NDArray[Any],
        observations: NDArray[Any] | None,
        moments: int,
        goal: NDArray[Any] | None = None,
    ) -> None:
        """Check the arrays of a run of so many moments.

        Raises:
            ValueError: the run does not fit the ring, or an array is missing, too many, or of
                another shape or dtype than its space.
        """
        if moments + self.goal_slots > self.capacity:
            goal_too = " and a goal" if self.goal_slots else ""
            raise ValueError(
                f"trajectory of {moments} moments{goal_too} does not fit a capacity of "
                f"{self.capacity}"
            )
        if (goal is not None) != bool(self.goal_slots):
            raise ValueError(f"goal must be {'given' if self.goal_slots else 'None'} here")
        if goal is not None:
            _check_array("goal", goal[None], self.goal_space, 1)
        _check_array("achieved", achieved, self.goal_space, moments)
        if observations is not None:
            _check_array("observations", observations, self.observation_space, moments)
            if not self.wants_observations and not self._are_stacks(achieved, observations):
                raise ValueError(
                    f"observations must be stacks of the last {self.stack_size} frames in "
                    "achieved, zeros before the first: those of the first run were"
                )
        elif self._observations is not None:
            raise ValueError("observations must be given: they are not stacks of achieved frames")

    def _are_stacks(self, achieved: NDArray[Any], observations: NDArray[Any] | None) -> bool:
        """Return whether :meth:`_observe` would make these observations; so it would if None."""
        if observations is None:
            return True
        frames = achieved[:, 0]
        for age in range(self.stack_size):
            channel = observations[:, self.stack_size - 1 - age]
            if channel[:age].any() or not np.array_equal(
                channel[age:], frames[: len(channel[age:])]
            ):
                return False
        return True


def _goal_spaces(space: spaces.Dict) -> tuple[spaces.Box, spaces.Box]:
    """Return the Boxes of ``observation`` and ``achieved_goal``."""
    boxes = []
    for key in ("observation", "achieved_goal"):
        box = space.spaces.get(key) if isinstance(space, spaces.Dict) else None
        if not isinstance(box, spaces.Box):
            raise ValueError(f"observation_space must be a Dict with a Box {key!r}, got {space}")
        boxes.append(box)
    return boxes[0], boxes[1]


def _stack_size(observation: spaces.Box, achieved: spaces.Box) -> int:
    """Return S where observations are stacks of S achieved frames, else 0."""
    is_stack = (
        len(observation.shape) == 3
        and observation.dtype == achieved.dtype == np.uint8
        and achieved.shape == (1, *observation.shape[1:])
    )
    return observation.shape[0] if is_stack else 0


def map_array(shape: tuple[int, ...], dtype: np.dtype[Any] | None) -> NDArray[Any]:
    """Return an array of zeros whose pages are taken only when they are first written."""
    count = math.prod(shape)
    n_bytes = max(1, count * np.dtype(dtype).itemsize)
    try:
        if not hasattr(mmap, "MAP_NORESERVE"):  # not on every platform
            return np.zeros(shape, dtype)
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_NORESERVE
        return np.frombuffer(mmap.mmap(-1, n_bytes, flags=flags), dtype, count).reshape(shape)
    except (MemoryError, OSError, OverflowError, ValueError) as error:
        raise ValueError(
            f"capacity (buffer_size of an agent) of {shape[0]} takes {n_bytes} bytes: {error}"
        ) from error


def _check_array(name: str, given: NDArray[Any], space: spaces.Box, moments: int) -> None:
    expected = (moments, *space.shape)
    if given.shape != expected or given.dtype != space.dtype:
        raise ValueError(
            f"{name} must be {space.dtype} of shape {expected}, got {given.dtype} of {given.shape}"
        )


def to_device(device: torch.device | str, array: NDArray[Any]) -> torch.Tensor:
    """Return an array as a tensor on a device.

    Raises:
        ValueError: there is no such device here.
    """
    try:
        return torch.from_numpy(array).to(device, non_blocking=True)
    except torch.OutOfMemoryError:  # the device is there
        raise
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        raise ValueError(f"device {device!r} cannot be used here: {error}") from error
