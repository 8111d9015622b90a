"""The page of an ablation: what each change brings, beside the base.

In: the folder of an ablation. Out: its ``results.csv`` and ``report.html``, a page that holds its
figure in itself and every result, those of runs that failed included.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from glamor_gym.experiments.ablation import BASE, AblationFolder, AblationRecord
from glamor_gym.experiments.ablation_results import (
    Difference,
    ScoresByTask,
    ablation_table,
    mean_rate,
    panel_difference,
    task_difference,
    variant_scores,
)
from glamor_gym.experiments.results import counted, run_pages
from glamor_gym.files import write_atomically
from glamor_gym.report.rendering import listed, render
from glamor_gym.report.style import AGENT, CHANCE, SECOND, Plot, canvas, plot, styled

VERDICT_COLOURS: Mapping[str, str] = {"better": AGENT, "worse": SECOND, "": CHANCE}
"""What a difference is drawn in, by what its interval says."""


def write_ablation_report(folder: AblationFolder) -> Path:
    """Write the table and the page of an ablation from what its runs have come to so far.

    Returns:
        The page.

    Raises:
        ValueError: there is no ablation, or a file is damaged.
        OSError: a file cannot be written.
    """
    record = folder.record()
    table = ablation_table(folder, record)
    with write_atomically(folder.results_file) as stream:
        stream.write(table.to_csv(index=False).encode())
    page = render_ablation(
        record,
        table,
        scores=variant_scores(folder, table),
        other_goals=variant_scores(folder, table, "held-out"),
        pages=run_pages(folder.run_folders(), folder.path),
    )
    with write_atomically(folder.report_file) as stream:
        stream.write(page.encode())
    return folder.report_file


def render_ablation(
    record: AblationRecord,
    table: pd.DataFrame,
    scores: Mapping[str, ScoresByTask],
    other_goals: Mapping[str, ScoresByTask],
    pages: Mapping[str, str],
) -> str:
    """Return the page as HTML.

    Args:
        record: what was asked for.
        table: a row a run, see :func:`~glamor_gym.experiments.ablation_results.ablation_table`.
        scores: variant → task → what was reached of the evaluation goals.
        other_goals: the same of the goals that are held out.
        pages: see :func:`~glamor_gym.experiments.results.run_pages`.
    """
    panel = _section("The panel", record, record.tasks, scores, table, "eval")
    apart = [
        _section("Tasks held out", record, record.held_out, scores, table, "eval"),
        _section(
            "Goals held out",
            record,
            [*record.tasks, *record.held_out],
            other_goals,
            table,
            "held-out",
        ),
    ]
    finished = table[table["state"] == "finished"]
    return render(
        "ablation.html.jinja",
        setup=record.setup,
        n_changes=len(record.variants) - 1,
        seeds=sorted(int(seed) for seed in table["seed"].unique()),
        finished=len(finished),
        runs=len(table),
        failures=_records(table[table["state"] == "failed"]),
        forest=difference_figure(panel.rows[1:]),
        panel=panel,
        sections=[section for section in apart if section.rows],
        rows=_records(table),
        pages=pages,
        details={
            "Commands": "\n".join(record.commands),
            "Base": listed(record.setup.arguments, "="),
            "Commits": counted(finished["commit"]),
            "Versions": listed(record.versions, " "),
            "Hardware": counted(finished["hardware"]),
        },
    )


def _records(table: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """Return the rows of a table, with None for what is missing."""
    return [
        {name: None if pd.isna(value) else value for name, value in row.items()}
        for row in table.to_dict("records")
    ]


# ------------------------------------------------------------------------- one table of the page


@dataclass(frozen=True)
class Cell:
    """What a variant came to on a task, or over several.

    Attributes:
        rate: share of the goals that were reached; None where no run is finished.
        by_seed: the same of each seed, in words; empty over several tasks.
        difference: from the base; None for the base itself, and where nothing can be compared.
    """

    rate: float | None
    by_seed: str = ""
    difference: Difference | None = None


@dataclass(frozen=True)
class Row:
    """What a variant came to: over all tasks, and on each."""

    variant: str
    overall: Cell
    cells: list[Cell]


@dataclass(frozen=True)
class Section:
    """A table: each variant, the base first, on some tasks.

    Attributes:
        title: of the table.
        tasks: its columns.
        rows: a variant each; none where there is nothing to tell.
        chance: baseline → its mean rate on each task; NaN where it is not known.
    """

    title: str
    tasks: Sequence[str]
    rows: list[Row]
    chance: Mapping[str, list[float]]


def _section(
    title: str,
    record: AblationRecord,
    tasks: Sequence[str],
    scores: Mapping[str, ScoresByTask],
    table: pd.DataFrame,
    goals: str,
) -> Section:
    judged = [run for run in record.runs if run.goals == goals and run.task in tasks]
    asked = {run.variant for run in judged}
    tasks = [task for task in tasks if any(run.task == task for run in judged)]
    base = scores.get(BASE, {})
    rows = [
        _row(variant, scores.get(variant, {}), base, tasks)
        for variant in record.variants
        if variant in asked
    ]
    played = table[table["goals"] == goals]
    chance = {
        agent: [played[played["task"] == task][name].mean() for task in tasks]
        for name, agent in (("random", "random agent"), ("noop", "no-op agent"))
    }
    return Section(title, tasks, rows, chance)


def _row(variant: str, ours: ScoresByTask, base: ScoresByTask, tasks: Sequence[str]) -> Row:
    compared = variant != BASE
    cells = []
    for task in tasks:
        scores = ours.get(task)
        if scores is None:
            cells.append(Cell(None))
            continue
        by_seed = ", ".join(f"{rate:.2f}" for rate in scores.rates.mean(axis=1))
        difference = task_difference(scores, base.get(task)) if compared else None
        cells.append(Cell(scores.rate, by_seed, difference))
    done = [task for task in tasks if task in ours]
    overall = Cell(
        mean_rate(ours, done) if done else None,
        f"{len(done)} of {len(tasks)} tasks" if len(done) < len(tasks) else "",
        panel_difference(ours, base, tasks) if compared else None,
    )
    return Row(variant, overall, cells)


# ------------------------------------------------------------------------------------ the figure


def difference_figure(rows: Sequence[Row]) -> Plot | None:
    """Return the difference of each variant over the panel, with its interval, in their order.

    Args:
        rows: of the variants, without the base.

    Returns:
        None where nothing can be compared.
    """
    known = [(row.variant, row.overall.difference) for row in rows if row.overall.difference]
    if not known:
        return None
    with styled():
        figure, axes = canvas(height=0.9 + 0.36 * len(known))
        for height, (_, difference) in enumerate(known):
            colour = VERDICT_COLOURS[difference.verdict]
            axes.plot([difference.low, difference.high], [height, height], color=colour, lw=2)
            axes.plot(difference.value, height, "o", color=colour)
        axes.axvline(0, color=CHANCE, lw=1)
        axes.set_yticks(range(len(known)), [variant for variant, _ in known])
        axes.set_ylim(len(known) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("goals reached, difference from the base")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:+.2f}" if value else "0")
        return plot(figure)
