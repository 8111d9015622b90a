"""A task's world with the wrappers that precede goals.

In: a row of the task table. Out: an environment with frames (or vectors, if the world shows
vectors), discrete actions and labels, but without goals and STOP.
"""

from __future__ import annotations

from typing import Any, cast

import gymnasium as gym
from gymnasium import spaces

from glamor_gym.checks import as_integer
from glamor_gym.envs import RenderProfile, make_world
from glamor_gym.tasks import Task, get_task
from glamor_gym.wrappers.actions import ActionTable, DiscretizeActions
from glamor_gym.wrappers.frames import FRAME_SIZE, MOST_FRAMES, ScreenToFrame, StackFrames


def make_pipeline(
    task: Task | str,
    *,
    sticky: float | None = None,
    frame_size: tuple[int, int] = FRAME_SIZE,
    frame_stack: int = 4,
    render_profile: RenderProfile = "paper",
    render_mode: str | None = None,
) -> gym.Env[Any, Any]:
    """Build the world of a task and wrap it up to, not including, goals.

    Args:
        task: a row of :data:`glamor_gym.tasks.TASKS`, or its name or id.
        sticky: see :func:`glamor_gym.envs.make_world`.
        frame_size: (height, width) of the frames, in pixels.
        frame_stack: number of frames in an observation; 1 gives bare frames, uint8 (1, H, W).
        render_profile: rendering style of the control worlds, ``"paper"`` or ``"fast"``.
        render_mode: None or ``"rgb_array"``, for ``render()`` of the world itself.

    Returns:
        An environment with ``Discrete`` actions whose observation is uint8 (frame_stack, H, W),
        or a float32 vector for the small worlds, with ``info["labels"]`` at every moment.

    Raises:
        ValueError: there is no such task, or an argument is out of range.
        TypeError: `frame_stack` is not an integer, or `sticky` is not a number.
    """
    if not isinstance(task, Task):
        task = get_task(task)
    frame_stack = as_integer(frame_stack, name="frame_stack", low=1, high=MOST_FRAMES)
    env = make_world(
        task,
        sticky=sticky,
        frame_size=frame_size,
        render_profile=render_profile,
        render_mode=render_mode,
    )
    pictures = len(cast(tuple[int, ...], env.observation_space.shape)) > 1
    if pictures:
        env = ScreenToFrame(env, frame_size)
    if isinstance(env.action_space, spaces.Box):
        env = DiscretizeActions(env, cast(ActionTable, task.actions))
    if pictures and frame_stack > 1:
        env = StackFrames(env, frame_stack)
    return env
