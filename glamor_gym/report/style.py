"""The style of the figures: colours, fonts, and a light and a dark version of each figure.

In: a Matplotlib figure drawn with the colours named here. Out: a :class:`Plot`, the figure as
SVG data URIs; or a file.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, PercentFormatter

from glamor_gym.files import write_atomically
from glamor_gym.report.pictures import data_uri

INK, TEXT, SOFT, LINE = "#0f172a", "#334155", "#475569", "#e2e8f0"
"""Colours of headings, of labels, of secondary text, and of lines."""

WHITE = "#ffffff"
"""Colour of text on strong colours, and of backgrounds."""

AGENT, CHANCE, PUBLISHED = "#0f766e", "#94a3b8", "#7c3aed"
"""Colours of the run's agent, of the baselines, and of published rates."""

SECOND = "#b45309"
"""Colour of a second curve of the same run."""

ALGORITHM_COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "glamor": AGENT,
        "gcsl": "#1d4ed8",
        "discern": "#be185d",
        "dqn-her": SECOND,
        "ppo": "#4d7c0f",
        "qrdqn": "#a16207",
        "random": CHANCE,
        "noop": CHANCE,
    }
)
"""Colour of each algorithm in figures that compare several."""

COLOURS = (AGENT, SECOND, "#1d4ed8", "#be185d", "#4d7c0f", "#6d28d9", "#0e7490", "#a16207")
"""Colours of curves that have none of their own, in the order in which they are given out."""

_ON_DARK: Mapping[str, str] = MappingProxyType(
    {
        INK: "#f1f5f9",
        TEXT: "#cbd5e1",
        SOFT: "#94a3b8",
        LINE: "#27344a",
        WHITE: "#06251f",
        AGENT: "#2dd4bf",
        CHANCE: "#7c8ba1",
        PUBLISHED: "#a78bfa",
        SECOND: "#f59e0b",
        "#1d4ed8": "#60a5fa",
        "#be185d": "#f472b6",
        "#4d7c0f": "#a3e635",
        "#a16207": "#facc15",
        "#0e7490": "#22d3ee",
        "#6d28d9": "#c4b5fd",
    }
)
"""Colour on light pages → colour on dark pages."""

STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": CHANCE,
    "axes.labelcolor": TEXT,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": LINE,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "legend.frameon": False,
    "svg.hashsalt": "glamor_gym",  # the same data give the same file
}
"""Matplotlib settings of every figure."""

WIDTH = 7.0
"""Width of a figure, in inches."""

PNG_DPI = 130
"""Resolution of figures that are written to files, in dots per inch."""


class Plot(NamedTuple):
    """A figure as data URIs of SVG pictures without a background."""

    light: str
    dark: str


def colours_of(
    curves: Sequence[str], known: Mapping[str, str] = ALGORITHM_COLOURS
) -> dict[str, str]:
    """Return a colour for each curve: its own, or else one that no other has while they last.

    Args:
        curves: names of all curves of a figure.
        known: names → their own colours.
    """
    own = {name: known[name] for name in curves if name in known}
    others = cycle([colour for colour in COLOURS if colour not in own.values()])
    return {name: own[name] if name in own else next(others) for name in curves}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the style of the pages inside this context."""
    with mpl.rc_context(STYLE):
        yield


def canvas(height: float) -> tuple[Figure, Axes]:
    """Return an empty figure of width :data:`WIDTH`, and its only axes."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots()


def plot(figure: Figure) -> Plot:
    """Return a finished figure as SVG, for light and for dark pages."""
    file = io.BytesIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    light = file.getvalue().decode()
    colours = re.compile("|".join(map(re.escape, _ON_DARK)))
    dark = colours.sub(lambda colour: _ON_DARK[colour.group()], light)
    return Plot(*(data_uri(svg.encode(), "image/svg+xml") for svg in (light, dark)))


def write_figure(figure: Figure, stem: Path) -> None:
    """Write a finished figure as ``stem.png`` and ``stem.svg``.

    Raises:
        OSError: a file cannot be written.
    """
    for kind, metadata in (("png", None), ("svg", {"Date": None})):
        with write_atomically(stem.with_suffix(f".{kind}")) as out:
            figure.savefig(out, format=kind, dpi=PNG_DPI, metadata=metadata)


def steps_below(axes: Axes) -> None:
    """Set up the horizontal axis for environment steps."""
    axes.set_xlabel("environment steps")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def rates_at_left(axes: Axes, label: str = "goals reached") -> None:
    """Set up the vertical axis for rates from 0 to 1."""
    axes.set_ylim(0, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    axes.set_ylabel(label)
