"""The report of a benchmark: its runs compared with each other and with the paper.

In: the folder of a benchmark. Out: its ``results.csv``, ``curves.csv``, ``table.md`` and
``report.html``, a self-contained page with figures and videos.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from glamor_gym.evaluation import RunFolder, wilson_interval
from glamor_gym.experiments.algorithms import ALGORITHMS, ImageGoalAlgorithm
from glamor_gym.experiments.benchmark import BenchmarkFolder, BenchmarkRecord
from glamor_gym.experiments.benchmark_figures import (
    distance_curves,
    estimate_bars,
    learning_curves,
    task_panels,
    title_of,
)
from glamor_gym.experiments.benchmark_table import benchmark_table, held_out_results
from glamor_gym.experiments.estimates import (
    ENOUGH_SEEDS,
    complete_scores,
    curve_estimates,
    final_estimates,
)
from glamor_gym.experiments.results import (
    counted,
    curves_table,
    is_readable,
    results_table,
    run_pages,
)
from glamor_gym.files import write_text
from glamor_gym.report.published import METHODS, SOURCE, Rate, published_rates
from glamor_gym.report.rendering import listed, render
from glamor_gym.tasks import in_order, short_name
from glamor_gym.types import EpisodeFrames, EvaluationResult

FILMS = 1
"""Number of goals per task for which videos of every algorithm are shown."""

FramesReader = Callable[[str, str, int], Sequence[EpisodeFrames]]
"""Task, algorithm and seed → the recorded episodes of that run."""


def write_benchmark_report(folder: BenchmarkFolder) -> Path:
    """Write the tables and the report of a benchmark from the runs so far.

    Returns:
        Path of the report.

    Raises:
        ValueError: there is no benchmark, none of its runs was started, or a file is damaged.
        OSError: a file cannot be written.
    """
    record, runs = folder.record(), folder.run_folders()
    results, curves = results_table(runs), curves_table(runs)
    if results.empty:
        raise ValueError(f"{folder.path} holds no run to report: {folder.runs} is empty")
    finished = set(results.loc[results["state"] == "finished", "folder"])
    held_out = held_out_results([run for run in runs if run.path.name in finished])
    texts = {
        folder.results_file: results.to_csv(index=False),
        folder.curves_file: curves.to_csv(index=False),
        folder.table_file: benchmark_table(results, held_out),
        folder.report_file: render_benchmark(
            record,
            results,
            curves,
            last_evaluations(runs),
            run_pages(runs, folder.path),
            frames_reader(runs),
        ),
    }
    for file, text in texts.items():
        write_text(file, text)
    return folder.report_file


def render_benchmark(
    record: BenchmarkRecord,
    results: pd.DataFrame,
    curves: pd.DataFrame,
    evaluations: Mapping[tuple[str, str, int], EvaluationResult],
    pages: Mapping[str, str],
    frames_of: FramesReader,
) -> str:
    """Return the report as HTML.

    Args:
        record: commands and versions.
        results: one row per run, see :func:`~glamor_gym.experiments.results.results_table`.
        curves: one row per evaluation, see :func:`~glamor_gym.experiments.results.curves_table`.
        evaluations: (task, algorithm, seed) → final evaluation of that run.
        pages: see :func:`~glamor_gym.experiments.results.run_pages`.
        frames_of: return value of :func:`frames_reader`.
    """
    tasks = in_order(results["task"])
    agents = [agent for agent in ALGORITHMS if agent in set(results["agent"])]
    scores, common = complete_scores(results)
    by_task = {task: curve_estimates(curves, [task]) for task in tasks}
    by_task = {task: table for task, table in by_task.items() if not table.empty}
    overall = curve_estimates(curves, common) if len(common) > 1 else pd.DataFrame()
    by_agent = {
        agent: [
            evaluations[task, agent, seed]
            for seed in table.index
            for task in table.columns
            if (task, agent, seed) in evaluations
        ]
        for agent, table in scores.items()
    }
    finished = results[results["state"] == "finished"]
    return render(
        "benchmark.html.jinja",
        tasks=tasks,
        agents=[title_of(agent) for agent in agents],
        budget=_budget(results),
        seeds=sorted(results["seed"].unique()),
        finished=len(finished),
        runs=len(results),
        failures=results[results["state"] == "failed"].to_dict("records"),
        untrained=_without_update(finished),
        common=common,
        seeds_of_bars=_seeds_in_words(scores),
        left_out=int(finished["task"].isin(common).sum())
        - sum(table.size for table in scores.values()),
        several_seeds=any(len(table) > 1 for table in scores.values()),
        caution=_caution(scores),
        bars=estimate_bars(final_estimates(scores)) if scores else None,
        overall=learning_curves(overall) if not overall.empty else None,
        panels=task_panels(by_task, _published_glamor(by_task)) if by_task else None,
        ends_differ=sorted({name for table in by_task.values() for name in _ends_apart(table)}),
        overall_ends_differ=_ends_apart(overall),
        distances=distance_curves({agent: found for agent, found in by_agent.items() if found}),
        table=[_table_row(task, agents, finished) for task in tasks],
        methods=METHODS,
        source=SOURCE,
        films=[row for task in tasks for row in _films(task, agents, evaluations, frames_of)],
        rows=results.to_dict("records"),
        pages=pages,
        title_of=title_of,
        details={
            "Commands": "\n".join(record.commands),
            "Commits": counted(finished["commit"]),
            "Versions": listed(record.versions, " "),
            "Hardware": counted(finished["hardware"]),
        },
    )


def last_evaluations(runs: Sequence[RunFolder]) -> dict[tuple[str, str, int], EvaluationResult]:
    """Return the final evaluation of each run that has one, by task, algorithm and seed.

    Their frames are left out: those of all runs may not fit into memory; see :func:`frames_reader`.
    """
    found = {}
    for key, run in _by_key(runs).items():
        if (result := run.evaluation(frames=False)) is not None:
            found[key] = result
    return found


def frames_reader(runs: Sequence[RunFolder]) -> FramesReader:
    """Return a function that reads the recorded episodes of one run's final evaluation.

    It takes task, algorithm and seed, and returns no episode if the run has none or their file is
    damaged: without them, only videos are missing.
    """
    folders = _by_key(runs)

    def read(task: str, agent: str, seed: int) -> Sequence[EpisodeFrames]:
        try:
            result = folders[task, agent, seed].evaluation()
        except ValueError:
            return []
        return [] if result is None else result.frames

    return read


def _by_key(runs: Sequence[RunFolder]) -> dict[tuple[str, str, int], RunFolder]:
    """Return the readable runs by task, algorithm and seed."""
    found = {}
    for run in runs:
        if is_readable(run):
            config = run.config()
            found[short_name(config.task), config.algorithm, config.seed] = run
    return found


def _budget(results: pd.DataFrame) -> str:
    """Return the steps taken by the agents that learn, as text."""
    learning = [name for name, algorithm in ALGORITHMS.items() if algorithm.learns]
    chosen = results["agent"].isin(learning) & (results["state"] == "finished")
    steps = results.loc[chosen, "steps"]
    if steps.empty:
        return "–"
    least, most = int(steps.min()), int(steps.max())
    # Parallel environments take their last steps together, so counts differ slightly.
    return f"{most:,}" if most - least <= 0.01 * most else f"{least:,} to {most:,}"


def _without_update(finished: pd.DataFrame) -> list[str]:
    """Return the names of the runs of this library's algorithms that made no update."""
    own = [name for name, row in ALGORITHMS.items() if isinstance(row, ImageGoalAlgorithm)]
    chosen = finished["agent"].isin(own) & (finished["updates"] == 0)
    return list(finished.loc[chosen, "folder"])


