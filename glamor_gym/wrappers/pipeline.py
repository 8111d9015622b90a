"""A task's world with the wrappers that precede goals.

In: a row of the task table. Out: an environment with frames (or vectors, if the world shows
vectors), discrete actions and labels, but without stacks, goals and STOP.
"""

from __future__ import annotations

from typing import Any, cast

import gymnasium as gym
from gymnasium import spaces

from glamor_gym.envs import RenderProfile, make_world
from glamor_gym.tasks import Task, get_task
from glamor_gym.wrappers.actions import ActionTable, DiscretizeActions
from glamor_gym.wrappers.frames import FRAME_SIZE, ScreenToFrame


def make_pipeline(
    task: Task | str,
    *,
    sticky: float | None = None,
    frame_size: tuple[int, int] = FRAME_SIZE,
    render_profile: RenderProfile = "paper",
    render_mode: str | None = None,
) -> gym.Env[Any, Any]:
    """Build the world of a task and wrap it up to, not including, goals.

    Args:
        task: a row of :data:`glamor_gym.tasks.TASKS`, or its name or id.
        sticky: see :func:`glamor_gym.envs.make_world`.
        frame_size: (height, width) of the frames, in pixels.
        render_profile: rendering style of the control worlds, ``"paper"`` or ``"fast"``.
        render_mode: None or ``"rgb_array"``, for ``render()`` of the world itself.

    Returns:
        An environment with ``Discrete`` actions whose observation is one frame, uint8 (1, H, W),
        or a float32 vector for the small worlds, with ``info["labels"]`` at every moment.

    Raises:
        ValueError: there is no such task, or an argument is out of range.
        TypeError: `sticky` is not a number.
    """
    if not isinstance(task, Task):
        task = get_task(task)
    env = make_world(
        task,
        sticky=sticky,
        frame_size=frame_size,
        render_profile=render_profile,
        render_mode=render_mode,
    )
    if len(cast(tuple[int, ...], env.observation_space.shape)) > 1:
        env = ScreenToFrame(env, frame_size)
    if isinstance(env.action_space, spaces.Box):
        env = DiscretizeActions(env, cast(ActionTable, task.actions))
    return env
