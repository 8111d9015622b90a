"""``glamor-gym benchmark``: compare agents over tasks and seeds.

In: :class:`~glamor_gym.commands.options.Benchmark`. Out: the folder of the benchmark (see
:mod:`glamor_gym.experiments.benchmark.record`), and the results on the terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from rich.table import Table

from glamor_gym.commands.assignments import parse_assignments
from glamor_gym.commands.console import terminal
from glamor_gym.commands.errors import checking_input
from glamor_gym.commands.options import Benchmark
from glamor_gym.commands.workers import Crew, exit_code
from glamor_gym.experiments import RunSpec, get_algorithm
from glamor_gym.experiments.algorithms import title_of
from glamor_gym.experiments.benchmark.record import (
    BenchmarkFolder,
    benchmark_specs,
    check_benchmark,
)
from glamor_gym.experiments.benchmark.report import unequal_steps, write_benchmark_report
from glamor_gym.experiments.estimates import ENOUGH_SEEDS, complete_scores, final_estimates
from glamor_gym.experiments.folders import check_holds_no_other, jobs_to_do, record_command
from glamor_gym.experiments.status import has_status
from glamor_gym.registration import name_of_env
from glamor_gym.tasks import TASKS, Suite


def benchmark(options: Benchmark, command: str) -> int:
    """Execute the unfinished runs, and report the results of all runs.

    Args:
        options: the command's options.
        command: the command line as typed, for the record.

    Returns:
        The exit code: 0; 1 if a run is not finished; 130 after Ctrl-C, SIGTERM or SIGHUP.

    Raises:
        InputError: an option is invalid, or does not fit what is in the folder; or its runs cannot
            be compared.
    """
    with checking_input():
        folder = BenchmarkFolder(options.out)
        check_holds_no_other("--out", folder.path, "a benchmark")
        specs = _specs(options)
        crew = Crew.of(options)
        jobs = jobs_to_do(specs, folder, command=command, **crew.job_arguments)
        check_benchmark(specs, folder)
        record_command(folder.record_file, command)
    for line in _other_presets(specs, options.preset):
        print(line)
    print(f"{len(specs)} runs, {len(specs) - len(jobs)} of them finished already, in {folder.path}")
    interrupted = crew.run_jobs(jobs)
    _report(folder)
    return exit_code(jobs, interrupted)


def _report(folder: BenchmarkFolder) -> None:
    """Write the report of all runs so far, and print the results.

    Raises:
        InputError: runs cannot be compared, or a file is damaged or cannot be written.
    """
    if not any(has_status(run.path) for run in folder.run_folders()):
        # interrupted before the first one was started
        return
    with checking_input():
        results = write_benchmark_report(folder)
    print(f"report: {folder.report_file}")
    scores, tasks = complete_scores(results)
    if scores:
        caption = f"goals reached, interquartile mean over {', '.join(tasks)}"
        if steps := unequal_steps(results, tasks):
            caption += f"; not all took the same number of steps: {steps}"
        table = Table("agent", "rate", "95 % interval over seeds", "seeds", caption=caption)
        for agent, (rate, low, high) in final_estimates(scores).items():
            several = len(scores[agent]) > 1
            interval = f"{low:.2f} to {high:.2f}" if several else "one seed"
            if several and len(scores[agent]) < ENOUGH_SEEDS:
                interval += " (few seeds: too narrow)"
            seeds = ", ".join(map(str, scores[agent].index))
            table.add_row(title_of(agent), f"{rate:.2f}", interval, seeds)
        terminal().print(table)


def _specs(options: Benchmark) -> list[RunSpec]:
    """Return the spec of every requested run.

    Raises:
        ValueError: an option is invalid.
    """
    return benchmark_specs(
        [name for asked in options.tasks for name in _tasks(asked)],
        options.agents,
        options.seeds,
        preset=options.preset,
        overrides=parse_assignments("--set", options.set),
        steps=options.steps,
        n_envs=options.n_envs,
        eval_every=options.eval_every,
        env_kwargs=parse_assignments("--env", options.env),
        episodes_per_goal=options.episodes_per_goal,
        minutes=options.minutes,
    )


def _other_presets(specs: Sequence[RunSpec], preset: str | None) -> list[str]:
    """Return a line for each agent that learns by another preset than the one asked for."""
    used: dict[str, set[str]] = {}
    for spec in specs:
        if preset not in (None, spec.chosen_preset) and get_algorithm(spec.algorithm).learns:
            used.setdefault(spec.algorithm, set()).add(spec.chosen_preset)
    return [
        f"{agent} has no preset {preset} and uses {' and '.join(sorted(names))}"
        for agent, names in used.items()
    ]


def _tasks(asked: str) -> list[str]:
    """Return the names of a suite's tasks, or of the one task asked for.

    Raises:
        ValueError: there is no such suite or task.
    """
    suites = get_args(Suite)
    if asked in suites:
        return [task.name for task in TASKS.values() if task.suite == asked]
    return [name_of_env(asked, beside=suites)]