def _caution(scores: Mapping[str, pd.DataFrame]) -> str:
    """Return a caution about intervals over seeds; empty if there are enough seeds."""
    few = any(1 < len(table) < ENOUGH_SEEDS for table in scores.values())
    return f", too narrow with fewer than {ENOUGH_SEEDS} of them" if few else ""


def _ends_apart(estimates: pd.DataFrame) -> list[str]:
    """Return the titles of agents whose curves end with evaluations made at different steps."""
    if estimates.empty:
        return []
    return [title_of(agent) for agent in estimates.loc[estimates["steps_differ"], "agent"]]


def _seeds_in_words(scores: Mapping[str, pd.DataFrame]) -> str:
    """Return the seeds of each algorithm as text, or just once if all have the same."""
    named = {agent: ", ".join(map(str, table.index)) for agent, table in scores.items()}
    if len(set(named.values())) == 1:
        return next(iter(named.values()))
    return "; ".join(f"{title_of(agent)} {seeds}" for agent, seeds in named.items())


def _published_glamor(tasks: Mapping[str, Any]) -> dict[str, float]:
    return {task: rates["GLAMOR"].mean for task in tasks if (rates := published_rates(task))}


# ------------------------------------------------------------------ the table beside the paper's


@dataclass(frozen=True)
class Cell:
    """Result of an algorithm on a task.

    Attributes:
        rate: mean success rate over seeds; None if no run is finished.
        spread: standard deviation over seeds, or the interval of a single seed, as text.
        best: whether it is the best of the algorithms that learn.
    """

    rate: float | None
    spread: str = ""
    best: bool = False


