"""Worlds: the simulated environments, before goals, frames and STOP are added.

In: a row of the task table. Out: a :class:`gymnasium.Env` that satisfies
:class:`glamor_gym.types.World`. Each suite's simulator is imported when it is first needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Literal, cast, get_args

import gymnasium as gym
from gymnasium.error import DependencyNotInstalled

from glamor_gym.checks import as_choice, as_size
from glamor_gym.tasks import Task, get_task

RenderProfile = Literal["paper", "fast"]

DM_CONTROL_FIX = "pip install --no-deps 'dm-control>=1.0.50,<2'"
"""Installs dm_control without labmaze, which has no wheel for Python 3.13 and is not needed."""


def make_world(
    task: Task | str,
    *,
    sticky: float | None = None,
    frame_size: tuple[int, int] = (80, 104),
    render_profile: RenderProfile | None = "paper",
    render_mode: str | None = None,
) -> gym.Env[Any, Any]:
    """Build the world of a task.

    Args:
        task: a row of :data:`glamor_gym.tasks.TASKS`, or its name or id.
        sticky: probability per emulator frame that the previous action is repeated; None for
            the task's default. Atari only.
        frame_size: (height, width) in pixels at which control worlds are rendered; Atari
            screens keep the console's size.
        render_profile: rendering style of the control worlds, ``"paper"`` or ``"fast"``; None for
            black screens without OpenGL, if only labels and states are needed. No effect on the
            other worlds.
        render_mode: None or ``"rgb_array"``, for ``render()`` of the world itself.

    Raises:
        ValueError: there is no such task, or an argument is out of range.
        DependencyNotInstalled: a control task is asked for, and dm_control is not there.
    """
    if not isinstance(task, Task):
        task = get_task(task)
    if sticky is not None and task.suite != "atari":
        raise ValueError(f"sticky is for Atari tasks only, got {sticky!r} for {task.name}")
    as_choice(render_profile, (*get_args(RenderProfile), None), name="render_profile")
    frame_size = as_size(frame_size, name="frame_size")
    if task.suite == "atari":
        from glamor_gym.envs.atari import AtariWorld

        return AtariWorld(
            task.source,
            cast(Mapping[str, int], task.labels),
            frame_skip=task.frame_skip,
            noops=task.noops,
            sticky=task.sticky if sticky is None else sticky,
            render_mode=render_mode,
        )
    if task.suite == "control":
        if find_spec("dm_control") is None:
            raise DependencyNotInstalled(f"control tasks need dm_control: {DM_CONTROL_FIX}")
        from glamor_gym.envs.control import ControlWorld

        return ControlWorld(
            task, frame_size=frame_size, render_profile=render_profile, render_mode=render_mode
        )
    from glamor_gym.envs.dice import Dice
    from glamor_gym.envs.gridworld import GridWorld

    small: dict[str, type[Dice] | type[GridWorld]] = {"GridWorld": GridWorld, "Dice": Dice}
    return small[task.source](render_mode=render_mode)


__all__ = ["DM_CONTROL_FIX", "RenderProfile", "make_world"]
