"""``glamor-gym tasks``: list the tasks.

In: :class:`~glamor_gym.commands.options.Tasks`, the task table, the goal sets and the paper's
figures. Out: a table on the terminal.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from types import MappingProxyType

from rich.table import Table

from glamor_gym.commands.console import terminal
from glamor_gym.commands.options import Tasks
from glamor_gym.goals import GoalSetError, load_goal_set
from glamor_gym.report.published import METHODS, published_rates
from glamor_gym.tasks import TASKS, ActionSet, Task

ACTIONS: Mapping[ActionSet, str] = MappingProxyType(
    {
        "minimal": "minimal set",
        "cartesian": "{−1, 0, 1}^A",
        "diagonal": "±1 on one of A, or 0",
        "native": "its own",
    }
)

LABELS = 6
"""Longest list of labels that is printed in full."""


def list_tasks(options: Tasks, _command: str) -> int:
    """Print a row for each task and, with --verbose, the caveats of their labels."""
    table = Table(caption=f"paper: {', '.join(METHODS)} at 500k steps")
    table.add_column("id", no_wrap=True)
    table.add_column("T", justify="right")
    for title in ("actions", "labels", "goals", "paper"):
        table.add_column(title, overflow="fold")
    for suite, tasks in groupby(TASKS.values(), key=lambda task: task.suite):
        table.add_section()
        table.add_row(suite, style="bold")
        for task in tasks:
            rates = published_rates(task.name)
            table.add_row(
                task.id,
                str(task.horizon),
                ACTIONS[task.actions],
                _shortened(list(task.labels), LABELS),
                goals_state(task),
                "  ".join(f"{rates[method].mean:.2f}" for method in METHODS if rates),
            )
    terminal().print(table)
    if options.verbose:
        print("Caveats:")
        for task in TASKS.values():
            if task.caveat:
                print(f"  {task.name}: {task.caveat}")
    return 0


def _shortened(names: list[str], most: int) -> str:
    """Join names by commas; shorten a list of more than `most` and append its length."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[: most - 1])}, … ({len(names)})"


def goals_state(task: Task) -> str:
    """Return the number of evaluation and training goals of a task, or that they are missing."""
    try:
        goals = load_goal_set(task.name)
    except GoalSetError:
        return "missing or damaged"
    return f"{len(goals.evaluation)} + {len(goals.training)}"
