"""The two agents that every result is printed beside: acting at random, and not acting.

They know nothing of the goal, so what they reach is what the task gives away. Both speak the
``predict`` of Stable-Baselines3, for one observation or a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from glamor_gym.checks import as_integer


class Predictor(Protocol):
    """What an agent must offer to be evaluated: the ``predict`` of Stable-Baselines3."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Any, Any]:
        """Return an action for each observation of a batch, and the agent's next state."""
        ...


class RandomAgent:
    """Takes the world's actions uniformly at random and never stops before the horizon.

    Args:
        stop_action: index of STOP; the actions below it are the world's.
        seed: seed of the actions.

    Raises:
        ValueError: `stop_action` leaves no action to take, or `seed` is negative.
        TypeError: one of them is no integer.
    """

    def __init__(self, stop_action: int, seed: int = 0) -> None:
        stop_action = as_integer(stop_action, name="stop_action", low=1)
        self._stop_action = stop_action
        self._rng = np.random.default_rng(as_integer(seed, name="seed", low=0))

    def predict(
        self,
        observation: Mapping[str, NDArray[Any]],
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], Any]:
        """Return random actions, int64, one for each observation; `state` is handed through."""
        return self._rng.integers(self._stop_action, size=_batch_shape(observation)), state


class NoopAgent:
    """Ends every episode at once, wherever it has started.

    Args:
        stop_action: index of STOP.
    """

    def __init__(self, stop_action: int) -> None:
        self._stop_action = stop_action

    def predict(
        self,
        observation: Mapping[str, NDArray[Any]],
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[NDArray[np.int64], Any]:
        """Return STOP, int64, for each observation; `state` is handed through."""
        return np.full(_batch_shape(observation), self._stop_action, np.int64), state


def _batch_shape(observation: Mapping[str, NDArray[Any]]) -> tuple[int, ...]:
    """(B,) for a batch and () for one observation, as told by ``steps_left``, a vector of 1.

    Observations without that are taken for a batch.
    """
    if "steps_left" in observation:
        return np.shape(observation["steps_left"])[:-1]
    return np.shape(observation["desired_goal"])[:1]
