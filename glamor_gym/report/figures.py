"""The figures of a run's page, and curves for figures of many runs, drawn with Matplotlib.

In: the table of metrics (one row per log entry: ``step`` and one column per logged name), rates, a
result. Out: SVG pictures as data URIs, for light and dark pages; or Matplotlib figures, for curves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from glamor_gym.evaluation.intervals import wilson_interval
from glamor_gym.report.style import (
    AGENT,
    INK,
    LINE,
    SECOND,
    TEXT,
    WHITE,
    WIDTH,
    Plot,
    canvas,
    plot,
    rates_at_left,
    steps_below,
    styled,
)
from glamor_gym.types import EvaluationResult

DISTANCES = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8, math.inf)
"""Bounds of the distance bins; below 0.1 a goal is reached without moving."""

PANELS_PER_ROW = 4
"""Maximum number of panels of curves per row."""

_ERROR_BARS = {"ecolor": INK, "elinewidth": 1.2, "capsize": 3}


class Bar(NamedTuple):
    """One rate of a bar chart.

    Attributes:
        name: label of the bar.
        rate: the rate, in [0, 1].
        low: lower end of its interval.
        high: upper end of its interval.
        colour: colour of the bar.
    """

    name: str
    rate: float
    low: float
    high: float
    colour: str


def rate_bars(bars: Sequence[Bar]) -> Plot:
    """Return rates as horizontal bars with their intervals, the first at the top."""
    with styled():
        figure, axes = canvas(height=0.55 + 0.36 * len(bars))
        rates = [bar.rate for bar in bars]
        reach = [[bar.rate - bar.low for bar in bars], [bar.high - bar.rate for bar in bars]]
        drawn = axes.barh(
            [bar.name for bar in bars],
            rates,
            height=0.62,
            color=[bar.colour for bar in bars],
            xerr=reach,
            error_kw=_ERROR_BARS,
        )
        axes.bar_label(drawn, [f"{bar.rate:.0%}" for bar in bars], padding=6)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.set_xlim(0, min(1.0, max(bar.high for bar in bars) * 1.15 + 0.08))
        axes.xaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
        return plot(figure)


class Curve(NamedTuple):
    """Rates over environment steps.

    Attributes:
        name: label of the curve.
        points: table with ``step``, ``rate``, ``low`` and ``high``; the latter are NaN where no
            interval is to be drawn.
        colour: colour of the curve.
        line: Matplotlib line style.
        marker: Matplotlib marker of each point; empty for none.
    """

    name: str
    points: pd.DataFrame
    colour: str
    line: str = "-"
    marker: str = "o"


class Level(NamedTuple):
    """A rate that curves are compared with, drawn as a horizontal line.

    Attributes:
        name: label of the line.
        rate: the rate.
        colour: colour of the line.
        line: Matplotlib line style.
    """

    name: str
    rate: float
    colour: str
    line: str


def draw_curves(axes: Axes, curves: Sequence[Curve], levels: Sequence[Level]) -> None:
    """Draw curves with their intervals, and rates to compare them with."""
    for curve in curves:
        known = curve.points.dropna(subset=["low", "high"])
        if len(known):
            axes.fill_between(
                known["step"],
                known["low"],
                known["high"],
                color=curve.colour,
                alpha=0.15,
                linewidth=0,
            )
        axes.plot(
            curve.points["step"],
            curve.points["rate"],
            curve.line,
            color=curve.colour,
            marker=curve.marker,
            markersize=3,
            label=curve.name,
        )
    for level in levels:
        axes.axhline(level.rate, color=level.colour, linestyle=level.line, label=level.name)


def curve_panels(panels: Mapping[str, tuple[Sequence[Curve], Sequence[Level]]]) -> Figure:
    """Return a figure with panels of equal size, at most four per row, and one legend for all.

    The style is that of the context in which it is called, see
    :func:`~glamor_gym.report.style.styled`.

    Args:
        panels: title of a panel → its curves, and rates to compare them with; at least one panel.
    """
    columns = min(PANELS_PER_ROW, len(panels))
    n_rows = math.ceil(len(panels) / columns)
    width = (4.6 if len(panels) == 1 else 2.9 * columns) + 2.0
    figure = Figure(figsize=(width, 2.5 * n_rows + 0.8), layout="constrained")
    grid = figure.subplots(n_rows, columns, squeeze=False, sharey=True)
    legend: dict[str, Artist] = {}
    for index, (title, (curves, levels)) in enumerate(panels.items()):
        axes = grid.flat[index]
        draw_curves(axes, curves, levels)
        axes.set_title(title)
        rates_at_left(axes, "" if index % columns else "goals reached")
        steps_below(axes)
        if index + columns < len(panels):  # there is a panel below
            axes.set_xlabel("")
        handles, names = axes.get_legend_handles_labels()
        legend |= dict(zip(names, handles, strict=True))
    for unused in grid.flat[len(panels) :]:
        unused.set_visible(False)
    figure.legend(list(legend.values()), list(legend), loc="outside right upper", fontsize=9)
    return figure


def curve_plot(
    curves: Sequence[Curve],
    levels: Sequence[Level] = (),
    *,
    height: float = 3.2,
    names_per_row: int = 3,
) -> Plot:
    """Return curves of success rates over environment steps, with a legend above them.

    Args:
        curves: the curves.
        levels: rates to compare them with.
        height: height of the figure, in inches.
        names_per_row: number of names in a row of the legend.
    """
    with styled():
        figure, axes = canvas(height)
        draw_curves(axes, curves, levels)
        rates_at_left(axes)
        steps_below(axes)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=names_per_row, fontsize=9)
        return plot(figure)


def success_curve(evaluations: pd.DataFrame, levels: Sequence[Level]) -> Plot:
    """Return the success rate of a run over environment steps, with its 95 % interval.

    Args:
        evaluations: table with ``step``, ``rate``, ``low`` and ``high``.
        levels: rates to compare with.
    """
    return curve_plot([Curve("this run", evaluations, AGENT)], levels)


def loss_curves(metrics: pd.DataFrame) -> Plot:
    """Return the losses of the inverse dynamics model and the action prior, and their gap.

    The gap is how much the goal tells the model about the actions, beyond the prior; it grows
    before goals are reached. If the gap was also measured on new episodes, both are drawn: their
    difference is overfitting.

    Args:
        metrics: table with ``step``, ``train/inverse_loss`` and ``train/prior_loss``, in nats per
            token, and optionally ``validation/information_gap``.
    """
    points = metrics.dropna(subset=["train/inverse_loss", "train/prior_loss"])
    with styled():
        figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
        losses, gap = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        steps = points["step"]
        losses.plot(steps, points["train/prior_loss"], color=SECOND, label="action prior")
        losses.plot(steps, points["train/inverse_loss"], color=AGENT, label="inverse dynamics")
        losses.set_ylabel("nats per token")
        losses.legend(fontsize=9)
        difference = points["train/prior_loss"] - points["train/inverse_loss"]
        gap.plot(steps, difference, color=TEXT, label="training episodes")
        gap.fill_between(steps, 0, difference, color=TEXT, alpha=0.1, linewidth=0)
        if "validation/information_gap" in metrics:
            unseen = metrics.dropna(subset=["validation/information_gap"])
            values = unseen["validation/information_gap"]
            gap.plot(unseen["step"], values, color=AGENT, linestyle="--", label="new episodes")
            gap.legend(fontsize=9)
        gap.set_ylabel("gap")
        steps_below(gap)
        return plot(figure)


def distance_bars(result: EvaluationResult) -> Plot:
    """Return the success rate by the distance of the goal from the start, with Wilson intervals.

    Args:
        result: a result with `distances`, in feasible ranges.
    """
    tries = round(result.episodes / len(result.per_goal))
    table = by_distance([result])
    with styled():
        figure, axes = canvas(height=2.9)
        for left, (rate, n_goals) in enumerate(table.itertuples(index=False)):
            if not n_goals:
                continue
            total = tries * n_goals
            low, high = wilson_interval(round(rate * total), total)
            bar = axes.bar(
                left,
                rate,
                width=0.72,
                color=AGENT,
                yerr=[[max(0.0, rate - low)], [max(0.0, high - rate)]],
                error_kw=_ERROR_BARS,
            )
            name = "goal" if n_goals == 1 else "goals"
            axes.bar_label(bar, [f"{n_goals} {name}"], padding=4, fontsize=9)
        axes.set_xticks(range(len(table)), table.index)
        axes.set_xlim(-0.6, len(table) - 0.4)
        axes.set_xlabel("distance from the start, in feasible ranges")
        rates_at_left(axes)
        axes.set_ylim(0, 1.15)
        axes.grid(visible=False, axis="x")
        return plot(figure)


def by_distance(results: Iterable[EvaluationResult]) -> pd.DataFrame:
    """Return the success rate by the distance of goals from the start; all goals weigh the same.

    Returns:
        A table with a row for each bin of :data:`DISTANCES`, by its name: ``rate``, NaN if no goal
        is in the bin, and ``goals``, the number of those that are.
    """
    found = [(far, each.per_goal[goal]) for each in results for goal, far in each.distances.items()]
    goals = pd.DataFrame(found, columns=["distance", "rate"], dtype=float)
    names = [f"{low:g} to {high:g}" for low, high in pairwise(DISTANCES[:-1])]
    names.append(f"{DISTANCES[-2]:g} or more")
    bins = pd.cut(goals["distance"], list(DISTANCES), right=False, labels=names)
    by_bin = goals.groupby(bins, observed=False)
    return by_bin.agg(rate=("rate", "mean"), goals=("rate", "size"))


def goal_strip(result: EvaluationResult) -> Plot:
    """Return one cell per goal, filled in proportion to the goal's success rate.

    Args:
        result: a result with `per_goal`.
    """
    with styled():
        columns = min(len(result.per_goal), 15)
        rows = -(-len(result.per_goal) // columns)
        figure, axes = canvas(height=0.2 + 0.47 * rows)
        for index, (goal, rate) in enumerate(sorted(result.per_goal.items())):
            row, column = divmod(index, columns)
            axes.add_patch(Rectangle((column, row), 0.9, 0.86, color=LINE, linewidth=0))
            axes.add_patch(
                Rectangle((column, row + 0.86 * (1 - rate)), 0.9, 0.86 * rate, color=AGENT)
            )
            axes.text(
                column + 0.45,
                row + 0.43,
                str(goal),
                ha="center",
                va="center",
                fontsize=9,
                color=WHITE if rate > 0.6 else INK,
            )
        axes.set_xlim(0, columns)
        axes.set_ylim(rows, 0)
        axes.set_axis_off()
        return plot(figure)
