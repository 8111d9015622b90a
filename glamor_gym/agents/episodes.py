"""Recording of episodes: transitions of a vector environment in, whole trajectories out.

Each environment's unfinished episode is kept apart until it ends, so that the replay only ever
holds whole trajectories and an aborted episode leaves no trace.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glamor_gym.snapshots import Snapshot
from glamor_gym.types import Trajectory

NO_ACTION = -1
"""Placeholder: no action has been taken, a random one is to be taken, or a plan has ended."""

Moments = Mapping[str, NDArray[Any]]
"""Observations of a vector environment, (n_envs, …) each."""

_ENTRIES = {"achieved_goal": "achieved", "observation": "observations"}
"""Entry of an observation → what it is called in a trajectory."""


class EpisodeRecorder:
    """Records the moments of unfinished episodes, a row of an array for each environment.

    Args:
        moments: the observations of all environments, ``achieved_goal`` and ``observation``; an
            episode begins with each.
        horizon: T, the most steps of an episode.
        keep_observations: whether observations are kept as well as achieved goals; not needed if
            they are stacks of achieved frames.
    """

    def __init__(self, moments: Moments, horizon: int, *, keep_observations: bool) -> None:
        self._horizon = horizon
        n_envs = len(moments["achieved_goal"])
        kept = [*_ENTRIES] if keep_observations else ["achieved_goal"]
        self._moments = {
            name: np.empty(
                (n_envs, horizon + 1, *moments[name].shape[1:]), dtype=moments[name].dtype
            )
            for name in kept
        }
        self._actions = np.empty((n_envs, horizon), dtype=np.int64)
        self._lengths = np.zeros(n_envs, dtype=np.int64)
        self.begin(np.arange(n_envs), moments)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of actions in each unfinished episode, (n_envs,)."""
        return self._lengths.copy()

    @property
    def last_actions(self) -> NDArray[np.int64]:
        """Last action of each unfinished episode, (n_envs,); `NO_ACTION` where there is none."""
        rows = np.arange(len(self._lengths))
        return np.where(self._lengths > 0, self._actions[rows, self._lengths - 1], NO_ACTION)

    def begin(self, envs: NDArray[np.int64], moments: Moments) -> None:
        """Start new episodes of some environments, dropping unfinished ones.

        Args:
            envs: indices of the environments.
            moments: the observations of all, of which theirs are the first of an episode.
        """
        self._lengths[envs] = 0
        self._write(envs, moments)

    def step(self, envs: NDArray[np.int64], actions: NDArray[np.int64], moments: Moments) -> None:
        """Add an action to the episodes of some environments, and the moment after it.

        Args:
            envs: indices of the environments.
            actions: (n_envs,) the actions of all environments.
            moments: the observations of all after the actions.

        Raises:
            ValueError: an episode is longer than the horizon.
        """
        if (self._lengths[envs] == self._horizon).any():
            raise ValueError(
                f"env must end its episodes after {self._horizon} steps, its horizon, "
                f"got one of {self._horizon + 1} steps"
            )
        self._actions[envs, self._lengths[envs]] = actions[envs]
        self._lengths[envs] += 1
        self._write(envs, moments)

    def finish(self, env: int, observation: NDArray[Any]) -> Trajectory:
        """Return the episode of one environment.

        Args:
            env: index of the environment.
            observation: the last one of the episode.

        Raises:
            ValueError: observations are not kept, and this one is no stack of achieved frames.
        """
        if "observation" not in self._moments:
            self._check_stack(env, observation)
        moments = {_ENTRIES[name]: self._moments_of(name, env) for name in self._moments}
        return Trajectory(actions=self._actions_of(env), **moments)

    def drop_observations(self) -> None:
        """Keep no observations any more: they have proved to be stacks of achieved frames."""
        self._moments.pop("observation", None)

    def snapshot(self) -> Snapshot:
        """Return the unfinished episodes, one entry per environment."""
        envs = range(len(self._lengths))
        moments: dict[str, list[NDArray[Any]]] = {
            kept: [self._moments_of(name, env) for env in envs] if name in self._moments else []
            for name, kept in _ENTRIES.items()
        }
        return {**moments, "actions": [self._actions_of(env) for env in envs]}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Continue the episodes of a :meth:`snapshot`."""
        if not snapshot["observations"]:
            self.drop_observations()
        for env, actions in enumerate(snapshot["actions"]):
            self._lengths[env] = len(actions)
            self._actions[env, : len(actions)] = actions
            for name, record in self._moments.items():
                record[env, : len(actions) + 1] = snapshot[_ENTRIES[name]][env]

    def _write(self, envs: NDArray[np.int64], moments: Moments) -> None:
        for name, record in self._moments.items():
            record[envs, self._lengths[envs]] = moments[name][envs]

    def _moments_of(self, name: str, env: int) -> NDArray[Any]:
        return self._moments[name][env, : self._lengths[env] + 1].copy()

    def _actions_of(self, env: int) -> NDArray[np.int64]:
        return self._actions[env, : self._lengths[env]].copy()

    def _check_stack(self, env: int, observation: NDArray[Any]) -> None:
        achieved = self._moments["achieved_goal"][env, : self._lengths[env] + 1]
        stack_size = len(observation) // achieved.shape[1]
        frames = np.concatenate(achieved[-stack_size:])
        unfilled = len(observation) - len(frames)
        if observation[:unfilled].any() or not np.array_equal(observation[unfilled:], frames):
            raise ValueError(
                f"observation must be the stack of the last {stack_size} achieved_goal, "
                "zeros before the first, as it was in the first episode: only these are stored. "
                "If it shows something else at times, show it in the first episode, too, for "
                "example by one more frame that never changes"
            )
