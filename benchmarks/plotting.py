"""Style of the benchmarks' figures, and saving them as PNG and SVG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from glamor_gym.report import style

STYLE: dict[Any, Any] = style.STYLE | {
    "axes.titleweight": "bold",
    "savefig.dpi": 150,
    "svg.hashsalt": "benchmarks",  # the same numbers make the same file
}
"""Parameters for ``matplotlib.rc_context``, around both drawing and saving."""


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write a figure as ``name.png`` and ``name.svg`` into a folder, created if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{name}.png")
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