@dataclass(frozen=True)
class TableRow:
    """Results on one task, ours and the paper's."""

    task: str
    cells: list[Cell]
    published: list[Rate | None]


def _table_row(task: str, agents: Sequence[str], finished: pd.DataFrame) -> TableRow:
    rows = finished[finished["task"] == task]
    by_agent = {agent: rows[rows["agent"] == agent] for agent in agents}
    learned = [
        by_agent[agent]["success_rate"].mean() for agent in agents if ALGORITHMS[agent].learns
    ]
    best = max((rate for rate in learned if not pd.isna(rate)), default=None)
    published = published_rates(task)
    return TableRow(
        task,
        [_cell(by_agent[agent], best if ALGORITHMS[agent].learns else None) for agent in agents],
        [published.get(method) for method in METHODS],
    )


def _cell(rows: pd.DataFrame, best: float | None) -> Cell:
    """Return the mean and standard deviation over seeds; for one seed, its 95 % interval."""
    if rows.empty:
        return Cell(None)
    rate = float(rows["success_rate"].mean())
    if len(rows) > 1:
        spread = f"({rows['success_rate'].std():.2f})"
    else:
        episodes = int(rows["episodes"].iloc[0])
        low, high = wilson_interval(round(rate * episodes), episodes)
        spread = f"{low:.2f}–{high:.2f}"
    return Cell(rate, spread, best is not None and rate >= best)


# -------------------------------------------------------------------------------------- films


@dataclass(frozen=True)
class FilmRow:
    """One goal of a task, and an episode of each algorithm towards it."""

    task: str
    goal: EpisodeFrames
    shown: list[tuple[str, EpisodeFrames]]


def _films(
    task: str,
    agents: Sequence[str],
    evaluations: Mapping[tuple[str, str, int], EvaluationResult],
    frames_of: FramesReader,
) -> list[FilmRow]:
    """Choose the goals of a task on which the algorithms' first seeds differ most."""
    episodes: dict[str, dict[int, EpisodeFrames]] = {}
    for agent in agents:
        seeds = sorted(seed for name, other, seed in evaluations if (name, other) == (task, agent))
        if seeds:
            frames = frames_of(task, agent, seeds[0])
            episodes[agent] = {episode.goal_index: episode for episode in frames}
    if not episodes:
        return []
    shared = sorted(set.intersection(*(set(by_goal) for by_goal in episodes.values())))

    def difference(goal: int) -> int:
        reached = sum(by_goal[goal].success for by_goal in episodes.values())
        return min(reached, len(episodes) - reached)

    chosen = sorted(shared, key=lambda goal: (-difference(goal), goal))[:FILMS]
    return [
        FilmRow(
            task,
            next(iter(episodes.values()))[goal],
            [(title_of(agent), by_goal[goal]) for agent, by_goal in episodes.items()],
        )
        for goal in chosen
    ]
