"""The aliasing report: a table, a figure and a page.

In: one :class:`~glamor_gym.experiments.aliasing.measurement.Aliasing` per task. Out:
``aliasing.csv``, ``aliasing.png``, ``aliasing.svg`` and ``aliasing.html`` in a folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from glamor_gym.experiments.aliasing.measurement import Aliasing, Share
from glamor_gym.files import write_text
from glamor_gym.report.rendering import render
from glamor_gym.report.style import (
    AGENT,
    CHANCE,
    INK,
    PUBLISHED,
    SECOND,
    WIDTH,
    Plot,
    plot,
    styled,
    write_figure,
)

_SHARES = ("random", "noop", "lag_ceiling", "lag_ceiling_goals")


def write_aliasing_report(
    rows: Sequence[Aliasing], folder: str | os.PathLike[str], details: dict[str, str]
) -> Path:
    """Write the aliasing report of some tasks into a folder.

    Args:
        rows: one per task, at least one.
        folder: output folder; created if missing.
        details: name → value of what is needed to reproduce the report.

    Returns:
        Path of the page.

    Raises:
        OSError: a file cannot be written.
    """
    folder = Path(folder)
    write_text(folder / "aliasing.csv", aliasing_table(rows).to_csv(index=False))
    with styled():
        figure = Figure(figsize=(2 * WIDTH, _height(rows)), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        _draw_aliasing(left, rows)
        _draw_chance(right, rows)
        write_figure(figure, folder / "aliasing")
    page = folder / "aliasing.html"
    write_text(page, render_aliasing(rows, details))
    return page


def aliasing_table(rows: Sequence[Aliasing]) -> pd.DataFrame:
    """Return one row per task: counts, and rates, those of separate episodes with intervals."""
    return pd.DataFrame([_flat(row) for row in rows])


def render_aliasing(rows: Sequence[Aliasing], details: dict[str, str]) -> str:
    """Return the page as HTML; see :func:`write_aliasing_report`."""
    return render(
        "aliasing.html.jinja",
        rows=rows,
        examples=[row for row in rows if row.example is not None],
        aliasing=_plot(_draw_aliasing, rows),
        chance=_plot(_draw_chance, rows),
        details=details,
    )


def _flat(row: Aliasing) -> dict[str, Any]:
    flat: dict[str, Any] = {
        "task": row.task,
        "episodes": row.episodes,
        "full_length": row.full_length,
        "frames": row.frames,
        "pictures": row.pictures,
        "pairs_differ": row.pairs_differ,
        "aliased": row.aliased,
        "ambiguous": row.ambiguous,
    }
    for name in _SHARES:
        share: Share | None = getattr(row, name)
        if share is not None:
            flat |= {name: share.rate, f"{name}_low": share.low, f"{name}_high": share.high}
            flat[f"{name}_of"] = share.of
    return flat


# ------------------------------------------------------------------------------ drawing


def _height(rows: Sequence[Aliasing]) -> float:
    return 0.95 + 0.36 * len(rows)


def _plot(draw: Any, rows: Sequence[Aliasing]) -> Plot:
    with styled():
        figure = Figure(figsize=(WIDTH, _height(rows)), layout="constrained")
        draw(figure.subplots(), rows)
        return plot(figure)


def _draw_aliasing(axes: Axes, rows: Sequence[Aliasing]) -> None:
    _bars(axes, [row.aliased for row in rows], SECOND, "other labels", offset=-0.2)
    _bars(axes, [row.ambiguous for row in rows], INK, "… beyond the tolerance", offset=0.2)
    _tasks_at_left(axes, rows)
    axes.set_xlabel("moments whose picture was also seen with …")


def _draw_chance(axes: Axes, rows: Sequence[Aliasing]) -> None:
    random, noop = [row.random for row in rows], [row.noop for row in rows]
    random_rates, noop_rates = ([share.rate for share in shares] for shares in (random, noop))
    _bars(axes, random_rates, CHANCE, "random agent", offset=-0.2, reach=_reach(random))
    _bars(axes, noop_rates, AGENT, "no-op agent", offset=0.2, reach=_reach(noop))
    ceilings = {y: row.lag_ceiling for y, row in enumerate(rows) if row.lag_ceiling is not None}
    axes.errorbar(
        [share.rate for share in ceilings.values()],
        list(ceilings),
        xerr=_reach(ceilings.values()),
        fmt="D",
        markersize=5,
        color=PUBLISHED,
        elinewidth=1.2,
        label="ceiling at label_lag=1",
    )
    _tasks_at_left(axes, rows)
    axes.set_xlim(0, 1.03)
    axes.set_xlabel("goals reached")


def _bars(
    axes: Axes,
    rates: Sequence[float],
    colour: str,
    label: str,
    *,
    offset: float,
    reach: NDArray[np.float64] | None = None,
) -> None:
    """Draw one bar per task, with intervals if their reach is given."""
    axes.barh(
        [y + offset for y in range(len(rates))],
        rates,
        height=0.36,
        color=colour,
        label=label,
        xerr=reach,
        error_kw={"ecolor": INK, "elinewidth": 1},
    )


def _reach(shares: Iterable[Share]) -> NDArray[np.float64]:
    """Return (2, n) how far the intervals of the shares reach below and above their rates."""
    return np.array([(share.rate - share.low, share.high - share.rate) for share in shares]).T


def _tasks_at_left(axes: Axes, rows: Sequence[Aliasing]) -> None:
    axes.set_yticks(range(len(rows)), [row.task for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=9)
