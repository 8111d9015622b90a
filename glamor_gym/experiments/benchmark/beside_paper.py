"""The page's table of a benchmark: each task's results beside the paper's.

In: the finished runs of a task. Out: a :class:`TableRow`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from glamor_gym.experiments.algorithms import is_trained
from glamor_gym.report.published import METHODS, Rate, published_rates


@dataclass(frozen=True)
class Cell:
    """Result of an algorithm on a task.

    Attributes:
        rate: mean success rate over seeds; None if no run is finished.
        spread: standard deviation over seeds, or the interval of a single seed, as text.
        best: whether it is the best of the algorithms that learn.
    """

    rate: float | None
    spread: str = ""
    best: bool = False


@dataclass(frozen=True)
class TableRow:
    """Results on one task, ours and the paper's."""

    task: str
    cells: list[Cell]
    published: list[Rate | None]


def table_row(task: str, agents: Sequence[str], finished: pd.DataFrame) -> TableRow:
    """Return the results of algorithms on a task, and the paper's.

    Args:
        task: name of the task.
        agents: names of the algorithms, in the order of the cells.
        finished: one row per finished run, see
            :func:`~glamor_gym.experiments.results.results_table`.
    """
    rows = finished[finished["task"] == task]
    by_agent = {agent: rows[rows["agent"] == agent] for agent in agents}
    learned = [by_agent[agent]["success_rate"].mean() for agent in agents if is_trained(agent)]
    best = max((rate for rate in learned if not pd.isna(rate)), default=None)
    published = published_rates(task)
    return TableRow(
        task,
        [_cell(by_agent[agent], best if is_trained(agent) else None) for agent in agents],
        [published.get(method) for method in METHODS],
    )


def _cell(rows: pd.DataFrame, best: float | None) -> Cell:
    """Return the mean and standard deviation over seeds; for one seed, its 95 % interval."""
    if rows.empty:
        return Cell(None)
    rate = float(rows["success_rate"].mean())
    if len(rows) > 1:
        spread = f"({rows['success_rate'].std():.2f})"
    else:
        spread = f"{rows['success_low'].iloc[0]:.2f}–{rows['success_high'].iloc[0]:.2f}"
    return Cell(rate, spread, best is not None and rate >= best)
