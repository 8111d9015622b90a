"""The figures of a benchmark's page, drawn by Matplotlib.

In: estimates as :mod:`glamor_gym.experiments.results` makes them. Out: pictures for light pages
and for dark ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from glamor_gym.experiments.algorithms import ALGORITHMS
from glamor_gym.report.figures import DISTANCES, Bar, distance_names, rate_bars
from glamor_gym.report.style import (
    ALGORITHM_COLOURS,
    CHANCE,
    PUBLISHED,
    WIDTH,
    Plot,
    canvas,
    plot,
    rates_at_left,
    steps_below,
    styled,
)
from glamor_gym.types import EvaluationResult

COLUMNS = 4
"""Panels in a row."""

LINES: Mapping[str, str] = {"random": ":", "noop": "--"}
"""Line styles of those that share a colour; all others are drawn through."""


def title_of(agent: str) -> str:
    """Return how an algorithm is called in print."""
    return ALGORITHMS[agent].title if agent in ALGORITHMS else agent


def colour_of(agent: str) -> str:
    """Return the colour of an algorithm."""
    return ALGORITHM_COLOURS.get(agent, CHANCE)


def estimate_bars(estimates: Mapping[str, tuple[float, float, float]]) -> Plot:
    """Return rates of algorithms with their intervals, the best on top.

    Args:
        estimates: algorithm → (rate, low, high); the ends are NaN where they are not known.
    """
    ranked = sorted(estimates.items(), key=lambda item: -item[1][0])
    return rate_bars(
        [
            Bar(
                title_of(agent),
                rate,
                rate if math.isnan(low) else low,
                rate if math.isnan(high) else high,
                colour_of(agent),
            )
            for agent, (rate, low, high) in ranked
        ]
    )


def learning_curves(estimates: pd.DataFrame) -> Plot:
    """Return one panel with the curves of all algorithms.

    Args:
        estimates: what :func:`~glamor_gym.experiments.results.curve_estimates` returned.
    """
    with styled():
        figure, axes = canvas(height=3.6)
        draw_curves(axes, estimates)
        rates_at_left(axes)
        steps_below(axes)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, fontsize=9)
        return plot(figure)


def task_panels(estimates: Mapping[str, pd.DataFrame], published: Mapping[str, float]) -> Plot:
    """Return a panel with the curves of all algorithms for each task.

    Args:
        estimates: task → see :func:`learning_curves`; at least one.
        published: task → GLAMOR's rate in the paper, where there is one.
    """
    columns = min(COLUMNS, len(estimates))
    rows = -(-len(estimates) // columns)
    width = WIDTH * 1.45 if columns == COLUMNS else 2.6 * columns
    with styled():
        figure = Figure(figsize=(width, 2.3 * rows + 0.7), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
        handles: dict[str, Artist] = {}
        for axes, (task, curves) in zip(grid.flat, estimates.items(), strict=False):
            draw_curves(axes, curves)
            if task in published:
                axes.axhline(published[task], color=PUBLISHED, linestyle="-.", label="paper")
            axes.set_title(task)
            steps_below(axes)
            axes.set_xlabel("")
            rates_at_left(axes, "")
            lines, names = axes.get_legend_handles_labels()
            handles |= dict(zip(names, lines, strict=True))
        for unused in grid.flat[len(estimates) :]:
            unused.set_visible(False)
        figure.supxlabel("environment steps", fontsize=10)
        figure.supylabel("goals reached", fontsize=10)
        figure.legend(
            handles=list(handles.values()),
            labels=list(handles),
            loc="outside upper left",
            ncols=5,
            fontsize=9,
        )
        return plot(figure)


def draw_curves(axes: Axes, estimates: pd.DataFrame) -> None:
    """Draw a curve for each algorithm, with its interval where that is known."""
    for agent, points in estimates.groupby("agent", sort=False):
        name, colour = str(agent), colour_of(str(agent))
        known = points.dropna(subset=["low", "high"])
        if len(known) and name not in LINES:
            axes.fill_between(
                known["step"], known["low"], known["high"], color=colour, alpha=0.15, linewidth=0
            )
        axes.plot(
            points["step"],
            points["value"],
            LINES.get(name, "-"),
            color=colour,
            marker="" if name in LINES else "o",
            markersize=3.5,
            label=title_of(name),
        )


def distance_curves(results: Mapping[str, Sequence[EvaluationResult]]) -> Plot | None:
    """Return the success rate of each algorithm by how far a goal was from the start.

    Args:
        results: algorithm → evaluations, whose goals count alike.

    Returns:
        None where no evaluation knows the distances.
    """
    rates = {agent: _rates_by_distance(found) for agent, found in results.items()}
    if not any(np.isfinite(values).any() for values in rates.values()):
        return None
    with styled():
        figure, axes = canvas(height=3.2)
        for agent, values in rates.items():
            axes.plot(
                range(len(values)),
                values,
                LINES.get(agent, "-"),
                color=colour_of(agent),
                marker="o",
                markersize=4,
                label=title_of(agent),
            )
        axes.set_xticks(range(len(DISTANCES) - 1), distance_names())
        axes.set_xlabel("distance from the start, in feasible ranges")
        rates_at_left(axes)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, fontsize=9)
        return plot(figure)


def _rates_by_distance(results: Sequence[EvaluationResult]) -> list[float]:
    goals = [
        (far, result.per_goal[goal]) for result in results for goal, far in result.distances.items()
    ]
    return [
        float(np.mean(rates))
        if (rates := [rate for far, rate in goals if low <= far < high])
        else math.nan
        for low, high in pairwise(DISTANCES)
    ]
