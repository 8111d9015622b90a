"""The report of a benchmark: its runs compared with each other and with the paper.

In: the folder of a benchmark. Out: its ``results.csv``, ``curves.csv``, ``table.md`` and
``report.html``, a self-contained page with figures and videos.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from glamor_gym.evaluation import RunFolder
from glamor_gym.experiments.algorithm_kinds import ImageGoalAlgorithm
from glamor_gym.experiments.algorithms import ALGORITHMS, is_trained, title_of
from glamor_gym.experiments.benchmark.beside_paper import table_row
from glamor_gym.experiments.benchmark.figures import (
    distance_curves,
    estimate_bars,
    learning_curves,
    task_panels,
)
from glamor_gym.experiments.benchmark.films import RunsByKey, film_of
from glamor_gym.experiments.benchmark.record import BenchmarkFolder
from glamor_gym.experiments.benchmark.table import benchmark_table
from glamor_gym.experiments.estimates import (
    ENOUGH_SEEDS,
    complete_scores,
    curve_estimates,
    final_estimates,
)
from glamor_gym.experiments.folders import recorded_commands
from glamor_gym.experiments.results import (
    check_comparable,
    check_same_goals,
    curves_table,
    results_table,
    run_pages,
    tallied,
)
from glamor_gym.files import write_text
from glamor_gym.names import in_order_of
from glamor_gym.report.published import METHODS, SOURCE, published_rates
from glamor_gym.report.rendering import render
from glamor_gym.tasks import TASKS, short_name


def write_benchmark_report(folder: BenchmarkFolder) -> pd.DataFrame:
    """Write the tables and the report of a benchmark from the runs so far.

    Returns:
        One row per run, see :func:`~glamor_gym.experiments.results.results_table`.

    Raises:
        ValueError: none of its runs was started, its runs cannot be compared (see
            :func:`~glamor_gym.experiments.results.check_comparable`), or a file is damaged.
        OSError: there is no benchmark, or a file cannot be written.
    """
    commands, runs = recorded_commands(folder.record_file), folder.run_folders()
    results = results_table(runs)
    if results.empty:
        raise ValueError(f"{folder.path} holds no run to report: {folder.runs} is empty")
    check_same_goals(results)
    sound = set(results.loc[results["state"] != "failed", "folder"])
    readable = [run for run in runs if run.path.name in sound and run.holds_a_run()]
    check_comparable({run.path.name: run.config() for run in readable})
    curves = curves_table(readable)
    finished = set(results.loc[results["state"] == "finished", "folder"])
    held_out = {
        run.path.name: result
        for run in runs
        if run.path.name in finished and (result := run.held_out()) is not None
    }
    texts = {
        folder.results_file: results.to_csv(index=False),
        folder.curves_file: curves.to_csv(index=False),
        folder.table_file: benchmark_table(results, held_out),
        folder.report_file: render_benchmark(
            commands,
            results,
            curves,
            runs_by_key(readable),
            run_pages(runs, folder.path),
        ),
    }
    for file, text in texts.items():
        write_text(file, text)
    return results


def render_benchmark(
    commands: Sequence[str],
    results: pd.DataFrame,
    curves: pd.DataFrame,
    runs: RunsByKey,
    pages: Mapping[str, str],
) -> str:
    """Return the report as HTML.

    Args:
        commands: the command lines as typed.
        results: one row per run, see :func:`~glamor_gym.experiments.results.results_table`.
        curves: one row per evaluation, see :func:`~glamor_gym.experiments.results.curves_table`.
        runs: return value of :func:`runs_by_key`.
        pages: see :func:`~glamor_gym.experiments.results.run_pages`.
    """
    named = results[results["task"] != ""]  # a damaged run does not tell its task
    tasks = in_order_of(TASKS, named["task"])
    agents = in_order_of(ALGORITHMS, results["agent"])
    scores, common = complete_scores(results)
    by_task = {task: curve_estimates(curves, [task]) for task in tasks}
    by_task = {task: table for task, table in by_task.items() if not table.empty}
    overall = curve_estimates(curves, common) if len(common) > 1 else pd.DataFrame()
    compared = {
        agent: [
            result
            for seed in table.index
            for task in table.columns
            if (run := runs.get((task, agent, seed))) and (result := run.evaluation(frames=False))
        ]
        for agent, table in scores.items()
    }
    finished = results[results["state"] == "finished"]
    return render(
        "benchmark.html.jinja",
        tasks=tasks,
        agents=[title_of(agent) for agent in agents],
        budget=_budget(results),
        seeds=sorted(named["seed"].unique()),
        finished=len(finished),
        runs=len(results),
        failures=results[results["state"] == "failed"].to_dict("records"),
        untrained=_without_update(finished),
        common=common,
        unequal_steps=unequal_steps(results, common),
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
        distances=distance_curves({agent: found for agent, found in compared.items() if found}),
        table=[table_row(task, agents, finished) for task in tasks],
        methods=METHODS,
        source=SOURCE,
        films=[row for task in tasks if (row := film_of(task, agents, runs)) is not None],
        rows=results.to_dict("records"),
        pages=pages,
        title_of=title_of,
        details={
            "Commands": "\n".join(commands),
            "Commits": tallied(finished["commit"]),
            "Versions": tallied(finished["versions"]),
            "Hardware": tallied(finished["hardware"]),
        },
    )


def runs_by_key(runs: Sequence[RunFolder]) -> RunsByKey:
    """Return the runs that have an evaluation, by task, algorithm and seed."""
    return {
        (short_name(config.task), config.algorithm, config.seed): run
        for run in runs
        if run.evaluation_file.is_file()
        for config in [run.config()]
    }


def unequal_steps(results: pd.DataFrame, tasks: Sequence[str]) -> str:
    """Return the steps of each algorithm that learns, as text, if its finished runs' steps differ.

    They do while a benchmark is extended, or if a limit of minutes ended runs.

    Args:
        results: one row per run, see :func:`~glamor_gym.experiments.results.results_table`.
        tasks: names of the tasks whose runs are compared.

    Returns:
        E.g. ``"GLAMOR 200,000; GCSL 50,000"``; empty if the steps of all runs are equal.
    """
    learned = _learned(results[results["task"].isin(tasks)])
    if learned.empty or _span(learned["steps"]) == f"{learned['steps'].max():,}":
        return ""
    return "; ".join(
        f"{title_of(str(agent))} {_span(steps)}"
        for agent, steps in learned.groupby("agent", sort=False)["steps"]
    )


def _budget(results: pd.DataFrame) -> str:
    """Return the steps taken by the agents that learn, as text."""
    steps = _learned(results)["steps"]
    return "–" if steps.empty else _span(steps)


def _learned(results: pd.DataFrame) -> pd.DataFrame:
    """Return the finished runs of agents that learn."""
    return results[results["agent"].map(is_trained) & (results["state"] == "finished")]


def _span(steps: pd.Series[int]) -> str:
    """Return the least and the most steps as text, or just these if they are about the same."""
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
