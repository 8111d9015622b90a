"""``python -m benchmarks.run``: run all comparisons; print and save them as JSON and Markdown.

In: names of benchmarks (all by default). Out: ``benchmarks.json`` and ``benchmarks.md`` in the
given folder, and exit code 1 if a ratio is below its target.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal, get_args

import torch
import tyro
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine, machine_lines
from benchmarks.timing import Comparison
from glamor_gym.experiments.allocator import keep_freed_memory
from glamor_gym.files import write_text
from glamor_gym.report.markdown import markdown_table

Name = Literal["planner", "acting", "replay", "update", "collection", "gridworld", "training"]
Device = Literal["cpu", "cuda"]
ON_GPU: tuple[Name, ...] = ("planner", "update")
NAMES: tuple[Name, ...] = get_args(Name)

COLUMNS = ("work", "against", "ms", "plain ms", "ratio", "spread", "wanted")
"""Columns of the tables: a row's :func:`_cells`."""


def main(
    names: Annotated[tuple[Name, ...], tyro.conf.Positional] = NAMES,
    output: Path = Path("results/benchmarks"),
    device: Device = "cpu",
) -> int:
    """Run benchmarks one after the other. Nothing else should run at the same time.

    Args:
        names: benchmarks to run.
        output: folder for ``benchmarks.json`` and ``benchmarks.md``; with ``cuda``, its subfolder
            ``cuda`` is used.
        device: with ``cuda``, only planner and update are run.
    """
    console = Console()
    arguments = {}
    if device != "cpu":
        if not torch.cuda.is_available():
            console.print("error: device cuda is not available; choose cpu", style="red")
            return 2
        names = tuple(name for name in names if name in ON_GPU)
        if not names:
            console.print(f"error: only {' and '.join(ON_GPU)} run on {device}", style="red")
            return 2
        arguments, output = {"device": device}, output / device
    keep_freed_memory()  # as glamor-gym does where it trains; both sides of a comparison gain
    machine = describe_machine(device)
    rows: list[Comparison] = []
    for name in names:
        for row in importlib.import_module(f"benchmarks.{name}").run(**arguments):
            console.print(f"{row.name}: {row.ratio:.1f}× ({row.low:.1f}–{row.high:.1f})")
            rows.append(row)
    console.print(_table(rows))
    write(rows, machine, output)
    return int(any(row.ratio < row.target for row in rows))


def write(rows: Sequence[Comparison], machine: Mapping[str, object], folder: Path) -> None:
    """Write ``benchmarks.json`` and ``benchmarks.md`` into a folder, created if missing."""
    record = {"machine": machine, "rows": [asdict(row) for row in rows]}
    table = markdown_table(COLUMNS, map(_cells, rows))
    text = json.dumps(record, indent=2, ensure_ascii=False)
    write_text(folder / "benchmarks.json", text + "\n")
    write_text(folder / "benchmarks.md", f"{table}\n{machine_lines(machine)}")


def _table(rows: Sequence[Comparison]) -> Table:
    table = Table(*COLUMNS, "note")
    for row in rows:
        table.add_row(*_cells(row), row.note)
    return table


def _cells(row: Comparison) -> tuple[str, ...]:
    return (
        row.name,
        row.reference,
        f"{row.fast_ms:.3g}",
        f"{row.plain_ms:.3g}",
        f"{row.ratio:.1f}×",
        f"{row.low:.1f}–{row.high:.1f}",
        f"{row.target:g}×",
    )


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
