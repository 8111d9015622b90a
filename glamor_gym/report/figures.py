"""The figures of a run's page, drawn by Matplotlib.

In: the table of metrics (a row a log entry: ``step``, and a column a figure) and rates. Out: SVG
pictures as data URIs.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, PercentFormatter

from glamor_gym.report.pictures import data_uri

AGENT, CHANCE, PUBLISHED = "#0f766e", "#94a3b8", "#7c3aed"
"""Colours: of the agent of this run, of the baselines, of the paper's figures."""

SECOND = "#b45309"
"""Colour of a second curve of the same run."""

STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#94a3b8",
    "axes.labelcolor": "#334155",
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e2e8f0",
    "text.color": "#0f172a",
    "xtick.color": "#475569",
    "ytick.color": "#475569",
    "legend.frameon": False,
    "svg.hashsalt": "glamor_gym",  # the same run makes the same file
}
"""Matplotlib's settings for every figure of the library."""


class Bar(NamedTuple):
    """One rate to be compared.

    Attributes:
        name: whose rate it is.
        rate: in [0, 1].
        low: lower end of its interval.
        high: upper end of its interval.
        colour: of the bar.
    """

    name: str
    rate: float
    low: float
    high: float
    colour: str


def rate_bars(bars: Sequence[Bar]) -> str:
    """Return rates as horizontal bars with their intervals, the first on top."""
    with mpl.rc_context(STYLE):
        figure, axes = _canvas(height=0.55 + 0.36 * len(bars))
        rates = [bar.rate for bar in bars]
        reach = [[bar.rate - bar.low for bar in bars], [bar.high - bar.rate for bar in bars]]
        axes.barh(
            [bar.name for bar in bars],
            rates,
            height=0.62,
            color=[bar.colour for bar in bars],
            xerr=reach,
            error_kw={"ecolor": "#0f172a", "elinewidth": 1.2, "capsize": 3},
        )
        for row, bar in enumerate(bars):
            axes.annotate(
                f"{bar.rate:.0%}",
                (bar.high, row),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
            )
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.set_xlim(0, min(1.0, max(bar.high for bar in bars) * 1.15 + 0.08))
        axes.xaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
        return _svg(figure)


def success_curve(metrics: pd.DataFrame, levels: Sequence[tuple[str, float, str]]) -> str:
    """Return the success rate over environment steps, with its 95 % interval.

    Args:
        metrics: has ``eval/success_rate``, ``eval/success_low`` and ``eval/success_high``.
        levels: (name, rate, colour) of what to compare with, as horizontal lines.
    """
    points = metrics.dropna(subset=["eval/success_rate"])
    with mpl.rc_context(STYLE):
        figure, axes = _canvas()
        steps = points["step"]
        axes.fill_between(
            steps,
            points["eval/success_low"],
            points["eval/success_high"],
            color=AGENT,
            alpha=0.15,
            linewidth=0,
        )
        axes.plot(steps, points["eval/success_rate"], "o-", color=AGENT, label="this run")
        for (name, rate, colour), line in zip(levels, ("--", ":", "-."), strict=False):
            axes.axhline(rate, color=colour, linestyle=line, label=name)
        axes.set_ylim(0, 1.03)
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
        axes.set_ylabel("goals reached")
        _steps_below(axes)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=9)
        return _svg(figure)


def loss_curves(metrics: pd.DataFrame) -> str:
    """Return the losses of inverse dynamics model and action prior, and their gap.

    The gap is what the model knows about the way to a goal beyond how often actions are taken;
    it grows before goals are reached.

    Args:
        metrics: has ``train/inverse_loss`` and ``train/prior_loss``, in nats per token.
    """
    points = metrics.dropna(subset=["train/inverse_loss", "train/prior_loss"])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.0, 3.6), layout="constrained")
        losses, gap = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        steps = points["step"]
        losses.plot(steps, points["train/prior_loss"], color=SECOND, label="action prior")
        losses.plot(steps, points["train/inverse_loss"], color=AGENT, label="inverse dynamics")
        losses.set_ylabel("nats per token")
        losses.legend(fontsize=9)
        difference = points["train/prior_loss"] - points["train/inverse_loss"]
        gap.plot(steps, difference, color="#334155")
        gap.fill_between(steps, 0, difference, color="#334155", alpha=0.1, linewidth=0)
        gap.set_ylabel("gap")
        _steps_below(gap)
        return _svg(figure)


def _canvas(height: float = 3.2) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.0, height), layout="constrained")
    return figure, figure.subplots()


def _steps_below(axes: Axes) -> None:
    axes.set_xlabel("environment steps")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def _svg(figure: Figure) -> str:
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return data_uri(file.getvalue(), "image/svg+xml")
