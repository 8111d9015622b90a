"""Episodes in the making: transitions of a vector environment in, whole trajectories out.

Each environment's half episode is kept apart until it ends, so that the replay only ever holds
whole trajectories and an episode that is broken off leaves no trace.
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
"""Stands where no action was taken yet, or where the choice of one is left to chance."""


class EpisodeRecorder:
    """Collects the moments of running episodes, one list an environment.

    Args:
        n_envs: number of environments.
        keep_observations: whether observations are kept beside achieved goals; not needed where
            they are stacks of achieved frames.

    Attributes:
        keep_observations: likewise; may be set to False when that is found out.
    """

    def __init__(self, n_envs: int, keep_observations: bool) -> None:
        self.keep_observations = keep_observations
        self._achieved: list[list[NDArray[Any]]] = [[] for _ in range(n_envs)]
        self._observations: list[list[NDArray[Any]]] = [[] for _ in range(n_envs)]
        self._actions: list[list[int]] = [[] for _ in range(n_envs)]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Numbers of actions in the running episodes, (n_envs,)."""
        return np.array([len(actions) for actions in self._actions], dtype=np.int64)

    @property
    def last_actions(self) -> NDArray[np.int64]:
        """The last action of each running episode, (n_envs,); `NO_ACTION` where there is none."""
        return np.array(
            [actions[-1] if actions else NO_ACTION for actions in self._actions], dtype=np.int64
        )

    def begin(self, env: int, moment: Mapping[str, NDArray[Any]]) -> None:
        """Start a new episode of one environment, dropping what there was of the last one."""
        for records in (self._achieved, self._observations, self._actions):
            records[env].clear()
        self._append_moment(env, moment)

    def step(self, env: int, action: int, moment: Mapping[str, NDArray[Any]]) -> None:
        """Add one action and the moment after it."""
        self._actions[env].append(action)
        self._append_moment(env, moment)

    def finish(self, env: int) -> Trajectory | None:
        """Return the episode of one environment; None if it had no action."""
        if not self._actions[env]:
            return None
        return Trajectory(
            achieved=np.stack(self._achieved[env]),
            actions=np.array(self._actions[env], dtype=np.int64),
            observations=np.stack(self._observations[env]) if self.keep_observations else None,
        )

    def begin_all(self, moments: Mapping[str, NDArray[Any]], envs: Sequence[int]) -> None:
        """Start new episodes of several environments from a batch of observations."""
        for env in envs:
            self.begin(env, row_of(moments, env))

    def snapshot(self) -> Snapshot:
        """Return the running episodes, one entry an environment."""
        observations = self._observations if self.keep_observations else []
        return {
            "achieved": [np.stack(moments) for moments in self._achieved],
            "observations": [np.stack(moments) for moments in observations],
            "actions": [np.array(actions, dtype=np.int64) for actions in self._actions],
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Go on with the episodes of :meth:`snapshot`."""
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


def as_starts(episode_start: NDArray[np.bool_] | None, n_rows: int) -> NDArray[np.bool_]:
    """Return (B,) which rows begin an episode; None stands for none, a single flag for all.

    Raises:
        ValueError: there is not one flag for each of `n_rows`.
    """
    flags = np.asarray(False if episode_start is None else episode_start, dtype=bool)
    if flags.shape not in {(), (1,), (n_rows,)}:
        raise ValueError(f"episode_start must be of shape ({n_rows},), got {flags.shape}")
    return np.broadcast_to(flags, (n_rows,))
