"""A benchmark: algorithms × tasks × seeds, all with one budget of steps and the same goals.

In: the names of algorithms and tasks, seeds and a budget. Out: a folder::

    runs/TASK-ALGORITHM-SEED/   a run each
    benchmark.json              what was typed, and from which source
    results.csv                 a row a run
    curves.csv                  a row an evaluation
    table.md                    goals reached beside the paper's, for a README
    report.html                 all of it as one page

A run that is finished is not made again, so that the same command goes on with a benchmark that
was broken off, and a larger one takes over what a smaller one has done. Runs of one algorithm and
preset differ in task and seed alone; all of them together can go on to more steps.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glamor_gym.evaluation import RunFolder, versions
from glamor_gym.evaluation.provenance import source_commit
from glamor_gym.experiments.algorithms import get_algorithm
from glamor_gym.experiments.run_config import check_alike, is_finished
from glamor_gym.experiments.spec import AlgorithmSpec, RunSpec
from glamor_gym.experiments.worker import Job
from glamor_gym.files import write_atomically
from glamor_gym.tasks import get_task
from glamor_gym.untrusted import read_json


@dataclass(frozen=True)
class BenchmarkRecord:
    """What is known of a benchmark beside its runs.

    Attributes:
        commands: what was typed, to begin it and each time it went on.
        commit: of the source, where it was run from a checkout.
        versions: library → version.
    """

    commands: list[str]
    commit: str
    versions: dict[str, str]


class ExperimentFolder:
    """A folder of runs that belong together: where what is.

    Args:
        path: the folder, which need not exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.runs = self.path / "runs"
        self.results_file = self.path / "results.csv"
        self.report_file = self.path / "report.html"

    def run(self, spec: RunSpec) -> RunFolder:
        """Return the folder of a run."""
        return RunFolder(self.runs / run_name(spec))

    def run_folders(self) -> list[RunFolder]:
        """Return the folders of all runs that were begun, in the order of their names."""
        if not self.runs.is_dir():
            return []
        return [RunFolder(path) for path in sorted(self.runs.iterdir()) if path.is_dir()]


class BenchmarkFolder(ExperimentFolder):
    """The folder of a benchmark.

    Args:
        path: the folder, which need not exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        self.record_file = self.path / "benchmark.json"
        self.curves_file = self.path / "curves.csv"
        self.table_file = self.path / "table.md"

    def record(self) -> BenchmarkRecord:
        """Return what is known of the benchmark.

        Raises:
            ValueError: there is none, or its file is damaged.
        """
        try:
            return BenchmarkRecord(**read_json(self.record_file))
        except FileNotFoundError:
            raise ValueError(
                f"{self.path} holds no benchmark: there is no {self.record_file}"
            ) from None
        except TypeError as error:
            raise ValueError(f"{self.record_file} is damaged: {error}") from error

    def add_command(self, command: str) -> None:
        """Write down what was typed to begin the benchmark, or to go on with it.

        Raises:
            ValueError: the file that is there is damaged.
            OSError: it cannot be written.
        """
        before = self.record().commands if self.record_file.is_file() else []
        record = {
            "commands": [*before, command],
            "commit": source_commit(),
            "versions": versions(),
        }
        with write_atomically(self.record_file) as file:
            file.write(json.dumps(record, indent=2).encode())


def run_name(spec: RunSpec) -> str:
    """Return the name of a run within its experiment, which is that of its folder."""
    name = f"{get_task(spec.task).name}-{spec.variant or spec.algorithm}-{spec.seed}"
    return name if spec.goals == "eval" else f"{name}-{spec.goals}"


def benchmark_specs(
    tasks: Iterable[str],
    algorithms: Iterable[str],
    seeds: Iterable[int],
    *,
    preset: str | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    **budget: Any,
) -> list[RunSpec]:
    """Return every run of a benchmark, the first seed of everything first.

    Args:
        tasks: names or ids.
        algorithms: names in :data:`~glamor_gym.experiments.ALGORITHMS`.
        seeds: of the runs.
        preset: of the algorithms that have one of this name; the others take their usual one.
        overrides: algorithm → settings that differ from the preset's.
        **budget: what all runs have in common: the other fields of
            :class:`~glamor_gym.experiments.RunSpec`.

    Raises:
        ValueError: a name is unknown, comes twice, or is missing; no algorithm has the preset;
            there is no such setting; or a number is out of its range.
        TypeError: a setting has a value of another type.
    """
    tasks = distinct("tasks", [get_task(task).name for task in tasks])
    algorithms = distinct("agents", algorithms)
    seeds = distinct("seeds", seeds)
    overrides = overrides or {}
    presets = {name: get_algorithm(name).presets for name in algorithms}
    if preset is not None and not any(preset in known for known in presets.values()):
        known = sorted({name for names in presets.values() for name in names})
        raise ValueError(f"preset must be one of {', '.join(known)}, got {preset!r}")
    if unknown := set(overrides) - set(algorithms):
        raise ValueError(
            f"settings are given for {', '.join(sorted(unknown))}, which is not run; they begin "
            f"with the name of one that is: {', '.join(algorithms)}"
        )
    settled = [
        AlgorithmSpec(name, preset if preset in presets[name] else None, overrides.get(name, {}))
        for name in algorithms
    ]
    specs = [
        algorithm.on(task, seed, **budget)
        for seed in seeds
        for task in tasks
        for algorithm in settled
    ]
    # One of each kind: they differ in task and seed alone.
    for spec in {(spec.algorithm, spec.chosen_preset): spec for spec in specs}.values():
        algorithm = get_algorithm(spec.algorithm)
        algorithm.check_values(algorithm.arguments(spec.chosen_preset, spec.overrides, spec.steps))
    return specs


def jobs_to_do(specs: Sequence[RunSpec], folder: ExperimentFolder, **arguments: Any) -> list[Job]:
    """Return a job for each run that is not finished, or whose page is missing.

    Args:
        specs: every run.
        folder: of the experiment.
        **arguments: the other fields of :class:`~glamor_gym.experiments.worker.Job`.

    Raises:
        ValueError: a run that is there is another one than asked for.
    """
    runs = [(spec, folder.run(spec)) for spec in specs]
    return [
        Job(spec, run.path.resolve(), **arguments)
        for spec, run in runs
        if not (is_finished(spec, run) and run.report_file.is_file())
    ]


def check_benchmark(specs: Sequence[RunSpec], folder: ExperimentFolder) -> None:
    """Check that the runs that are asked for can stand in one table with those that are there.

    Args:
        specs: every run that is asked for; those of them that are there may have fewer steps yet.
        folder: of the benchmark.

    Raises:
        ValueError: settings, environment or budget of a run that is there are other ones.
    """
    kinds = {(spec.algorithm, spec.chosen_preset): spec for spec in specs}
    asked = {folder.run(spec).path for spec in specs}
    for run in folder.run_folders():
        if not run.holds_a_run():
            continue
        for spec in kinds.values():
            steps = run.config().steps if run.path in asked else spec.steps
            check_alike(dataclasses.replace(spec, steps=steps), run)


def distinct(name: str, values: Iterable[Any]) -> list[Any]:
    """Return values, of which there is one at least and none comes twice.

    Raises:
        ValueError: it is not so.
    """
    listed = list(values)
    if not listed:
        raise ValueError(f"{name} must name at least one")
    if len(set(listed)) < len(listed):
        raise ValueError(f"{name} must differ, got {', '.join(map(str, listed))}")
    return listed
