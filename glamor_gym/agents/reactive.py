"""Agents that choose each action from the observation, the goal and the number of steps left.

In: a rule that chooses such actions. Out: `collect` and `predict`. These agents never take STOP:
they act until the horizon.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from glamor_gym.agents.base import ImageGoalAgent
from glamor_gym.agents.observations import as_batch, steps_left_of
from glamor_gym.agents.plan_state import copied


class ClockState(NamedTuple):
    """What `predict` carries from one step to the next, one row per environment.

    Attributes:
        steps: (B,) int64, number of steps taken in the episode; used if the observation has no
            ``steps_left``.
    """

    steps: NDArray[np.int64]


class ReactiveAgent(ImageGoalAgent):
    """The base class of agents with a policy π(a | s, g, t), t being the number of steps left.

    For arguments and errors see :class:`~glamor_gym.agents.learner.TrajectoryLearner`.
    """

    @abstractmethod
    def act(
        self,
        observations: Mapping[str, NDArray[Any]],
        steps_left: NDArray[np.int64],
        *,
        deterministic: bool,
    ) -> NDArray[np.int64]:
        """Choose an action for each row of a checked batch.

        Args:
            observations: a batch with ``observation`` and ``desired_goal``.
            steps_left: (B,) from 1 to the horizon.
            deterministic: take the best action instead of sampling one.

        Returns:
            (B,) actions without STOP.
        """

    def collect(
        self, observations: Mapping[str, NDArray[Any]], starts: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """Sample an action at each step."""
        steps_left = steps_left_of(observations, self.horizon, self._recorder.lengths)
        return self.act(observations, steps_left, deterministic=False)

    def predict(  # type: ignore[override]
        self,
        observation: Mapping[str, Any],
        state: tuple[NDArray[Any], ...] | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], ClockState]:
        """Choose the next action for one observation or a batch of them.

        Args:
            observation: with ``observation``, ``desired_goal`` and, where the environment has
                it, ``steps_left``; without that, steps are counted from the episode's start.
            state: what the last call returned; None at the start.
            episode_start: (B,) flags of the rows that begin an episode, whose state is reset.
            deterministic: take the best action instead of sampling one.

        Returns:
            Actions, (B,) or, for one observation, (); and the state for the next call.

        Raises:
            ValueError: the observation or the state is not as described.
        """
        batch, is_batch = as_batch(observation, self.observation_space, self.observation_keys)
        before_the_first = ClockState(np.zeros(len(batch["desired_goal"]), dtype=np.int64))
        (steps,) = copied(state, before_the_first, episode_start)
        steps_left = steps_left_of(batch, self.horizon, steps)
        actions = self.act(batch, steps_left, deterministic=deterministic)
        return (actions if is_batch else actions[0]), ClockState(steps + 1)
