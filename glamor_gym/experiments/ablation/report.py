"""The report of an ablation: each variant compared with the base.

In: the folder of an ablation. Out: its ``results.csv`` and ``report.html``, a self-contained page
with all results, including failed runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from glamor_gym.experiments.ablation.record import AblationFolder, AblationRecord
from glamor_gym.experiments.ablation.results import (
    Difference,
    ScoresByTask,
    ablation_table,
    panel_difference,
    task_difference,
    variant_scores,
)
from glamor_gym.experiments.ablation.variants import BASE
from glamor_gym.experiments.estimates import DECIDING, ENOUGH_SEEDS
from glamor_gym.experiments.results import run_pages, tallied
from glamor_gym.files import write_text
from glamor_gym.names import listed
from glamor_gym.report.rendering import render
from glamor_gym.report.style import AGENT, CHANCE, SECOND, Plot, canvas, plot, styled

VERDICT_COLOURS: Mapping[str, str] = {"better": AGENT, "worse": SECOND, "": CHANCE}
"""Verdict → colour in the figure."""


def write_ablation_report(folder: AblationFolder) -> Section:
    """Write the table and the report of an ablation from the runs so far.

    Returns:
        The comparison on the panel of tasks.

    Raises:
        ValueError: a file is damaged, or runs of a task were judged on different goals.
        OSError: there is no ablation, or a file cannot be written.
    """
    record = folder.record()
    table = ablation_table(folder, record)
    scores, other_goals = (variant_scores(folder, table, goals) for goals in ("eval", "held-out"))
    every_task = [*record.tasks, *record.held_out]
    panel = _section("The panel", record, record.tasks, scores, table, "eval")
    apart = [
        _section("Tasks held out", record, record.held_out, scores, table, "eval"),
        _section("Goals held out", record, every_task, other_goals, table, "held-out"),
    ]
    finished = table[table["state"] == "finished"]
    rows = table.replace(math.nan, None)
    page = render(
        "ablation.html.jinja",
        setup=record.setup,
        n_changes=len(record.variants) - 1,
        seeds=sorted(int(seed) for seed in table["seed"].unique()),
        deciding=DECIDING,
        finished=len(finished),
        runs=len(table),
        failures=rows[rows["state"] == "failed"].to_dict("records"),
        forest=difference_figure(panel.rows[1:]),
        caution=caution(panel),
        panel=panel,
        sections=[section for section in apart if section.rows],
        rows=rows.to_dict("records"),
        pages=run_pages(folder.run_folders(), folder.path),
        details={
            "Commands": "\n".join(record.commands),
            "Base": listed(record.setup.arguments, "="),
            "Commits": tallied(finished["commit"]),
            "Versions": tallied(finished["versions"]),
            "Hardware": tallied(finished["hardware"]),
        },
    )
    write_text(folder.results_file, table.to_csv(index=False))
    write_text(folder.report_file, page)
    return panel


# ------------------------------------------------------------------------- one table of the page


@dataclass(frozen=True)
class Cell:
    """Result of a variant on one task, or over several.

    Attributes:
        rate: success rate; None if no run is finished.
        by_seed: success rate of each seed, as text. Over several tasks, the number of finished
            ones, if not all are.
        difference: difference from the base; None for the base and if nothing can be compared.
    """

    rate: float | None
    by_seed: str = ""
    difference: Difference | None = None


@dataclass(frozen=True)
class Row:
    """Results of a variant, over all tasks and on each."""

    variant: str
    overall: Cell
    cells: list[Cell]


@dataclass(frozen=True)
class Section:
    """One table of the report.

    Attributes:
        title: title of the table.
        tasks: its columns.
        rows: one per variant, the base first; empty if nothing was requested.
        chance: baseline → its mean rate on each task; NaN if unknown.
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
        _row(name, scores.get(name, {}), base, tasks, same_agents=not variant.settings)
        for name, variant in record.variants.items()
        if name in asked
    ]
    played = table[table["goals"] == goals]
    chance = {
        agent: [played[played["task"] == task][name].mean() for task in tasks]
        for name, agent in (("random", "random agent"), ("noop", "no-op agent"))
    }
    return Section(title, tasks, rows, chance)


def _row(
    variant: str,
    ours: ScoresByTask,
    base: ScoresByTask,
    tasks: Sequence[str],
    *,
    same_agents: bool = False,
) -> Row:
    """Return the results of a variant; see :func:`panel_difference` for the arguments."""
    base = {} if variant == BASE else base  # which is compared with nothing
    cells = []
    for task in tasks:
        scores = ours.get(task)
        if scores is None:
            cells.append(Cell(None))
            continue
        by_seed = ", ".join(f"{rate:.2f}" for rate in scores.rates.mean(axis=1))
        difference = task_difference(scores, base.get(task), same_agents=same_agents)
        cells.append(Cell(scores.rate, by_seed, difference))
    done = [task for task in tasks if task in ours]
    difference = panel_difference(ours, base, tasks, same_agents=same_agents)
    overall = Cell(
        sum(ours[task].rate for task in done) / len(done) if done else None,
        f"{len(done)} of {len(tasks)} tasks" if len(done) < len(tasks) else "",
        difference,
    )
    return Row(variant, overall, cells)


def caution(section: Section) -> str:
    """Return what the intervals over a section's tasks, by the seeds behind each, do not tell.

    Returns:
        A sentence without its full stop; empty if there is nothing to tell.
    """
    shown = [row.overall.difference for row in section.rows if row.overall.difference]
    if any(each.seeds == 1 or each.tasks == 1 for each in shown):
        return (
            "With one seed or on one task, an interval holds for these agents only; agents trained "
            "with other seeds may differ by more"
        )
    if any(each.seeds < ENOUGH_SEEDS for each in shown):
        return (
            "Over few seeds a bootstrap's intervals are too narrow: with three, up to one in five "
            "misses a difference of 0, if agents differ by their seeds more than by goals"
        )
    return ""


# ------------------------------------------------------------------------------------ the figure


def difference_figure(rows: Sequence[Row]) -> Plot | None:
    """Plot the difference of each variant over the panel, with its interval.

    Args:
        rows: rows of the variants, without the base, in the order of the figure.

    Returns:
        The plot; None if nothing can be compared.
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
