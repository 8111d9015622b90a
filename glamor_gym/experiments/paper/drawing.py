"""Drawing of the paper's figures: panels of curves with intervals.

In: tables from :mod:`glamor_gym.experiments.paper.curves`. Out: Matplotlib figures.
The style is applied where they are saved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import cycle

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from glamor_gym.experiments.paper.curves import over_seeds
from glamor_gym.report.style import AGENT, CHANCE, SECOND

COLOURS = (AGENT, SECOND, "#1d4ed8", "#be185d", "#4d7c0f", "#6d28d9", "#0e7490", "#a16207")
"""Colours of curves, in the order in which a figure lists them; they repeat after the last."""

Styles = Mapping[str, tuple[str, str]]
"""Curve → (colour, Matplotlib line style)."""


def panel_figure(n_panels: int) -> tuple[Figure, list[Axes]]:
    """Return a figure with `n_panels` panels of equal size, at most four per row."""
    columns = min(4, n_panels)
    n_rows = math.ceil(n_panels / columns)
    width = (4.6 if n_panels == 1 else 2.9 * columns) + 2.0
    figure = Figure(figsize=(width, 2.5 * n_rows + 0.8), layout="constrained")
    grid = figure.subplots(n_rows, columns, squeeze=False, sharey=True)
    axes = list(grid.flat)
    for unused in axes[n_panels:]:
        unused.set_visible(False)
    return figure, axes[:n_panels]


def draw_panel(axes: Axes, summary: pd.DataFrame, styles: Styles, title: str) -> None:
    """Draw one panel: one curve per variant with its interval, and the random agent's rate.

    Args:
        axes: axes of the panel.
        summary: rows of the panel, with ``variant``, ``step``, ``rate``, ``low``, ``high`` and
            ``random``.
        styles: style of every variant.
        title: title of the panel.
    """
    for name, (colour, line) in styles.items():
        points = summary[summary["variant"] == name].sort_values("step")
        if points.empty:
            continue
        axes.fill_between(
            points["step"], points["low"], points["high"], color=colour, alpha=0.15, linewidth=0
        )
        axes.plot(
            points["step"], points["rate"], line, color=colour, marker="o", markersize=3, label=name
        )
    axes.axhline(summary["random"].mean(), color=CHANCE, linestyle=":", label="random agent")
    axes.set_title(title)
    axes.set_ylim(0, 1.03)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def label_panels(figure: Figure, axes: Sequence[Axes]) -> None:
    """Label the outer axes of the panels, and add one legend for all."""
    curves: dict[str, Artist] = {}
    for panel in axes:
        place = panel.get_subplotspec()
        if place is not None and place.is_last_row():
            panel.set_xlabel("environment steps")
        if place is not None and place.is_first_col():
            panel.set_ylabel("goals reached")
        handles, labels = panel.get_legend_handles_labels()
        curves |= dict(zip(labels, handles, strict=True))
    figure.legend(
        list(curves.values()),
        list(curves),
        loc="outside right upper",
        fontsize=9,
    )


def task_figure(rows: pd.DataFrame, styles: Styles | None = None) -> Figure:
    """Return a figure with a panel for each task.

    Args:
        rows: return value of :func:`~glamor_gym.experiments.paper.curves.collect_curves`.
        styles: see :func:`curve_figure`.
    """
    return curve_figure(over_seeds(rows), styles)


def curve_figure(
    summary: pd.DataFrame, styles: Styles | None = None, *, panel: str = "task"
) -> Figure:
    """Return a figure with a panel for each value of one column.

    Args:
        summary: rows of all panels; see :func:`draw_panel`.
        styles: style of every variant; None for solid lines of different colours.
        panel: column with one panel per value, in order of appearance.
    """
    if styles is None:
        variants = zip(summary["variant"].unique(), cycle(COLOURS), strict=False)
        styles = {variant: (colour, "-") for variant, colour in variants}
    names = list(summary[panel].unique())
    figure, axes = panel_figure(len(names))
    for name, place in zip(names, axes, strict=True):
        draw_panel(place, summary[summary[panel] == name], styles, name)
    label_panels(figure, axes)
    return figure
