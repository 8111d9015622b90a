"""A benchmark: algorithms × tasks × seeds, all with the same budget of steps and the same goals.

In: names of algorithms and tasks, seeds and a budget. Out: a folder::

    runs/TASK-ALGORITHM-SEED/   one folder per run
    benchmark.json              the commands as typed
    results.csv                 one row per run
    curves.csv                  one row per evaluation
    table.md                    goals reached, next to the paper's, for a README
    report.html                 all of it on one page

Finished runs are not repeated: the same command continues an interrupted benchmark, and a larger
benchmark reuses the runs of a smaller one in the same folder. All runs have the same budget and the
same evaluations, except that agents that do not learn need no steps; all of a task have the same
environment; runs of the same algorithm and preset may differ only in task and seed. All of them
together can be extended to more steps.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from glamor_gym.experiments.algorithms import get_algorithm
from glamor_gym.experiments.folders import RECORD_FILES, ExperimentFolder, run_name
from glamor_gym.experiments.results import check_comparable, check_same_goals, results_table
from glamor_gym.experiments.run_config import check_alike, is_finished, new_config
from glamor_gym.experiments.spec import RunSpec, check_agent, distinct
from glamor_gym.goals import load_goal_set
from glamor_gym.names import without_module
from glamor_gym.registration import name_of_env
from glamor_gym.tasks import find_task, short_name


class BenchmarkFolder(ExperimentFolder):
    """The folder of a benchmark.

    Args:
        path: the folder, which need not exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        self.record_file = self.path / RECORD_FILES["a benchmark"]
        self.curves_file = self.path / "curves.csv"
        self.table_file = self.path / "table.md"


def benchmark_specs(
    tasks: Iterable[str],
    algorithms: Iterable[str],
    seeds: Iterable[int],
    *,
    preset: str | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    **budget: Any,
) -> list[RunSpec]:
    """Return the specs of all runs of a benchmark; all runs of the first seed come first.

    Args:
        tasks: names or ids.
        algorithms: see :func:`~glamor_gym.experiments.get_algorithm`.
        seeds: random seeds of the runs.
        preset: preset for the algorithms that have it; the others use their default.
        overrides: algorithm, without its module → settings that differ from the preset's.
        **budget: the other fields of :class:`~glamor_gym.experiments.RunSpec`, the same for all
            runs.

    Raises:
        ValueError: there are no tasks, algorithms or seeds, or one is unknown or given twice; no
            algorithm has the preset; there is no such setting; a number is out of range; or a run
            would learn nothing, see :func:`~glamor_gym.experiments.spec.check_agent`.
        TypeError: a setting has a value of the wrong type.
    """
    tasks = distinct("tasks", [name_of_env(task) for task in tasks])
    algorithms = list(algorithms)
    # Names of folders and settings, so that classes of two modules must differ in them too.
    short_names = distinct("agents", map(without_module, algorithms))
    seeds = distinct("seeds", seeds)
    overrides = overrides or {}
    presets = {name: get_algorithm(name).presets for name in algorithms}
    if preset is not None and not any(preset in known for known in presets.values()):
        known = sorted({name for names in presets.values() for name in names})
        raise ValueError(f"preset must be one of {', '.join(known)}, got {preset!r}")
    if unknown := set(overrides) - set(short_names):
        raise ValueError(
            f"settings must begin with the name of an agent that is run "
            f"({', '.join(short_names)}), got {', '.join(sorted(unknown))}"
        )
    for name, settings in overrides.items():
        if not isinstance(settings, Mapping):
            raise ValueError(
                f"--set must be AGENT.NAME=VALUE, for example {name}.gamma=0.9, "
                f"got {name}={settings}"
            )
    specs = [
        RunSpec(
            task=task,
            algorithm=name,
            preset=preset if preset in presets[name] else None,
            overrides=dict(overrides.get(without_module(name), {})),
            seed=seed,
            **budget,
        )
        for seed in seeds
        for task in tasks
        for name in algorithms
    ]
    # One per algorithm and preset: the others differ only in task and seed.
    for spec in {(spec.algorithm, spec.chosen_preset): spec for spec in specs}.values():
        algorithm = get_algorithm(spec.algorithm)
        arguments = algorithm.arguments(spec.chosen_preset, spec.overrides)
        check_agent(algorithm, arguments, spec.steps, spec.n_envs)
    return specs


def check_benchmark(specs: Sequence[RunSpec], folder: ExperimentFolder) -> None:
    """Check that the requested runs are comparable with the existing ones.

    Runs that will be evaluated (again) are compared by the goals that their task has now.

    Args:
        specs: specs of all requested runs; those that exist may have another budget so far, since
            they will be given the requested one.
        folder: folder of the benchmark.

    Raises:
        ValueError: an existing run has other settings, another environment or another budget, was
            judged on other goals than another run of its task, or is there twice.
    """
    kinds = {(spec.algorithm, spec.chosen_preset): spec for spec in specs}
    asked = {folder.run(spec).path for spec in specs}
    configs = {run_name(spec): new_config(spec) for spec in specs}
    for run in folder.run_folders():
        if not run.holds_a_run():
            continue
        configs[run.path.name] = run.config()
        for spec in kinds.values():
            check_alike(spec, run, budget=run.path not in asked)
    check_comparable(configs)
    due = [
        {
            "task": short_name(spec.task),
            "folder": run_name(spec),
            "goals_hash": load_goal_set(spec.task).hash,
        }
        for spec in specs
        if spec.goals == "eval" and find_task(spec.task) and not is_finished(spec, folder.run(spec))
    ]
    there = results_table(folder.run_folders())
    there = there[~there["folder"].isin([row["folder"] for row in due])]
    check_same_goals(pd.DataFrame([*there.to_dict("records"), *due], columns=there.columns))
