"""What all replays of whole trajectories share: storing them in the ring and in files.

In: :class:`~glamor_gym.types.Trajectory`, one per call, from any number of environments.
Out: files and checkpoints; and for subclasses, the ring that they sample from.
"""

from __future__ import annotations

import io
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from glamor_gym.checks import as_instance, as_integer
from glamor_gym.files import PathOrStream, content_of, writing_to
from glamor_gym.replay.frame_ring import FrameRing, map_array
from glamor_gym.snapshots import Snapshot, random_state, set_random_state
from glamor_gym.types import Trajectory
from glamor_gym.untrusted import read_npz

MOST_SAMPLES = 1_000_000
"""Largest batch size."""


class TrajectoryStore(FrameRing, ABC):
    """A ring of the latest trajectories; subclasses define what is sampled from it.

    Args:
        capacity: number of frames kept; a trajectory of L actions takes L + 1, and one more where
            goals are kept.
        observation_space: see :class:`~glamor_gym.replay.frame_ring.FrameRing`.
        n_actions: number of actions A.
        keep_goals: whether each trajectory comes with the goal that it pursued.
        horizon: maximum number T of actions per trajectory; None for as many as fit.
        seed: seed of the sampling.

    Raises:
        ValueError: an argument is out of range, or the spaces are not those of a goal environment.
    """

    def __init__(
        self,
        capacity: int,
        observation_space: spaces.Dict,
        n_actions: int,
        *,
        keep_goals: bool = False,
        horizon: int | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(capacity, observation_space, keep_goals=keep_goals)
        self.horizon = capacity if horizon is None else as_integer(horizon, name="horizon", low=1)
        n_actions = as_integer(n_actions, name="n_actions", low=1)
        self.n_actions = n_actions
        if seed is not None:
            seed = as_integer(seed, name="seed", low=0)
        self.rng = np.random.default_rng(seed)
        self._actions = map_array((capacity,), np.dtype(np.int64))

    def __len__(self) -> int:
        """Return the number of stored steps: observations with at least one action after them."""
        return self._spans.steps

    def size(self) -> int:
        """Return the number of stored steps, under SB3's name."""
        return len(self)

    @property
    def nbytes(self) -> int:
        """Number of bytes of frames, observations and actions in the slots in use."""
        slots = len(self) + self.n_trajectories * (1 + self.goal_slots)
        return slots * self._slot_bytes

    @property
    def _slot_bytes(self) -> int:
        arrays = (self._achieved, self._actions, self._observations)
        return sum(int(array[0].nbytes) for array in arrays if array is not None)

    def _slots_of(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        return super()._slots_of(lengths) + 1  # the frame after the last action

    # ------------------------------------------------------------------------------- writing

    def add(self, trajectory: Trajectory) -> None:
        """Store one trajectory, dropping the oldest ones to make room.

        Raises:
            ValueError: the trajectory is empty, longer than the ring or the horizon, does not fit
                the spaces in shape or dtype, or holds an invalid action; nothing is stored or
                dropped then.
            TypeError: `trajectory` is not a :class:`~glamor_gym.types.Trajectory`.
        """
        self._check(trajectory)
        n_actions = len(trajectory)
        first = self._write(
            trajectory.achieved, trajectory.observations, n_actions, trajectory.goal
        )
        self._actions[first : first + n_actions] = trajectory.actions

    def add_episode(
        self, observations: Mapping[str, NDArray[Any]], actions: NDArray[np.integer[Any]]
    ) -> None:
        """Store a recorded episode, such as one of a Minari dataset.

        Args:
            observations: arrays with one row per moment, L + 1 in all, under the keys of an
                environment's observations: ``observation``, ``achieved_goal`` and, where goals are
                kept, ``desired_goal``, of which the first row counts.
            actions: (L,) integers. The last may be STOP, which changes nothing: it is left out,
                as is an episode of STOP alone.

        Raises:
            TypeError: `observations` is not a mapping.
            ValueError: an entry is missing, or the episode does not fit the spaces or the replay,
                see :meth:`add`; nothing is stored or dropped then.
        """
        if not isinstance(observations, Mapping):
            raise TypeError(f"observations must be a dict, got {type(observations).__name__}")
        needed = ("achieved_goal", "observation", *(["desired_goal"] if self.goal_slots else []))
        if not set(needed) <= set(observations):
            raise ValueError(
                f"observations must have the entries {', '.join(needed)}, got "
                f"{', '.join(map(str, observations)) or 'none'}"
            )
        taken: NDArray[Any] = np.asarray(actions)
        moments = len(taken) + 1
        if len(taken) and taken[-1] == self.n_actions:
            taken = taken[:-1]
            if not len(taken):
                return
        achieved, seen = (np.asarray(observations[key]) for key in ("achieved_goal", "observation"))
        if len(achieved) != moments or len(seen) != moments:
            raise ValueError(
                f"observations must have {moments} rows for {moments - 1} actions, got "
                f"{len(achieved)} of achieved_goal and {len(seen)} of observation"
            )
        kept = slice(len(taken) + 1)
        goal = np.asarray(observations["desired_goal"])[0] if self.goal_slots else None
        self.add(Trajectory(achieved[kept], taken, seen[kept], goal))

    def _check(self, trajectory: Trajectory) -> None:
        n_actions = len(as_instance(trajectory, Trajectory, name="trajectory"))
        if n_actions < 1:
            raise ValueError("trajectory must hold at least one action, got none")
        self._check_moments(
            trajectory.achieved, trajectory.observations, n_actions + 1, trajectory.goal
        )
        if n_actions > self.horizon:
            raise ValueError(
                f"trajectory of {n_actions} actions is longer than the horizon {self.horizon}"
            )
        actions = np.asarray(trajectory.actions)
        if actions.shape != (n_actions,) or actions.dtype.kind not in "iu":
            raise ValueError(
                f"actions must be integers of shape ({n_actions},), got {actions.dtype} of shape "
                f"{actions.shape}"
            )
        low, high = int(actions.min()), int(actions.max())
        if low < 0 or high >= self.n_actions:
            raise ValueError(
                f"actions must lie in [0, {self.n_actions}), without STOP, got {low} to {high}"
            )

    # ------------------------------------------------------------------------------ sampling

    @abstractmethod
    def sample(self, batch_size: int, device: torch.device | str = "cpu") -> Any:
        """Draw training samples with replacement.

        Raises:
            ValueError: `batch_size` is out of range, or nothing is stored yet.
        """

    def _check_batch_size(self, batch_size: int) -> None:
        as_integer(batch_size, name="batch_size", low=1, high=MOST_SAMPLES)
        if not len(self):
            raise ValueError("nothing to sample: no trajectory has been stored yet")

    # -------------------------------------------------------------------------------- files

    def slot_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays whose slots stay as a run wrote them, as views: (capacity, …)."""
        return {**super().slot_arrays(), "actions": self._actions}

    def snapshot(self) -> Snapshot:
        """Return the whole state except the contents of :meth:`slot_arrays`."""
        return {**super().snapshot(), "random": random_state(self.rng)}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Restore what :meth:`snapshot` returned, see :meth:`FrameRing.restore`."""
        super().restore(snapshot)
        set_random_state(self.rng, snapshot["random"])

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the stored trajectories as plain arrays, oldest first (for saving)."""
        firsts, lengths = self._spans.starts + self.goal_slots, self._spans.lengths
        runs = map(np.arange, firsts, firsts + lengths + 1)
        slots = np.concatenate([np.zeros(0, np.int64), *runs])
        state = {
            "lengths": lengths,
            "achieved": self._achieved[slots],
            "actions": self._actions[slots],
        }
        if self._observations is not None:
            state["observations"] = self._observations[slots]
        if self.goal_slots:
            state["goals"] = self._achieved[self._spans.starts]
        return state

    def save(self, path: PathOrStream) -> None:
        """Write the stored trajectories as a compressed ``.npz``, to a file or a binary stream.

        A file is first written under another name beside `path`, then renamed.

        Raises:
            OSError: the file cannot be written.
            TypeError: `path` is neither a path nor a binary stream.
            ValueError: `path` is not a valid path, or a stream that is not writable.
        """
        with writing_to(path) as file:
            np.savez_compressed(file, **self.state())  # type: ignore[arg-type]

    def load(self, path: PathOrStream) -> None:
        """Add all trajectories of a file to this replay; none if any of them is invalid.

        Nothing in the file is executed, and nothing is read if its arrays would take more memory
        than this replay. A binary stream is read from its current position.

        Raises:
            OSError: the file cannot be read.
            ValueError: the file is not a saved replay, has other spaces or actions than this
                replay, or holds more frames than fit or trajectories longer than the horizon.
        """
        # A trajectory of L actions takes L + 1 slots and one length; headers of arrays are small.
        slot_bytes = self._slot_bytes + np.dtype(np.int64).itemsize
        if self._observations is None:  # a file may still contain them
            box = self.observation_space
            slot_bytes += math.prod(box.shape) * np.dtype(box.dtype).itemsize
        most = self.capacity * slot_bytes + 4096
        try:
            if isinstance(path, io.BufferedIOBase):
                state = read_npz(content_of(path, max_bytes=most), max_bytes=most)
            else:
                state = read_npz(path, max_bytes=most)
            trajectories = _split(state)
            for trajectory in trajectories:
                self._check(trajectory)
            slots = self._slots_of(state["lengths"]).sum()
            if slots > self.capacity:
                raise ValueError(f"it needs {slots} slots, but there are {self.capacity}")
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"path {str(path)!r} is not a saved replay that fits this one: {error}"
            ) from error
        if not all(self._are_stacks(one.achieved, one.observations) for one in trajectories):
            self._keep_observations()  # even if those of the first trajectory are stacks
        for trajectory in trajectories:
            self.add(trajectory)


def _split(state: Mapping[str, NDArray[Any]]) -> list[Trajectory]:
    """Split what :meth:`TrajectoryStore.state` returned into trajectories.

    Raises:
        KeyError: an array is missing.
        ValueError: the arrays do not fit each other.
    """
    lengths, achieved, actions = state["lengths"], state["achieved"], state["actions"]
    observations, goals = state.get("observations"), state.get("goals")
    for name, array in (("lengths", lengths), ("actions", actions)):
        if array.dtype != np.int64 or array.ndim != 1:
            raise ValueError(
                f"{name} must be int64 of shape (n,), got {array.dtype} of shape {array.shape}"
            )
    if goals is not None and (goals.ndim == 0 or len(goals) != len(lengths)):
        raise ValueError(f"goals must have {len(lengths)} rows, got shape {goals.shape}")
    moments = [
        len(array) if array.ndim else -1
        for name, array in state.items()
        if name not in ("lengths", "goals")
    ]
    if (lengths < 1).any() or (lengths > len(actions)).any():
        raise ValueError(
            f"lengths must be from 1 to {len(actions)}, the number of actions, got "
            f"{lengths.min()} to {lengths.max()}"
        )
    if set(moments) != {int((lengths + 1).sum())}:
        raise ValueError(
            f"arrays of {moments} rows do not fit lengths, which need {int((lengths + 1).sum())}"
        )
    ends = np.cumsum(lengths + 1)
    return [
        Trajectory(
            achieved=achieved[end - length - 1 : end],
            actions=actions[end - length - 1 : end - 1],
            observations=None if observations is None else observations[end - length - 1 : end],
            goal=None if goals is None else goals[row],
        )
        for row, (end, length) in enumerate(zip(ends.tolist(), lengths.tolist(), strict=True))
    ]
