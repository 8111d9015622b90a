"""What ``gym.make("glamor/…")`` builds: a task's world, wrapped, with its goals.

In: the name of a task and the keyword arguments of ``gym.make``. Out: a
:class:`~glamor_gym.wrappers.GoalEnv`.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, get_args

import gymnasium as gym

from glamor_gym.checks import as_choice
from glamor_gym.envs import RenderProfile
from glamor_gym.goals import load_goal_set
from glamor_gym.names import naming_options, nearest_names, unknown_option
from glamor_gym.tasks import Task, get_task
from glamor_gym.types import Goal
from glamor_gym.wrappers import FRAME_SIZE, GoalEnv, label_ranges, make_pipeline
from glamor_gym.wrappers.goal_rules import Reward

_PACKAGED = {"train": "training", "eval": "evaluation", "held-out": "held_out"}
"""Value of `goals` → attribute of the task's packaged goal set."""

_OF_VECTORS = {"autoreset_mode": "gym.make_vec takes it in vector_kwargs={'autoreset_mode': …}"}
"""Options of vectors in ``vectorization_mode="sync"`` or ``"async"``, and where they belong."""

_OF_GYMNASIUM = ("max_episode_steps", "disable_env_checker")
"""Options of ``gym.make`` itself."""

_CHOICES = "'train', 'eval', 'held-out', 'all' or an .npz path, ':eval' or ':held-out' after it"


@partial(naming_options, elsewhere=_OF_VECTORS)
def make_goal_env(
    task: str,
    *,
    goals: str | os.PathLike[str] = "train",
    reward: Reward = "image",
    frame_size: tuple[int, int] = FRAME_SIZE,
    frame_stack: int = 4,
    horizon: int | None = None,
    sticky: float | None = None,
    render_profile: RenderProfile = "paper",
    label_lag: Literal[0, 1] = 0,
    render_mode: str | None = None,
) -> GoalEnv:
    """Build the goal environment of a task; the keyword arguments are those of ``gym.make``.

    Args:
        task: name or id of a task.
        goals: the goals that ``reset()`` draws from: ``"train"``, the task's 1000 training goals;
            ``"eval"``, its 30 evaluation goals; ``"held-out"``, up to 30 training goals that are
            not evaluation goals, see :attr:`~glamor_gym.goals.GoalSet.held_out`; ``"all"``, every
            state of a small world; or the path of a goal-set file (``.npz``), whose training
            goals are used, or with ``":eval"`` or ``":held-out"`` after it those. Pass the path as
            a string to keep the environment's ``spec`` JSON-serialisable.
        reward: ``"image"`` or ``"labels"``, see :class:`~glamor_gym.wrappers.GoalEnv`.
        frame_size: (height, width) of the frames, in pixels.
        frame_stack: number of frames in ``observation``.
        horizon: T, the maximum number of steps in an episode; None for the task's default.
        sticky: probability per emulator frame that the previous action is repeated; None for
            the task's default. Atari only.
        render_profile: rendering style of the control worlds, ``"paper"`` or ``"fast"``.
        label_lag: 0, or 1 for comparison with the paper's Table 1, see
            :class:`~glamor_gym.wrappers.GoalEnv`.
        render_mode: None or ``"rgb_array"``, the world beside its goal; ``gym.make`` also takes
            ``"rgb_array_list"`` and ``"human"``, which opens a window and needs pygame.

    Raises:
        ValueError: an argument is not one of the values above; the message names it.
        TypeError: an argument has the wrong type.
        OSError: the goal-set file cannot be read.
    """
    row = get_task(task)
    as_choice(render_profile, get_args(RenderProfile), name="render_profile")
    world = make_pipeline(
        row,
        sticky=sticky,
        frame_size=frame_size,
        render_profile=render_profile,
        render_mode=render_mode,
    )
    chosen, ranges = choose_goals(row, world, goals)
    return GoalEnv(
        world,
        chosen,
        ranges=ranges,
        horizon=row.horizon if horizon is None else horizon,
        reward=reward,
        label_lag=label_lag,
        frame_stack=frame_stack,
        render_mode=render_mode,
    )


# With it, `gym.make` offers "rgb_array_list" and "human" through its own wrappers.
make_goal_env.metadata = GoalEnv.metadata  # type: ignore[attr-defined]


def check_option_names(options: Iterable[str]) -> None:
    """Check that keyword arguments for ``gym.make`` of a task exist, without making anything.

    Raises:
        TypeError: one does not; the message suggests similar names.
    """
    of_tasks = [name for name in inspect.signature(make_goal_env).parameters if name != "task"]
    for name in options:
        if name not in (*of_tasks, *_OF_GYMNASIUM):
            raise unknown_option(name, of_tasks, _OF_VECTORS)


def choose_goals(
    task: Task, world: gym.Env[Any, Any], goals: str | os.PathLike[str]
) -> tuple[Sequence[Goal], Mapping[str, float]]:
    """Return the goals selected by `goals`, and the feasible range of each label.

    Args:
        task: the task that the goals belong to.
        world: the task's world, which lists its states if `goals` is ``"all"``.
        goals: see :func:`make_goal_env`.

    Raises:
        ValueError: `goals` is not a valid choice, the world's states cannot be listed, or the
            file is damaged or belongs to another task.
        OSError: the file cannot be read.
    """
    if not isinstance(goals, str | os.PathLike):
        raise ValueError(_not_goals(goals))
    if goals == "all":
        if not world.has_wrapper_attr("all_goals"):
            raise ValueError(f"goals='all' is for small worlds; {task.name} has too many states")
        states: list[Goal] = world.get_wrapper_attr("all_goals")()
        return states, label_ranges(states)
    if isinstance(goals, str) and goals in _PACKAGED:
        packaged = load_goal_set(task.name)
        return getattr(packaged, _PACKAGED[goals]), packaged.ranges
    path, colon, part = str(goals).rpartition(".npz:")
    file, part = (f"{path}.npz", part) if colon else (goals, "train")
    is_file = isinstance(file, os.PathLike) or file.endswith(".npz")
    if not is_file or part not in _PACKAGED:
        raise ValueError(_not_goals(goals))
    own = load_goal_set(file)
    if own.task != task.name:
        raise ValueError(f"goals must be a goal set of {task.name}, got one of {own.task}: {file}")
    return getattr(own, _PACKAGED[part]), own.ranges


def _not_goals(goals: Any) -> str:
    """Return the message for a value that names no goals, with a hint at what may be meant."""
    told = f"goals must be {_CHOICES}, got {goals!r}"
    if str(goals).isdecimal():
        return f"{told}; a single goal is chosen by reset(options={{'goal': {goals}}})"
    hint = nearest_names(str(goals), (*_PACKAGED, "all"))
    return f"{told}; {hint}" if hint.startswith("did you mean") else told
