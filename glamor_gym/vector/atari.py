"""``gym.make_vec("glamor/Pong-v0")``: Atari in threads if that leaves every frame unchanged.

In: the arguments of ``gym.make_vec``. Out: a vector in threads, or where these cannot play what was
asked for, a plain one and a warning that says why.
"""

from __future__ import annotations

import inspect
import os
from functools import partial
from typing import Any, Literal, get_args

import gymnasium as gym
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from glamor_gym.checks import as_choice, as_integer, as_render_mode
from glamor_gym.envs import RenderProfile
from glamor_gym.factory import choose_goals, make_goal_env
from glamor_gym.names import unknown_option
from glamor_gym.tasks import Task, get_task
from glamor_gym.vector.atari_world import ThreadedAtariWorld
from glamor_gym.vector.threaded_atari import ThreadedAtariVectorEnv, as_autoreset_mode
from glamor_gym.wrappers import FRAME_SIZE
from glamor_gym.wrappers.goal_rules import Reward, as_horizon, as_label_lag, as_reward


def make_atari_vector_env(
    num_envs: int,
    task: str,
    *,
    max_episode_steps: int | None = None,
    autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    **options: Any,
) -> SyncVectorEnv | ThreadedAtariVectorEnv:
    """Build a vector of Atari goal environments, in threads if that leaves every frame unchanged.

    What threads cannot play (see :func:`why_no_threads`) gives a plain `SyncVectorEnv`, which has
    labels, and a warning that says why; with ``vectorization_mode="sync"`` there is none.

    Args:
        num_envs: number of environments.
        task: name or id of an Atari task.
        max_episode_steps: Gymnasium's time limit, which truncates episodes without being part of
            the observation, unlike `horizon`. If set, no threads are used.
        autoreset_mode: when an environment whose episode has ended is reset; see Gymnasium. A
            string such as ``"SameStep"`` keeps the vector's ``spec`` JSON-serialisable.
        **options: see :func:`~glamor_gym.factory.make_goal_env`.

    Raises:
        ValueError: an argument is out of range; the message names it.
        TypeError: an argument has the wrong type.
    """
    num_envs = as_integer(num_envs, name="num_envs", low=1)
    row = get_task(task)
    for name in options:
        if name not in _OPTIONS:
            raise unknown_option(name, _OPTIONS)
    mode = as_autoreset_mode(autoreset_mode)
    as_render_mode(options.get("render_mode"))
    style = options.get("render_profile", "paper")  # without effect: Atari has a single one
    as_choice(style, get_args(RenderProfile), name="render_profile")
    reason = why_no_threads(row, max_episode_steps=max_episode_steps, **options)
    if reason is None:
        rest = {name: option for name, option in options.items() if name not in _CHECKED}
        return _make_threaded(num_envs, row, autoreset_mode=mode, **rest)
    gym.logger.warn("%s is stepped one by one, not in threads: %s", row.id, reason)
    make = partial(gym.make, row.id, max_episode_steps, **options)
    return SyncVectorEnv([make] * num_envs, autoreset_mode=mode)


_OPTIONS = sorted(
    {*inspect.signature(make_goal_env).parameters, "max_episode_steps", "autoreset_mode"} - {"task"}
)
"""What may be given to ``gym.make_vec``."""

_CHECKED = ("reward", "label_lag", "render_profile")
"""Options that threads do not need to know, once checked."""


def why_no_threads(
    task: Task,
    *,
    reward: Reward = "image",
    label_lag: Literal[0, 1] = 0,
    horizon: int | None = None,
    max_episode_steps: int | None = None,
    **options: Any,
) -> str | None:
    """Return why threads cannot play a task as a single environment would; None if they can.

    They show neither labels nor the last picture of a game that is over, and their minimum number
    of no-ops is 0.

    Args:
        task: an Atari task.
        reward: see :func:`~glamor_gym.factory.make_goal_env`.
        label_lag: see :func:`~glamor_gym.factory.make_goal_env`.
        horizon: see :func:`~glamor_gym.factory.make_goal_env`.
        max_episode_steps: Gymnasium's time limit.
        **options: all others, which make no difference.

    Raises:
        ValueError: an argument is out of range.
        TypeError: `horizon` is not an integer.
    """
    steps = task.horizon if horizon is None else as_horizon(horizon)
    if as_reward(reward) != "image":
        return f"reward={reward!r} needs labels, which threads do not show"
    if as_label_lag(label_lag):
        return f"label_lag={label_lag!r} needs labels, which threads do not show"
    if steps > task.horizon:
        return f"a game may be over within horizon={steps}, and threads do not show its last screen"
    if task.noops[0] > 0:
        return f"{task.name} begins with at least {task.noops[0]} no-ops, in threads with 0 or more"
    if max_episode_steps not in (None, -1):  # -1 is Gymnasium's word for no limit
        return f"max_episode_steps={max_episode_steps} is the limit of a single environment"
    return None


def _make_threaded(
    num_envs: int,
    task: Task,
    *,
    autoreset_mode: AutoresetMode,
    goals: str | os.PathLike[str] = "train",
    frame_size: tuple[int, int] = FRAME_SIZE,
    frame_stack: int = 4,
    horizon: int | None = None,
    sticky: float | None = None,
    render_mode: str | None = None,
) -> ThreadedAtariVectorEnv:
    """Build a vector in threads of a task that :func:`why_no_threads` has nothing against."""
    worlds = [
        ThreadedAtariWorld(
            task.source,
            frame_size=frame_size,
            frame_skip=task.frame_skip,
            most_noops=task.noops[1],
            sticky=task.sticky if sticky is None else sticky,
        )
        for _ in range(num_envs)
    ]
    chosen, _ = choose_goals(task, worlds[0], goals)
    return ThreadedAtariVectorEnv(
        worlds,
        chosen,
        horizon=task.horizon if horizon is None else horizon,
        frame_stack=frame_stack,
        render_mode=render_mode,
        autoreset_mode=autoreset_mode,
    )
