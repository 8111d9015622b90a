"""Entity labels for an environment that has none: where things are, by name (§4.4).

In: an environment, and a function that reads its labels. Out: the same environment with
``info["labels"]`` at every moment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, SupportsFloat

import gymnasium as gym
from gymnasium.utils import RecordConstructorArgs

from glamor_gym.checks import as_instance
from glamor_gym.snapshots import Stateless
from glamor_gym.wrappers.goal_rules import as_labels


class EntityLabels(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs, Stateless):
    """Put the labels of each moment into ``info["labels"]`` (dict name → float)."""

    def __init__(
        self, env: gym.Env[Any, Any], label_fn: Callable[[Any], Mapping[str, SupportsFloat]]
    ) -> None:
        """Wrap `env`.

        Args:
            env: any environment.
            label_fn: function called with ``env.unwrapped`` after each reset and step; returns
                the labels at that moment.

        Raises:
            TypeError: `label_fn` is not a function.
        """
        as_instance(label_fn, Callable, name="label_fn")  # type: ignore[arg-type]
        RecordConstructorArgs.__init__(self, label_fn=label_fn)
        gym.Wrapper.__init__(self, env)
        self._label_fn = label_fn

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the environment and read the labels."""
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, self._labelled(info)

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Take an action and read the labels after it."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, self._labelled(info)

    def _labelled(self, info: dict[str, Any]) -> dict[str, Any]:
        labels = self._label_fn(self.env.unwrapped)
        return {**info, "labels": as_labels(labels, name="what label_fn returns")}
