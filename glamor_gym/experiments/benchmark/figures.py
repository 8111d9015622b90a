"""The figures of a benchmark's report, drawn with Matplotlib.

In: estimates from :mod:`glamor_gym.experiments.estimates`. Out: figures for light and dark pages.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from glamor_gym.experiments.algorithms import title_of
from glamor_gym.report.figures import (
    Bar,
    Curve,
    Level,
    by_distance,
    curve_panels,
    curve_plot,
    rate_bars,
)
from glamor_gym.report.style import (
    PUBLISHED,
    Plot,
    canvas,
    colours_of,
    plot,
    rates_at_left,
    styled,
)
from glamor_gym.types import EvaluationResult

LINES: Mapping[str, str] = {"random": ":", "noop": "--"}
"""Line styles of agents that share a colour; all others have solid lines."""


def estimate_bars(estimates: Mapping[str, tuple[float, float, float]]) -> Plot:
    """Plot the rates of algorithms with their intervals, the best on top.

    Args:
        estimates: algorithm → (rate, low, high); low and high are NaN if unknown.
    """
    ranked = sorted(estimates.items(), key=lambda item: -item[1][0])
    colours = colours_of(sorted(estimates))
    return rate_bars(
        [
            Bar(
                title_of(agent),
                rate,
                rate if math.isnan(low) else low,
                rate if math.isnan(high) else high,
                colours[agent],
            )
            for agent, (rate, low, high) in ranked
        ]
    )


def learning_curves(estimates: pd.DataFrame) -> Plot:
    """Plot the curves of all algorithms in one panel.

    Args:
        estimates: return value of :func:`~glamor_gym.experiments.estimates.curve_estimates`.
    """
    colours = colours_of(sorted(set(estimates["agent"])))
    return curve_plot(_curves(estimates, colours), height=3.6, names_per_row=4)


def task_panels(estimates: Mapping[str, pd.DataFrame], published: Mapping[str, float]) -> Plot:
    """Plot the curves of all algorithms, one panel per task.

    Args:
        estimates: task → estimates as in :func:`learning_curves`; at least one task.
        published: task → GLAMOR's rate in the paper, if it has one.
    """
    colours = colours_of(sorted({name for table in estimates.values() for name in table["agent"]}))
    with styled():
        figure = curve_panels(
            {
                task: (
                    _curves(found, colours),
                    [Level("paper", published[task], PUBLISHED, "-.")] if task in published else [],
                )
                for task, found in estimates.items()
            }
        )
        return plot(figure)


def _curves(estimates: pd.DataFrame, colours: Mapping[str, str]) -> list[Curve]:
    """Return a curve for each algorithm, with its interval if known and it learns."""
    curves = []
    for agent, found in estimates.groupby("agent", sort=False):
        name, points = str(agent), found.rename(columns={"value": "rate"})
        if name in LINES:
            points = points.assign(low=math.nan, high=math.nan)
        line, marker = LINES.get(name, "-"), "" if name in LINES else "o"
        curves.append(Curve(title_of(name), points, colours[name], line, marker))
    return curves


def distance_curves(results: Mapping[str, Sequence[EvaluationResult]]) -> Plot | None:
    """Plot the success rate of each algorithm by the distance of goals from the start.

    Args:
        results: algorithm → evaluations; all of their goals have equal weight.

    Returns:
        The plot; None if no evaluation has distances.
    """
    rates = {agent: by_distance(found)["rate"] for agent, found in results.items()}
    if not any(values.notna().any() for values in rates.values()):
        return None
    with styled():
        figure, axes = canvas(height=3.2)
        colours = colours_of(sorted(rates))
        for agent, values in rates.items():
            axes.plot(
                values.index,
                values,
                LINES.get(agent, "-"),
                color=colours[agent],
                marker="o",
                markersize=4,
                label=title_of(agent),
            )
        axes.set_xlabel("distance from the start, in feasible ranges")
        rates_at_left(axes)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, fontsize=9)
        return plot(figure)
