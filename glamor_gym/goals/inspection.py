"""Inspection of a goal set: what is wrong with it, and what its goals look like.

In: a :class:`~glamor_gym.goals.goal_set.GoalSet`. Out: a list of problems; or one picture of
all goals of a split.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Literal, cast, get_args

import cv2
import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from glamor_gym.checks import as_choice, as_instance
from glamor_gym.envs import make_world
from glamor_gym.goals.build import N_EVALUATION, N_TRAINING
from glamor_gym.goals.goal_list import GoalList, GoalSetError
from glamor_gym.goals.goal_set import GoalSet
from glamor_gym.tasks import TASKS, Task, get_task
from glamor_gym.types import World

Split = Literal["evaluation", "training"]

_CELL = (80, 104)
_GAP = 4


def verify_goal_set(goal_set: GoalSet, *, task: Task | None = None) -> list[str]:
    """Return the problems of a goal set by the standards of this package, one sentence each.

    All contents are read and thereby compared with their hashes, and the task's world, without
    rendering, is asked to show each goal.

    Args:
        goal_set: the goal set.
        task: the task that it is of; None for the one of that name in the task table.
    """
    as_instance(goal_set, GoalSet, name="goal_set")
    if task is None and goal_set.task not in TASKS:
        return [f"there is no task {goal_set.task!r}"]
    if task is not None and goal_set.task != task.name:
        return [f"the goals are of {goal_set.task!r}, not of {task.name!r}"]
    try:
        _ = goal_set.training.content
    except GoalSetError as error:
        return [str(error)]
    task = get_task(goal_set.task) if task is None else task
    problems = []
    if set(goal_set.label_names) != set(task.labels):
        problems.append(f"labels are {goal_set.label_names}, the task has {tuple(task.labels)}")
    problems += [f"{name} has range 0" for name, extent in goal_set.ranges.items() if extent == 0]
    with contextlib.closing(make_world(task, render_profile=None)) as world:
        world.reset(seed=0)
        problems += _problems(world, "evaluation", goal_set.evaluation, N_EVALUATION)
        problems += _problems(world, "training", goal_set.training, N_TRAINING)
    return problems


def goal_sheet(
    goal_set: GoalSet, which: Split = "evaluation", *, task: Task | None = None
) -> NDArray[np.uint8]:
    """Return one picture of all goals of a split, row by row in their order, uint8 (H, W).

    Args:
        goal_set: the goal set.
        which: ``"evaluation"`` or ``"training"``.
        task: the task that it is of; None for the one of that name in the task table.

    Raises:
        ValueError: `which` is neither of these, or there is no such task.
        RenderingError: control goals cannot be rendered on this machine.
    """
    as_choice(which, get_args(Split), name="which")
    as_instance(goal_set, GoalSet, name="goal_set")
    goals = goal_set.evaluation if which == "evaluation" else goal_set.training
    with contextlib.closing(make_world(task or goal_set.task, frame_size=_CELL)) as world:
        world.reset(seed=0)
        pictures = np.stack([_picture(world, content) for content in goals.content])
    columns = round(np.sqrt(1.2 * len(pictures)))
    rows = -(-len(pictures) // columns)
    _, height, width = pictures.shape
    cells = np.full((rows * columns, height + _GAP, width + _GAP), 255, np.uint8)
    cells[: len(pictures), :height, :width] = pictures
    grid = cells.reshape(rows, columns, *cells.shape[1:]).swapaxes(1, 2)
    return grid.reshape(rows * cells.shape[1], columns * cells.shape[2])[:-_GAP, :-_GAP]


def _problems(world: gym.Env[Any, Any], split: Split, goals: GoalList, count: int) -> Iterator[str]:
    if len(goals) != count:
        yield f"there are {len(goals)} {split} goals instead of {count}"
    for table in ("labels", "lagged_labels"):
        if not np.isfinite(getattr(goals, table)).all():
            yield f"some {table} of {split} goals are not finite"
    # A world with few states has to repeat them.
    listed = world.has_wrapper_attr("all_goals")
    possible = len(world.get_wrapper_attr("all_goals")()) if listed else len(goals)
    distinct = len({content.tobytes() for content in goals.content})
    if distinct < min(len(goals), possible):
        yield f"only {distinct} of {len(goals)} {split} goals are distinct"
    source = cast(World, world.unwrapped)
    if goals.kind != source.goal_kind:
        yield f"{split} goals are of kind {goals.kind!r}, the task needs {source.goal_kind!r}"
        return
    for index, content in enumerate(goals.content):
        try:
            shown = source.goal_screen(content)
        except (TypeError, ValueError) as error:
            yield f"{split} goal {index} cannot be shown: {error}"
            return
        if shown.shape != world.observation_space.shape:
            yield f"{split} goal {index} is shown with the wrong shape {shown.shape}"
            return


def _picture(world: gym.Env[Any, Any], content: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a goal in grayscale: as a frame, or as drawn by a world that draws its vectors."""
    shown = cast(World, world.unwrapped).goal_screen(content)
    draw = getattr(world.unwrapped, "draw_observation", None)
    if draw is not None:
        shown = cv2.cvtColor(draw(shown), cv2.COLOR_RGB2GRAY)
    else:
        shown = cv2.resize(shown, _CELL[::-1], interpolation=cv2.INTER_AREA)
    return shown.astype(np.uint8, copy=False)
