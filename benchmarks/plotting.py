"""Style of the benchmarks' figures, and saving them as PNG and SVG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

COLOUR, SECOND, INK = "#0f766e", "#b45309", "#334155"
"""Colours of a first curve, a second curve, and text."""

STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#94a3b8",
    "axes.labelcolor": INK,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e2e8f0",
    "text.color": "#0f172a",
    "xtick.color": "#475569",
    "ytick.color": "#475569",
    "legend.frameon": False,
    "savefig.dpi": 150,
    "svg.hashsalt": "benchmarks",  # the same numbers make the same file
}
"""Parameters for ``matplotlib.rc_context``, around both drawing and saving."""


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write a figure as ``name.png`` and ``name.svg`` into a folder, created if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{name}.png")
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
