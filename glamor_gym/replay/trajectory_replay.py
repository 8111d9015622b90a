"""Replay of whole trajectories: frames in once, training tuples (s_1, a_1 … a_k, s_{k+1}) out.

In: :class:`~glamor_gym.types.Trajectory`, one a call, from any number of environments.
Out: :class:`~glamor_gym.types.SegmentBatch` of §3.4: an observation drawn uniformly among the
stored ones that have a future, k uniform over what remains of its trajectory, the actions between
and the moment after them as the goal.

A trajectory of L actions occupies L + 1 consecutive slots of a ring. Pictures are kept as single
frames (8,320 bytes each at 80×104); stacks are rebuilt when sampled, with zeros before the first
frame. The ring's memory is mapped without being reserved, so that it is taken as it fills.
"""

from __future__ import annotations

import mmap
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from glamor_gym.files import write_atomically
from glamor_gym.replay.spans import SpanQueue
from glamor_gym.types import SegmentBatch, Trajectory

NEAR = 10
"""How many steps away a goal may lie and still count as near."""


class TrajectoryReplay:
    """A ring of the latest trajectories, sampled as GLAMOR's training tuples.

    Args:
        capacity: number of moments (frames) kept; a trajectory of L actions takes L + 1.
        observation_space: a Dict with ``observation`` and ``achieved_goal``. Where the first is
            uint8 (S, H, W) and the second uint8 (1, H, W), observations are taken for stacks of
            the last S achieved frames and are not stored.
        n_actions: number of actions A; token A is STOP, token A + 1 pads.
        stay_fraction: share of samples with k = 0: the goal is the present moment and the only
            token is STOP, which teaches the model to know that it has arrived. The paper has none.
        near_fraction: share of samples with k uniform over the next `NEAR` steps only. The paper
            has none.
        seed: of the sampling.

    Raises:
        ValueError: an argument is out of range, or the spaces are not those of a goal environment.
    """

    def __init__(
        self,
        capacity: int,
        observation_space: spaces.Dict,
        n_actions: int,
        *,
        stay_fraction: float = 0.0,
        near_fraction: float = 0.0,
        seed: int | None = None,
    ) -> None:
        if capacity < 2:
            raise ValueError(f"capacity must hold two moments or more, got {capacity}")
        for name, share in (("stay_fraction", stay_fraction), ("near_fraction", near_fraction)):
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"{name} must lie in [0, 1], got {share}")
        if n_actions < 1:
            raise ValueError(f"n_actions must be 1 or more, got {n_actions}")
        observation, achieved = _goal_spaces(observation_space)
        self.capacity = capacity
        self.n_actions = n_actions
        self.stay_fraction = stay_fraction
        self.near_fraction = near_fraction
        self.rng = np.random.default_rng(seed)

        self.stack_size = _stack_size(observation, achieved)
        self.observation_space = observation
        self._achieved = _map_array((capacity, *achieved.shape), achieved.dtype)
        self._observations = (
            None
            if self.stack_size
            else _map_array((capacity, *observation.shape), observation.dtype)
        )
        self._actions = np.zeros(capacity, dtype=np.int64)

        self._spans = SpanQueue()
        self._head = 0

    def __len__(self) -> int:
        """Return the number of stored steps: observations with at least one action after them."""
        return self._spans.steps

    @property
    def n_trajectories(self) -> int:
        """Number of trajectories now stored."""
        return len(self._spans)

    @property
    def nbytes(self) -> int:
        """Bytes of the slots now in use."""
        slots = len(self) + self.n_trajectories
        per_slot = self._achieved[0].nbytes + self._actions.itemsize
        if self._observations is not None:
            per_slot += self._observations[0].nbytes
        return slots * int(per_slot)

    # ------------------------------------------------------------------------------- writing

    def add(self, trajectory: Trajectory) -> None:
        """Store one trajectory, dropping the oldest ones that are in its way.

        Raises:
            ValueError: the trajectory is empty, longer than the ring, of another shape or dtype
                than the spaces, or holds an action that is none.
        """
        self._check(trajectory)
        n_actions = len(trajectory)
        first = self._make_room(n_actions + 1)
        here = slice(first, first + n_actions + 1)
        self._achieved[here] = trajectory.achieved
        if self._observations is not None:
            self._observations[here] = trajectory.observations
        self._actions[first : first + n_actions] = trajectory.actions
        self._spans.append(first, n_actions)
        self._head = first + n_actions + 1

    def _make_room(self, slots: int) -> int:
        """Free `slots` consecutive slots at the head of the ring and return the first of them."""
        first = self._head
        if first + slots > self.capacity:
            # A trajectory never wraps. What lies between here and the end is the oldest
            # there is: it goes before anything at the start does.
            while len(self._spans) and self._spans.starts[0] >= first:
                self._spans.drop_oldest()
            first = 0
        while len(self._spans) and first <= self._spans.starts[0] < first + slots:
            self._spans.drop_oldest()
        return first

    def _check(self, trajectory: Trajectory) -> None:
        n_actions = len(trajectory)
        if n_actions < 1:
            raise ValueError("trajectory must hold at least one action, got none")
        if n_actions + 1 > self.capacity:
            raise ValueError(
                f"trajectory of {n_actions + 1} moments does not fit a capacity of {self.capacity}"
            )
        _check_array("achieved", trajectory.achieved, self._achieved, n_actions + 1)
        if self._observations is None:
            if trajectory.observations is not None:
                raise ValueError(
                    "observations must be None: they are stacks of the frames in achieved"
                )
        elif trajectory.observations is None:
            raise ValueError("observations must be given: they are not stacks of achieved frames")
        else:
            _check_array("observations", trajectory.observations, self._observations, n_actions + 1)
        low, high = int(trajectory.actions.min()), int(trajectory.actions.max())
        if low < 0 or high >= self.n_actions:
            raise ValueError(
                f"actions must lie in [0, {self.n_actions}), without STOP; got {low} to {high}"
            )

    # ------------------------------------------------------------------------------ sampling

    def sample(self, batch_size: int, device: torch.device | str = "cpu") -> SegmentBatch:
        """Draw training tuples with replacement.

        Args:
            batch_size: number of tuples B.
            device: where the tensors are put.

        Returns:
            Tuples in order of falling length, which is how the model packs them.

        Raises:
            ValueError: `batch_size` is below 1, or nothing is stored yet.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, got {batch_size}")
        if not len(self):
            raise ValueError("nothing to sample: no trajectory has been stored yet")
        drawn = self.rng.integers(0, len(self), size=batch_size)
        first, now, last = self._spans.locate(drawn)
        furthest = last - now
        if self.near_fraction:
            near = self.rng.random(batch_size) < self.near_fraction
            furthest = np.where(near, np.minimum(furthest, NEAR), furthest)
        k = self.rng.integers(1, furthest + 1)
        if self.stay_fraction:
            k[self.rng.random(batch_size) < self.stay_fraction] = 0
        order = np.argsort(-k, kind="stable")
        return self._gather(first[order], now[order], k[order], device)

    def _gather(
        self,
        first: NDArray[np.int64],
        now: NDArray[np.int64],
        k: NDArray[np.int64],
        device: torch.device | str,
    ) -> SegmentBatch:
        """Read the tuples that start at slot `now` and end k steps later."""
        stop, padding = self.n_actions, self.n_actions + 1
        column = np.arange(int(k.max()) + 1)
        slots = np.minimum(now[:, None] + column, self.capacity - 1)
        tokens = np.where(column < k[:, None], self._actions[slots], padding)
        tokens[np.arange(len(k)), k] = stop
        return SegmentBatch(
            observation=_to(device, self._observe(first, now)),
            goal=_to(device, np.take(self._achieved, now + k, axis=0)),
            tokens=_to(device, tokens),
            length=_to(device, k + 1),
        )

    def _observe(self, first: NDArray[np.int64], now: NDArray[np.int64]) -> NDArray[Any]:
        """Return the observations at the slots `now` of the trajectories that begin at `first`."""
        if self._observations is not None:
            return np.take(self._observations, now, axis=0)
        slots = now[:, None] + np.arange(1 - self.stack_size, 1)
        before_start = slots < first[:, None]
        stacks = np.take(self._achieved[:, 0], np.where(before_start, 0, slots), axis=0)
        stacks[before_start] = 0
        return stacks

    # -------------------------------------------------------------------------------- files

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the stored trajectories as plain arrays, oldest first (for saving)."""
        slots = np.concatenate(
            [np.zeros(0, dtype=np.int64)]
            + [
                np.arange(first, first + length + 1)
                for first, length in zip(self._spans.starts, self._spans.lengths, strict=True)
            ]
        )
        state = {
            "lengths": self._spans.lengths,
            "achieved": self._achieved[slots],
            "actions": self._actions[slots],
        }
        if self._observations is not None:
            state["observations"] = self._observations[slots]
        return state

    def save(self, path: str | Path) -> None:
        """Write the stored trajectories as a compressed ``.npz``, beside and renamed."""
        with write_atomically(path) as file:
            np.savez_compressed(file, allow_pickle=False, **self.state())

    def load(self, path: str | Path) -> None:
        """Add the trajectories of a file to this replay. Nothing in the file is executed.

        Raises:
            ValueError: the file is no saved replay, or one of other spaces or actions.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                state = {name: file[name] for name in file.files}
            lengths = state["lengths"]
            ends = np.cumsum(lengths + 1)
        except (KeyError, ValueError, zipfile.BadZipFile, EOFError) as error:
            raise ValueError(f"path {str(path)!r} is no saved replay: {error}") from error
        observations = state.get("observations")
        for end, length in zip(ends, lengths, strict=True):
            here = slice(end - length - 1, end)
            self.add(
                Trajectory(
                    achieved=state["achieved"][here],
                    actions=state["actions"][here][:-1],
                    observations=None if observations is None else observations[here],
                )
            )


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


def _map_array(shape: tuple[int, ...], dtype: np.dtype[Any] | None) -> NDArray[Any]:
    """Return an array of zeros whose pages are taken only when they are first written."""
    count = int(np.prod(shape))
    n_bytes = max(1, count * np.dtype(dtype).itemsize)
    if not hasattr(mmap, "MAP_NORESERVE"):  # not on every platform
        return np.zeros(shape, dtype)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_NORESERVE
    return np.frombuffer(mmap.mmap(-1, n_bytes, flags=flags), dtype, count).reshape(shape)


def _check_array(name: str, given: NDArray[Any], ring: NDArray[Any], moments: int) -> None:
    expected = (moments, *ring.shape[1:])
    if given.shape != expected or given.dtype != ring.dtype:
        raise ValueError(
            f"{name} must be {ring.dtype} of shape {expected}, got {given.dtype} of {given.shape}"
        )


def _to(device: torch.device | str, array: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(array).to(device, non_blocking=True)
