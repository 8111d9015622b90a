"""Recording of episodes: transitions of a vector environment in, whole trajectories out.

Each environment's unfinished episode is kept apart until it ends, so that the replay only ever
holds whole trajectories and an aborted episode leaves no trace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glamor_gym.snapshots import Snapshot
from glamor_gym.types import Trajectory
from glamor_gym.vector.rows import row_of

NO_ACTION = -1
"""Placeholder: no action has been taken, a random one is to be taken, or a plan has ended."""


class EpisodeRecorder:
    """Records the moments of unfinished episodes, one list per environment.

    Args:
        n_envs: number of environments.
        keep_observations: whether observations are kept as well as achieved goals; not needed if
            they are stacks of achieved frames.

    Attributes:
        keep_observations: the argument; may be set to False once observations prove to be stacks.
    """

    def __init__(self, n_envs: int, keep_observations: bool) -> None:
        self.keep_observations = keep_observations
        self._achieved: list[list[NDArray[Any]]] = [[] for _ in range(n_envs)]
        self._observations: list[list[NDArray[Any]]] = [[] for _ in range(n_envs)]
        self._actions: list[list[int]] = [[] for _ in range(n_envs)]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of actions in each unfinished episode, (n_envs,)."""
        return np.array([len(actions) for actions in self._actions], dtype=np.int64)

    @property
    def last_actions(self) -> NDArray[np.int64]:
        """Last action of each unfinished episode, (n_envs,); `NO_ACTION` where there is none."""
        return np.array(
            [actions[-1] if actions else NO_ACTION for actions in self._actions], dtype=np.int64
        )

    def begin(self, env: int, moment: Mapping[str, NDArray[Any]]) -> None:
        """Start a new episode of one environment, dropping an unfinished one."""
        for records in (self._achieved, self._observations, self._actions):
            records[env].clear()
        self._append_moment(env, moment)

    def step(self, env: int, action: int, moment: Mapping[str, NDArray[Any]]) -> None:
        """Add one action and the moment after it."""
        self._actions[env].append(action)
        self._append_moment(env, moment)

    def finish(self, env: int, observation: NDArray[Any]) -> Trajectory | None:
        """Return the episode of one environment; None if it had no action.

        Args:
            env: index of the environment.
            observation: the last one of the episode.

        Raises:
            ValueError: observations are not kept, and this one is no stack of achieved frames.
        """
        if not self._actions[env]:
            return None
        if not self.keep_observations:
            self._check_stack(env, observation)
        return Trajectory(
            achieved=np.stack(self._achieved[env]),
            actions=np.array(self._actions[env], dtype=np.int64),
            observations=np.stack(self._observations[env]) if self.keep_observations else None,
        )

    def _check_stack(self, env: int, observation: NDArray[Any]) -> None:
        frames = self._achieved[env][-len(observation) :]
        unfilled = len(observation) - len(frames)
        if observation[:unfilled].any() or not np.array_equal(
            observation[unfilled:], np.concatenate(frames)
        ):
            raise ValueError(
                f"observation must be the stack of the last {len(observation)} achieved_goal, "
                "zeros before the first, as it was in the first episode: only these are stored. "
                "If it shows something else at times, show it in the first episode, too, for "
                "example by one more frame that never changes"
            )

    def begin_all(self, moments: Mapping[str, NDArray[Any]], envs: Sequence[int]) -> None:
        """Start new episodes of several environments from a batch of observations."""
        for env in envs:
            self.begin(env, row_of(moments, env))

    def snapshot(self) -> Snapshot:
        """Return the unfinished episodes, one entry per environment."""
        observations = self._observations if self.keep_observations else []
        return {
            "achieved": [np.stack(moments) for moments in self._achieved],
            "observations": [np.stack(moments) for moments in observations],
            "actions": [np.array(actions, dtype=np.int64) for actions in self._actions],
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Continue the episodes of a :meth:`snapshot`."""
        self.keep_observations = bool(snapshot["observations"])
        for name, records in (("achieved", self._achieved), ("observations", self._observations)):
            for record, moments in zip(records, snapshot[name], strict=False):
                record[:] = moments
        for actions, taken in zip(self._actions, snapshot["actions"], strict=True):
            actions[:] = taken.tolist()

    def _append_moment(self, env: int, moment: Mapping[str, NDArray[Any]]) -> None:
        # Copies: vector environments reuse the arrays they return.
        self._achieved[env].append(np.array(moment["achieved_goal"]))
        if self.keep_observations:
            self._observations[env].append(np.array(moment["observation"]))
