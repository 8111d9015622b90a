"""``python -m benchmarks.compare OLD NEW``: what became slower between two result files.

In: two files of :mod:`benchmarks.run`. Out: a table, and exit code 1 if a ratio fell by more than
the tolerance. Ratios are compared, not times, since machines differ and their speed drifts.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import tyro
from rich.console import Console
from rich.table import Table

Verdict = Literal["slower", "faster", "as before", "only in the old", "only in the new"]


class Work(NamedTuple):
    """What identifies a row of a result file: the work, and what it was compared with."""

    name: str
    reference: str


class Change(NamedTuple):
    """The change of one benchmark; None stands for a ratio that is missing from a file."""

    work: Work
    before: float | None
    after: float | None
    verdict: Verdict


def main(
    old: Annotated[Path, tyro.conf.Positional],
    new: Annotated[Path, tyro.conf.Positional],
    tolerance: float = 0.2,
) -> int:
    """Compare the ratios of two files; exit code 1 if one fell by more than the tolerance.

    Args:
        old: the earlier ``benchmarks.json``.
        new: the later one.
        tolerance: fraction by which a ratio may fall.
    """
    console = Console()
    try:
        changes = list(compare_ratios(read_ratios(old), read_ratios(new), tolerance))
    except (OSError, ValueError) as error:
        console.print(f"error: {error}", style="red", markup=False)
        return 2
    table = Table("work", "against", "before", "after", "verdict")
    for change in changes:
        ratios = ("–" if x is None else f"{x:.1f}×" for x in (change.before, change.after))
        table.add_row(*change.work, *ratios, change.verdict)
    console.print(table)
    slower = [" against ".join(change.work) for change in changes if change.verdict == "slower"]
    console.print(f"slower: {'; '.join(slower) or 'nothing'}", markup=False)
    return int(bool(slower))


def read_ratios(path: Path) -> dict[Work, float]:
    """Return the ratios of a ``benchmarks.json`` by work.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a result file, or two of its rows have the same work.
    """
    ratios: dict[Work, float] = {}
    try:
        for row in json.loads(path.read_text(encoding="utf-8"))["rows"]:
            work = Work(row["name"], row["reference"])
            if work in ratios:
                raise ValueError(f"two rows have {' against '.join(work)}")
            ratios[work] = float(row["ratio"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a result file of benchmarks.run: {error!r}") from error
    return ratios


def compare_ratios(
    before: Mapping[Work, float], after: Mapping[Work, float], tolerance: float
) -> Iterator[Change]:
    """Compare ratios by work, in the order of the old file, followed by new work.

    Args:
        before: ratios of the old file.
        after: ratios of the new one.
        tolerance: fraction by which a ratio may fall or rise and still count as unchanged.

    Raises:
        ValueError: `tolerance` is not in [0, 1).
    """
    if not 0.0 <= tolerance < 1.0:
        raise ValueError(f"tolerance must lie in [0, 1), got {tolerance}")
    for work, ratio in before.items():
        if work not in after:
            yield Change(work, ratio, None, "only in the old")
        elif after[work] < ratio * (1 - tolerance):
            yield Change(work, ratio, after[work], "slower")
        elif after[work] > ratio * (1 + tolerance):
            yield Change(work, ratio, after[work], "faster")
        else:
            yield Change(work, ratio, after[work], "as before")
    for work, ratio in after.items():
        if work not in before:
            yield Change(work, None, ratio, "only in the new")


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
