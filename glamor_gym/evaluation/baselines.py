"""The two baselines reported with every result: a random agent and a no-op agent.

They ignore the goal, so their success rates show how many goals are reached by chance. Both have
the ``predict`` of Stable-Baselines3, for one observation or a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from glamor_gym.checks import as_integer


class Predictor(Protocol):
    """The interface that an evaluated agent must have: the ``predict`` of Stable-Baselines3."""

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
    """Samples the world's actions uniformly, and never STOP.

    Args:
        stop_action: index of STOP, at least 1; the world's actions have the indices below it.
        seed: seed of the actions, 0 or larger.

    Raises:
        ValueError: `stop_action` is below 1, or `seed` is negative.
        TypeError: `stop_action` or `seed` is not an integer.
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
        """Return a random action, int64, for each observation; `state` is returned unchanged."""
        return self._rng.integers(self._stop_action, size=_batch_shape(observation)), state


class NoopAgent:
    """Says STOP at once; not Atari's NOOP.

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
        """Return STOP, int64, for each observation; `state` is returned unchanged."""
        return np.full(_batch_shape(observation), self._stop_action, np.int64), state


def _batch_shape(observation: Mapping[str, NDArray[Any]]) -> tuple[int, ...]:
    """Return (B,) for a batch and () for a single observation.

    ``steps_left``, of shape (1,) in a single observation, tells which it is; an observation
    without it is taken for a batch.
    """
    if "steps_left" in observation:
        return np.shape(observation["steps_left"])[:-1]
    return np.shape(observation["desired_goal"])[:1]
