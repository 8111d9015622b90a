"""STOP: an extra action that ends the episode and leaves the world unchanged (§3.3).

In: an environment with ``Discrete(n)`` actions. Out: the same with ``Discrete(n + 1)``, where
action n is STOP. The wrapped environment never receives it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, SupportsFloat

import gymnasium as gym
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.utils import RecordConstructorArgs

from glamor_gym.checks import as_integer
from glamor_gym.snapshots import Snapshot, restore, snapshot_of


class StopAction(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Append STOP to the actions of an environment that lacks it.

    STOP returns a copy of the last observation, the last info, reward 0 and ``terminated=True``.
    ``info["stopped"]`` says at every step whether STOP ended the episode.

    Attributes:
        stop_action: index of the STOP action.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        """Wrap `env`.

        Args:
            env: any environment with actions ``Discrete(n)`` starting at 0.

        Raises:
            ValueError: `env` has other actions, or already has STOP.
        """
        RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)
        actions = env.action_space
        if not isinstance(actions, spaces.Discrete) or actions.start != 0:
            raise ValueError(f"env must have actions Discrete(n) starting at 0, got {actions}")
        if env.has_wrapper_attr("stop_action"):
            raise ValueError(f"env must not have a STOP action already, got {env}")
        self.stop_action = int(actions.n)
        self.action_space = spaces.Discrete(self.stop_action + 1)
        self._last: dict[str, Any] | None = None  # what STOP would return

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the environment; ``info["stopped"]`` is False."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._remember(observation, info)

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Take an action of the wrapped environment, or end the episode if it is STOP.

        Raises:
            TypeError: `action` is not a single integer.
            ValueError: `action` is out of range.
            ResetNeeded: the episode is over, or none has begun.
        """
        action = as_integer(action, name="action", low=0, high=self.stop_action)
        if self._last is None:
            raise ResetNeeded("call reset() first: no episode is running")
        if action == self.stop_action:
            last, self._last = self._last, None
            return last["observation"], 0.0, True, False, {**last["info"], "stopped": True}
        observation, reward, terminated, truncated, info = self.env.step(action)
        observation, info = self._remember(observation, info)
        if terminated or truncated:
            self._last = None
        return observation, reward, terminated, truncated, info

    def get_action_meanings(self) -> list[str]:
        """Return the name of each action: the world's (or numbers if it has none), and STOP."""
        names: list[str] = []
        if self.env.has_wrapper_attr("get_action_meanings"):
            names = list(self.env.get_wrapper_attr("get_action_meanings")())
        if len(names) != self.stop_action:  # of other actions, which a wrapper has replaced
            names = [str(action) for action in range(self.stop_action)]
        return [*names, "STOP"]

    @property
    def snapshot(self) -> Snapshot:
        """What STOP would return, and the wrapped environment's snapshot; can be set."""
        last = None if self._last is None else _copied(**self._last)
        return {"last": last, "env": snapshot_of(self.env)}

    @snapshot.setter
    def snapshot(self, snapshot: Mapping[str, Any]) -> None:
        last = snapshot["last"]
        self._last = None if last is None else _copied(**last)
        restore(self.env, snapshot["env"])

    def _remember(self, observation: Any, info: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Keep what STOP would return."""
        self._last = _copied(observation, info)
        return observation, {**info, "stopped": False}


def _copied(observation: Any, info: Mapping[str, Any]) -> dict[str, Any]:
    """Return copies of an observation, and of its info without copying the values in it."""
    return {"observation": copy.deepcopy(observation), "info": dict(info)}
