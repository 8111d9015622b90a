"""Tables that commands print.

In: results. Out: tables for the console.
"""

from __future__ import annotations

import math

from rich.markup import escape
from rich.table import Table

from glamor_gym.report import published_rates
from glamor_gym.types import EvaluationResult


def result_table(result: EvaluationResult, name: str) -> Table:
    """Return a table of an agent's success rate, the baselines' and the paper's.

    Args:
        result: evaluation of the agent.
        name: name of the agent in the table.
    """
    table = Table(title=f"{result.task}: goals reached")
    table.add_column("")
    table.add_column("rate", justify="right")
    table.add_column("95 % interval")
    table.add_column("")
    table.add_row(
        escape(name),
        f"{result.success_rate:.2f}",
        _interval(result.confidence_interval),
        f"{result.episodes} episodes; within reach at some step {result.reached_rate:.2f}, "
        f"same picture at the end {result.image_match_rate:.2f}",
        style="bold",
    )
    if not math.isnan(result.random):
        table.add_row("random agent", f"{result.random:.2f}", _interval(result.random_interval))
        table.add_row("no-op agent", f"{result.noop:.2f}", _interval(result.noop_interval))
    for method, rate in published_rates(result.task).items():
        spread = f"± {rate.std:.2f} over seeds, 500k steps"
        table.add_row(f"{method}, paper", f"{rate.mean:.2f}", "", spread)
    return table


def _interval(interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{low:.2f} to {high:.2f}"
