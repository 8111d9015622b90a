"""Replay of whole trajectories: frames in once, training tuples (s_1, a_1 … a_k, s_{k+1}) out.

In: :class:`~glamor_gym.types.Trajectory`, one a call, from any number of environments.
Out: :class:`~glamor_gym.types.SegmentBatch` of §3.4: an observation drawn uniformly among the
stored ones that have a future, k uniform over what remains of its trajectory, the actions between
and the moment after them as the goal.

A trajectory of L actions occupies L + 1 consecutive slots of a ring, see
:class:`~glamor_gym.replay.frame_ring.FrameRing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from glamor_gym.files import write_atomically
from glamor_gym.replay.frame_ring import FrameRing
from glamor_gym.snapshots import Snapshot, random_state, set_random_state
from glamor_gym.types import SegmentBatch, Trajectory
from glamor_gym.untrusted import read_npz

NEAR = 10
"""How many steps away a goal may lie and still count as near."""


class TrajectoryReplay(FrameRing):
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
        super().__init__(capacity, observation_space)
        for name, share in (("stay_fraction", stay_fraction), ("near_fraction", near_fraction)):
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"{name} must lie in [0, 1], got {share}")
        if n_actions < 1:
            raise ValueError(f"n_actions must be 1 or more, got {n_actions}")
        self.n_actions = n_actions
        self.stay_fraction = stay_fraction
        self.near_fraction = near_fraction
        self.rng = np.random.default_rng(seed)
        self._actions = np.zeros(capacity, dtype=np.int64)

    def __len__(self) -> int:
        """Return the number of stored steps: observations with at least one action after them."""
        return self._spans.steps

    @property
    def nbytes(self) -> int:
        """Bytes of the slots now in use."""
        return (len(self) + self.n_trajectories) * self._slot_bytes

    @property
    def _slot_bytes(self) -> int:
        arrays = (self._achieved, self._actions, self._observations)
        return sum(int(array[0].nbytes) for array in arrays if array is not None)

    # ------------------------------------------------------------------------------- writing

    def add(self, trajectory: Trajectory) -> None:
        """Store one trajectory, dropping the oldest ones that are in its way.

        Raises:
            ValueError: the trajectory is empty, longer than the ring, of another shape or dtype
                than the spaces, or holds an action that is none.
        """
        self._check(trajectory)
        n_actions = len(trajectory)
        first = self._write(trajectory.achieved, trajectory.observations, n_actions)
        self._actions[first : first + n_actions] = trajectory.actions

    def _check(self, trajectory: Trajectory) -> None:
        n_actions = len(trajectory)
        if n_actions < 1:
            raise ValueError("trajectory must hold at least one action, got none")
        if n_actions + 1 > self.capacity:
            raise ValueError(
                f"trajectory of {n_actions + 1} moments does not fit a capacity of {self.capacity}"
            )
        self._check_moments(trajectory.achieved, trajectory.observations, n_actions + 1)
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

    # -------------------------------------------------------------------------------- files

    def slot_arrays(self) -> dict[str, NDArray[Any]]:
        """Return what is written once into each slot and then stays: views, (capacity, …)."""
        return {**super().slot_arrays(), "actions": self._actions}

    def snapshot(self) -> Snapshot:
        """Return all but the contents of :meth:`slot_arrays`."""
        return {**super().snapshot(), "random": random_state(self.rng)}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Take back what :meth:`snapshot` returned; see :class:`FrameRing`."""
        super().restore(snapshot)
        set_random_state(self.rng, snapshot["random"])

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
        """Add the trajectories of a file to this replay, all of them or, where one is bad, none.

        Nothing in the file is executed, and none of it is read if it claims more than this
        replay can hold.

        Raises:
            OSError: the file cannot be read.
            ValueError: the file is no saved replay, one of other spaces or actions, or larger
                than this one.
        """
        # A trajectory of L actions takes L + 1 slots and one length; arrays have small headers.
        most = self.capacity * (self._slot_bytes + np.dtype(np.int64).itemsize) + 4096
        try:
            trajectories = _split(read_npz(path, max_bytes=most))
            for trajectory in trajectories:
                self._check(trajectory)
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"path {str(path)!r} is no saved replay that fits this one: {error}"
            ) from error
        for trajectory in trajectories:
            self.add(trajectory)


def _split(state: Mapping[str, NDArray[Any]]) -> list[Trajectory]:
    """Cut what :meth:`TrajectoryReplay.state` returned into trajectories.

    Raises:
        KeyError: an array is missing.
        ValueError: the arrays do not fit each other.
    """
    lengths, achieved, actions = state["lengths"], state["achieved"], state["actions"]
    observations = state.get("observations")
    for name, array in (("lengths", lengths), ("actions", actions)):
        if array.dtype != np.int64 or array.ndim != 1:
            raise ValueError(f"{name} must be int64 of shape (n,), got {array.dtype} {array.shape}")
    moments = [len(array) if array.ndim else -1 for array in state.values() if array is not lengths]
    if (lengths < 1).any() or (lengths > len(actions)).any():
        raise ValueError("lengths must be from 1 to the number of actions")
    if set(moments) != {int((lengths + 1).sum())}:
        raise ValueError(f"arrays of {moments} moments do not fit the lengths")
    ends = np.cumsum(lengths + 1)
    return [
        Trajectory(
            achieved=achieved[end - length - 1 : end],
            actions=actions[end - length - 1 : end - 1],
            observations=None if observations is None else observations[end - length - 1 : end],
        )
        for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)
    ]


def _to(device: torch.device | str, array: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(array).to(device, non_blocking=True)
