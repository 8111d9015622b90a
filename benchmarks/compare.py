"""``python -m benchmarks.compare OLD NEW``: what got slower between two result files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console


def main(
    old: Annotated[Path, tyro.conf.Positional],
    new: Annotated[Path, tyro.conf.Positional],
    tolerance: float = 0.2,
) -> int:
    """Compare the ratios of two files; exit code 1 if one fell by more than the tolerance.

    Args:
        old: a ``benchmarks.json``.
        new: another.
        tolerance: share by which a ratio may fall.
    """
    before, after = (
        {row["name"]: row["ratio"] for row in json.loads(path.read_text())["rows"]}
        for path in (old, new)
    )
    console, slower = Console(), 0
    for name in before.keys() & after.keys():
        change = after[name] / before[name]
        verdict = (
            "slower"
            if change < 1 - tolerance
            else "faster"
            if change > 1 + tolerance
            else "as before"
        )
        slower += verdict == "slower"
        console.print(f"{name}: {before[name]:.1f}× → {after[name]:.1f}×, {verdict}")
    for name in before.keys() ^ after.keys():
        console.print(f"{name}: only in {'the old' if name in before else 'the new'} file")
    return int(slower > 0)


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
