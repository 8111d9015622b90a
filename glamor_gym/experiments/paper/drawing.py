"""Drawing of the paper's figures: panels of curves with intervals.

In: tables from :mod:`glamor_gym.experiments.paper.curves`. Out: Matplotlib figures.
The style is applied where they are saved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from glamor_gym.experiments.algorithms import ALGORITHMS
from glamor_gym.experiments.paper.curves import over_seeds
from glamor_gym.report.figures import Curve, Level, curve_panels
from glamor_gym.report.style import ALGORITHM_COLOURS, CHANCE, colours_of

Styles = Mapping[str, tuple[str, str]]
"""Curve → (colour, Matplotlib line style)."""


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

    A panel has a curve per variant, and the random agent's rate.

    Args:
        summary: rows of all panels, with ``variant``, ``step``, ``rate``, ``low``, ``high`` and
            ``random``.
        styles: style of every variant; None for solid lines of different colours, those of
            algorithms as in every other figure.
        panel: column with one panel per value, in order of appearance.
    """
    if styles is None:
        styles = _usual_styles(list(summary["variant"].unique()))
    panels = {}
    for name, rows in summary.groupby(panel, sort=False):
        curves = [
            Curve(variant, points, colour, line)
            for variant, (colour, line) in styles.items()
            if len(points := rows[rows["variant"] == variant].sort_values("step"))
        ]
        chance = Level("random agent", float(rows["random"].mean()), CHANCE, ":")
        panels[str(name)] = (curves, [chance])
    return curve_panels(panels)


def _usual_styles(variants: Sequence[str]) -> Styles:
    """Return a solid line for each variant, in the colour of its algorithm if it is one's title."""
    titles = {row.title: ALGORITHM_COLOURS[name] for name, row in ALGORITHMS.items()}
    return {variant: (colour, "-") for variant, colour in colours_of(variants, titles).items()}
