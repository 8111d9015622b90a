"""Resets of the training environments by others, which cut the agent's episodes short.

In: a vector environment, when the agent leaves it and when it comes back; and the observations
before and after a step. Out: whether somebody has reset it in between.

SB3's `evaluate_policy` does so if it is given the environment in which the agent trains.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import is_not
from typing import Any

from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv


class ResetWatch:
    """Recognises that a vector environment was reset while the agent was away."""

    def __init__(self) -> None:
        self._env: VecEnv | None = None
        self._infos: list[Any] = []  # of its last resets; each reset makes a new one

    def leave(self, env: VecEnv) -> None:
        """Remember the vector's last resets."""
        self._env, self._infos = env.unwrapped, list(env.unwrapped.reset_infos)

    def was_reset(self, env: VecEnv) -> bool:
        """Return whether the vector, if it is the one that was left, was reset since then."""
        now = env.unwrapped
        return now is self._env and any(map(is_not, self._infos, now.reset_infos))


def clock_was_set_back(
    observation_space: spaces.Dict,
    before: Mapping[str, NDArray[Any]],
    after: Any,
    going_on: NDArray[Any],
) -> bool:
    """Return whether a step left as many steps as before, or more, in an episode that goes on.

    Then somebody has reset an environment that the vector holds, and the vector has not seen it.
    Where an episode begins, such a reset is not seen: the clock looks the same.

    Args:
        observation_space: of one environment; the answer is no if it has no ``steps_left``.
        before: observations before the step, one row per environment.
        after: observations after it, likewise.
        going_on: (n_envs,) flags of the environments whose episode goes on.
    """
    clock = observation_space.spaces.get("steps_left")
    if clock is None:
        return False
    assert isinstance(clock, spaces.Box)
    left_before, left_after = before["steps_left"], after["steps_left"]
    set_back = ((left_after >= left_before) & (left_before < clock.high))[:, 0]
    return bool((set_back & going_on).any())
