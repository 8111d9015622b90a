"""``glamor-gym benchmark``: agents × tasks × seeds, side by side.

In: :class:`~glamor_gym.commands.options.Benchmark`. Out: the folder of the benchmark (see
:mod:`glamor_gym.experiments.benchmark`), and how all runs stand on the terminal.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator, Sequence

from rich.table import Table

from glamor_gym.commands.assignments import parse_assignments
from glamor_gym.commands.device import checked_device
from glamor_gym.commands.errors import checking_input
from glamor_gym.commands.options import Benchmark
from glamor_gym.commands.screen import Screen
from glamor_gym.commands.tables import terminal
from glamor_gym.experiments import RunSpec
from glamor_gym.experiments.benchmark import BenchmarkFolder, benchmark_specs, jobs_to_do
from glamor_gym.experiments.benchmark_figures import title_of
from glamor_gym.experiments.benchmark_report import write_benchmark_report
from glamor_gym.experiments.engines import Engine, LocalEngine
from glamor_gym.experiments.results import complete_scores, final_estimates, results_table
from glamor_gym.experiments.status import read_status
from glamor_gym.experiments.worker import Job
from glamor_gym.tasks import TASKS


def benchmark(options: Benchmark, command: str) -> int:
    """Make the runs that are not finished, and report what all of them come to.

    Args:
        options: what was asked for.
        command: the same as it was typed, for the record.

    Returns:
        The exit code: 0; 1 where a run failed; 130 where Ctrl-C or SIGTERM came.

    Raises:
        InputError: an option is wrong, or does not fit a run that is there.
    """
    with checking_input():
        folder = BenchmarkFolder(options.out)
        specs = _specs(options)
        n_jobs = _jobs_at_once(options)
        engine = _engine(options, n_jobs)
        jobs = jobs_to_do(
            specs,
            folder,
            command=command,
            device=checked_device(options.device),
            threads=max(1, _cores() // n_jobs),
        )
        folder.add_command(command)
    print(f"{len(specs)} runs, {len(specs) - len(jobs)} of them finished already, in {folder.path}")
    interrupted = False
    if jobs:
        try:
            with _ended_by_sigterm(), Screen(jobs, terminal()) as screen:
                engine.carry_out(jobs, screen.update)
        except KeyboardInterrupt:
            interrupted = True
            print("interrupted; the same command goes on from here")
    return _report(folder, jobs, interrupted)


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Take SIGTERM for Ctrl-C, so that runs do not go on without the benchmark."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _report(folder: BenchmarkFolder, jobs: Sequence[Job], interrupted: bool) -> int:
    results = results_table(folder.run_folders())
    if not results.empty:
        print(f"report: {write_benchmark_report(folder)}")
    scores, tasks = complete_scores(results)
    if scores:
        table = Table(caption=f"goals reached, interquartile mean over {', '.join(tasks)}")
        for column in ("agent", "rate", "95 % interval over seeds"):
            table.add_column(column)
        for agent, (rate, low, high) in final_estimates(scores).items():
            several = len(scores[agent]) > 1
            interval = f"{low:.2f} to {high:.2f}" if several else "one seed"
            table.add_row(title_of(agent), f"{rate:.2f}", interval)
        terminal().print(table)
    failed = [job for job in jobs if read_status(job.folder).state == "failed"]
    for job in failed:
        print(f"{job.name} failed: {read_status(job.folder).error} (see {job.folder}/log.txt)")
    if interrupted:
        return 130
    return 1 if failed else 0


def _specs(options: Benchmark) -> list[RunSpec]:
    """Return every run that was asked for.

    Raises:
        ValueError: an option is wrong.
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


def _tasks(asked: str) -> list[str]:
    """Return the tasks of a kind; a task's own name, where it is not that of a kind."""
    return [task.name for task in TASKS.values() if task.suite == asked] or [asked]


def _engine(options: Benchmark, n_jobs: int) -> Engine:
    """Return who is to work.

    Raises:
        ValueError: an option is wrong, or only for the other engine.
    """
    if options.engine == "local":
        for name, given in (("--address", options.address), ("--gpus", options.gpus)):
            if given:
                raise ValueError(f"{name} is for --engine ray, got {given}")
        return LocalEngine(n_jobs, retries=options.retries)
    try:
        from glamor_gym.experiments.ray_engine import RayEngine
    except ImportError as error:
        raise ValueError(
            f"--engine ray needs Ray: pip install 'glamor-gym[ray]' ({error})"
        ) from None
    return RayEngine(n_jobs, address=options.address, retries=options.retries, gpus=options.gpus)


def _jobs_at_once(options: Benchmark) -> int:
    if options.jobs is None:
        return max(1, _cores() // 2)
    if options.jobs < 1:
        raise ValueError(f"--jobs must be at least 1, got {options.jobs}")
    return options.jobs


def _cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
