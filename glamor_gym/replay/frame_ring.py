"""A ring buffer of frames: whole runs of frames in, observations at any slot out.

In: the frames of one episode at a time. Out: the slot of a step, and the observation there.

Each frame is stored once, in consecutive slots. Pictures take 8,320 bytes each at 80×104; stacks of
them are rebuilt on demand, with zeros before the first frame. The ring's memory is mapped without
being reserved, so physical memory is used only as the ring fills.
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
from glamor_gym.devices import checking_device
from glamor_gym.replay.spans import SpanQueue
from glamor_gym.snapshots import Snapshot


class FrameRing:
    """Keeps the latest runs, dropping the oldest ones to make room.

    A *run* is the frames of one stored episode (a trajectory, plus its goal where goals are kept);
    a *span* is where it lies. A frame is the achieved goal of one time step.

    Args:
        capacity: number of frames kept, goals included.
        observation_space: a Dict with Boxes ``observation`` and ``achieved_goal``. If these are
            uint8 of shapes (S·C, H, W) and (C, H, W), observations may be stacks of the last S
            frames, and are then not stored; whether they are is determined by the first run.
        keep_goals: whether each run comes with a goal, kept in the slot before its frames.

    Attributes:
        runs_written: number of runs ever stored; runs are numbered from 0 in this order.

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
        """Number of runs in the ring."""
        return len(self._spans)

    @property
    def wants_observations(self) -> bool:
        """Whether to pass observations: they are not stacks, or no run has shown it yet."""
        return self._observations is not None or not self.runs_written

    def _keep_observations(self) -> None:
        """Store observations from now on, since they are not stacks of frames."""
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
            observations: (M, *observation.shape); None if they are stacks of frames.
            n_steps: number of steps of the run that can be drawn.
            goal: (*achieved_goal.shape); None if goals are not kept.
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
            # A run never wraps around. The runs between here and the end are the oldest ones, so
            # they are dropped before any at the start.
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
        """Find steps by rank, see :meth:`SpanQueue.locate`; slots are counted past the goal."""
        first, now, end = self._spans.locate(rank)
        return first + self.goal_slots, now + self.goal_slots, end + self.goal_slots

    # ---------------------------------------------------------------- copies and checkpoints

    def _full_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the attributes that are arrays with one row per slot."""
        return {
            name: value
            for name, value in vars(self).items()
            if isinstance(value, np.ndarray) and value.shape[:1] == (self.capacity,)
        }

    def _used_slots(self) -> NDArray[np.int64]:
        stretches = [np.arange(slots.start, slots.stop) for _, slots in self.slots_since(0)]
        return np.concatenate([np.zeros(0, np.int64), *stretches])

    def __getstate__(self) -> dict[str, Any]:
        """Return all attributes for copies and pickles; of arrays, only the slots in use."""
        used = self._used_slots()
        rows = {name: array[used] for name, array in self._full_arrays().items()}
        return {**vars(self), **rows, "used_slots": used, "of_slots": tuple(rows)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Set all attributes, with the rows of slots not in use zero."""
        state = dict(state)
        used, names = state.pop("used_slots"), state.pop("of_slots")
        for name in names:
            rows = state[name]
            state[name] = map_array((state["capacity"], *rows.shape[1:]), rows.dtype)
            state[name][used] = rows
        vars(self).update(state)

    def slot_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays whose slots stay as a run wrote them, as views: (capacity, …)."""
        arrays = {"achieved": self._achieved, "observations": self._observations}
        return {name: array for name, array in arrays.items() if array is not None}

    @property
    def oldest_run(self) -> int:
        """Number of the oldest run still stored; `runs_written` if there is none."""
        return self.runs_written - len(self._spans)

    def slots_since(self, run: int) -> list[tuple[int, range]]:
        """Return which slots hold the runs from number `run` on that are still stored.

        Returns:
            (number of its last run, slots) for each contiguous range of slots, at most two, oldest
            first; a range that ends where the ring wraps around extends to the ring's end.
        """
        skipped = max(0, run - self.oldest_run)
        starts = self._spans.starts[skipped:]
        # The stored runs wrap around at most once: where writing resumed at slot 0.
        turn = int(np.argmin(starts)) if len(starts) else 0
        oldest = self.oldest_run + skipped
        stretches = [(0, turn, self.capacity), (turn, len(starts), self._head)]
        return [
            (oldest + high - 1, range(int(starts[low]), end))
            for low, high, end in stretches
            if low < high
        ]

    def snapshot(self) -> Snapshot:
        """Return the whole state except the contents of :meth:`slot_arrays`."""
        return {
            "stacked": self._observations is None,
            "head": self._head,
            "runs_written": self.runs_written,
            "starts": self._spans.starts.copy(),
            "lengths": self._spans.lengths.copy(),
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Restore what :meth:`snapshot` returned; the caller restores :meth:`slot_arrays`.

        Raises:
            KeyError: `snapshot` is not a snapshot of a ring.
            ValueError: its runs do not fit this ring.
        """
        starts, lengths = snapshot["starts"], snapshot["lengths"]
        fits = starts.shape == lengths.shape and (starts >= 0).all() and (lengths >= 1).all()
        if not fits:
            raise ValueError("snapshot holds runs that no ring has")
        needed = int((starts + self._slots_of(lengths)).max(initial=0))
        if needed > self.capacity:
            raise ValueError(
                f"capacity (an agent's buffer_size) must be at least {needed}, the number of slots "
                f"that the snapshot uses, got {self.capacity}"
            )
        if not snapshot["stacked"]:
            self._keep_observations()
        self._spans = SpanQueue.of(starts, lengths)
        self._head = snapshot["head"]
        self.runs_written = snapshot["runs_written"]

    def _slots_of(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the minimum number of slots taken by runs of these numbers of steps."""
        return lengths + self.goal_slots

    def _observe(self, first: NDArray[np.int64], now: NDArray[np.int64]) -> NDArray[Any]:
        """Return the observations at slots `now`, of runs whose first frames are at `first`."""
        if self._observations is not None:
            return np.take(self._observations, now, axis=0)
        slots = now[:, None] + np.arange(1 - self.stack_size, 1)
        before_start = slots < first[:, None]
        slots[before_start] = 0
        # NumPy, and so one thread: nearly all of the time is memory access. A second thread saves
        # 0.2 ms of 0.5, but waiting for it takes 30 ms when the other core is busy.
        stacks = np.take(self._achieved, slots, axis=0)
        stacks[before_start] = 0
        return stacks.reshape(len(now), *self.observation_space.shape)

    def _check_moments(
        self,
        achieved: NDArray[Any],
        observations: NDArray[Any] | None,
        moments: int,
        goal: NDArray[Any] | None = None,
    ) -> None:
        """Check the arrays of a run of `moments` frames.

        Raises:
            ValueError: the run does not fit the ring, or an array is missing, not expected, of
                another shape than its space, of a dtype that is not safely cast to its space's, or
                not finite.
        """
        if moments + self.goal_slots > self.capacity:
            goal_too = " and a goal" if self.goal_slots else ""
            raise ValueError(
                f"trajectory of {moments} frames{goal_too} does not fit a capacity of "
                f"{self.capacity}"
            )
        if (goal is not None) != bool(self.goal_slots):
            allowed = "given, as goals are" if self.goal_slots else "None, as goals are not"
            raise ValueError(f"goal must be {allowed} kept here, got {type(goal).__name__}")
        if goal is not None:
            _check_array("goal", goal[None], self.goal_space, 1)
        _check_array("achieved", achieved, self.goal_space, moments)
        if observations is not None:
            _check_array("observations", observations, self.observation_space, moments)
            if not self.wants_observations and not self._are_stacks(achieved, observations):
                raise ValueError(
                    f"observations must be stacks of the last {self.stack_size} frames in "
                    "achieved, with zeros before the first, as in the first run stored"
                )
        elif self._observations is not None:
            raise ValueError("observations must be given: they are not stacks of achieved frames")

    def _are_stacks(self, achieved: NDArray[Any], observations: NDArray[Any] | None) -> bool:
        """Return whether :meth:`_observe` would rebuild these observations; True for None."""
        if observations is None or not self.stack_size:
            return True
        stacks = observations.reshape(len(observations), self.stack_size, *self.goal_space.shape)
        for age in range(self.stack_size):
            frames = stacks[:, self.stack_size - 1 - age]
            if frames[:age].any() or not np.array_equal(
                frames[age:], achieved[: len(frames[age:])]
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
    """Return S if the spaces allow observations to be stacks of S frames, else 0."""
    is_stack = (
        len(observation.shape) == len(achieved.shape) == 3
        and observation.dtype == achieved.dtype == np.uint8
        and achieved.shape[1:] == observation.shape[1:]
        and observation.shape[0] % achieved.shape[0] == 0
    )
    return observation.shape[0] // achieved.shape[0] if is_stack else 0


def map_array(
    shape: tuple[int, ...], dtype: np.dtype[Any] | None, setting: str = "buffer_size"
) -> NDArray[Any]:
    """Return an array of zeros whose memory pages are allocated only when first written.

    Args:
        shape: (capacity, …).
        dtype: of the array.
        setting: the agent's setting that gives the capacity, for the error message.

    Raises:
        ValueError: an array of this size cannot be mapped.
    """
    count = math.prod(shape)
    n_bytes = max(1, count * np.dtype(dtype).itemsize)
    try:
        if not hasattr(mmap, "MAP_NORESERVE"):  # not on every platform
            return np.zeros(shape, dtype)
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_NORESERVE
        return np.frombuffer(mmap.mmap(-1, n_bytes, flags=flags), dtype, count).reshape(shape)
    except (MemoryError, OSError, OverflowError, ValueError) as error:
        raise ValueError(
            f"capacity (an agent's {setting}) of {shape[0]} needs {n_bytes} bytes: {error}"
        ) from error


def _check_array(name: str, given: NDArray[Any], space: spaces.Box, moments: int) -> None:
    expected = (moments, *space.shape)
    # As in `Box.contains`: not every vector environment converts what its environments return.
    if given.shape != expected or not np.can_cast(given.dtype, space.dtype):
        raise ValueError(
            f"{name} must be {space.dtype} of shape {expected}, got {given.dtype} of shape "
            f"{given.shape}"
        )
    if given.dtype.kind == "f" and not np.isfinite(given).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity")


def to_device(device: torch.device | str, array: NDArray[Any]) -> torch.Tensor:
    """Return an array as a tensor on a device.

    Raises:
        ValueError: the device is not available.
    """
    with checking_device(device):
        return torch.from_numpy(array).to(device, non_blocking=True)
