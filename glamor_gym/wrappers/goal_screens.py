"""A goal as the observations show it: through the wrappers between a world and its user.

In: a world, wrapped or not, and the content of a goal. Out: the goal with the look of the wrapped
world's observations.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium.wrappers import (
    AddRenderObservation,
    DelayObservation,
    MaxAndSkipObservation,
    NormalizeObservation,
    TimeAwareObservation,
)
from numpy.typing import NDArray

from glamor_gym.types import GoalKind

_SHOW_MORE = (
    AddRenderObservation,
    DelayObservation,
    MaxAndSkipObservation,
    NormalizeObservation,
    TimeAwareObservation,
)
"""Wrappers whose observations depend on more than the present observation of what they wrap."""


def goal_kind(world: gym.Env[Any, Any]) -> GoalKind:
    """Return the kind of goals that a world shows besides those of kind ``"frame"``, if any."""
    if not world.has_wrapper_attr("goal_kind"):
        return "frame"
    kind: GoalKind = world.get_wrapper_attr("goal_kind")
    return kind


def show_goal(env: gym.Env[Any, Any], content: NDArray[Any]) -> NDArray[Any]:
    """Return a goal as `env` would show it now.

    A world's ``goal_screen`` is passed through ``observation()`` of every
    :class:`gymnasium.ObservationWrapper` around it. A wrapper may instead have a ``goal_screen``
    of its own.

    Args:
        env: an environment that :func:`check_goal_screens` accepts.
        content: content of a goal of its kind, see :func:`goal_kind`.

    Returns:
        An array with the shape and dtype of the observations of `env`.
    """
    if hasattr(env, "goal_screen") or not isinstance(env, gym.Wrapper):
        shown: NDArray[Any] = env.get_wrapper_attr("goal_screen")(content)
        return shown
    shown = show_goal(env.env, content)
    return env.observation(shown) if isinstance(env, gym.ObservationWrapper) else shown


def check_goal_screens(env: gym.Env[Any, Any]) -> None:
    """Check that :func:`show_goal` gives goals the look of the observations of `env`.

    Raises:
        ValueError: a wrapper changes observations in a way in which goals cannot be changed: it is
            no ``ObservationWrapper``, or one that shows more than the present observation.
    """
    if goal_kind(env) == "frame":  # kept as they are shown
        return
    while isinstance(env, gym.Wrapper) and not hasattr(env, "goal_screen"):
        shows_more = isinstance(env, _SHOW_MORE)
        changes = shows_more or env.observation_space != env.env.observation_space
        if changes and (shows_more or not isinstance(env, gym.ObservationWrapper)):
            raise ValueError(
                f"goals must look like observations, but the wrapper {type(env).__name__} changes "
                "observations only: leave it out, give it a method goal_screen(content), or make "
                "it a gymnasium.ObservationWrapper whose observation() depends on nothing else"
            )
        env = env.env
