"""Tables of the results of many runs.

In: run folders, finished or not. Out: a table with one row per run, and one with one row per
evaluation.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from glamor_gym.evaluation import RunConfig, RunFolder
from glamor_gym.evaluation.metrics_file import evaluations_in
from glamor_gym.experiments.algorithms import find_algorithm
from glamor_gym.experiments.status import State, Status, has_status, read_status
from glamor_gym.names import counted, listed
from glamor_gym.tasks import short_name

FIGURES = ("success_rate", "reached_rate", "image_match_rate", "mean_length", "random", "noop")

RESULT_COLUMNS = (
    "task",
    "agent",
    "preset",
    "seed",
    "state",
    "steps",
    "updates",
    *FIGURES,
    "success_low",
    "success_high",
    "episodes",
    "train_minutes",
    "hardware",
    "goals_hash",
    "commit",
    "versions",
    "error",
    "folder",
)

CURVE_COLUMNS = ("task", "agent", "seed", "step", "success_rate", "success_low", "success_high")


def results_table(folders: Iterable[RunFolder]) -> pd.DataFrame:
    """Return one row per run, with the columns :data:`RESULT_COLUMNS`.

    ``state`` is that of :class:`~glamor_gym.experiments.status.Status`; rates are missing if a run
    has not been evaluated yet. ``steps`` and ``updates`` are taken from the last row of the log; if
    the agent is that of another run, they and ``train_minutes`` are that run's. A run with damaged
    files counts as failed; pictures are not read.

    Args:
        folders: run folders; those of runs that were not started are skipped.
    """
    rows = [
        _result(folder) for folder in folders if folder.holds_a_run() or has_status(folder.path)
    ]
    # Whole numbers stay whole beside those of runs that have none yet.
    counts = dict.fromkeys(("steps", "updates", "episodes"), "Int64")
    return pd.DataFrame(rows, columns=pd.Index(RESULT_COLUMNS)).astype(counts)


def curves_table(folders: Iterable[RunFolder]) -> pd.DataFrame:
    """Return one row per evaluation, with the columns :data:`CURVE_COLUMNS`.

    With several environments, an evaluation comes a few steps late: its ``step`` is the multiple of
    the run's evaluation interval at which it was due, so that runs can be compared step by step.
    For any other evaluation, it is the step at which it was made. An agent that does not learn has
    one evaluation, at step 0.

    Args:
        folders: folders of runs whose files can be read.
    """
    tables = [_curve(folder) for folder in folders]
    if not tables:
        return pd.DataFrame(columns=pd.Index(CURVE_COLUMNS))
    return pd.concat(tables, ignore_index=True)


def run_state(config: RunConfig, status: Status) -> State:
    """Return the state of a run by its configuration and its status file.

    A run of ``glamor-gym train`` has no status file, or that of an earlier attempt: one that has
    been finished and is now being given more steps is not finished.
    """
    if config.finished:
        return "finished"
    return "interrupted" if status.state == "finished" else status.state


def check_same_goals(results: pd.DataFrame) -> None:
    """Check that all runs of a task were judged on the same goals.

    Args:
        results: one row per run, with ``task``, ``folder`` and ``goals_hash``, see
            :func:`results_table`; runs without a hash are not compared.

    Raises:
        ValueError: a task has several goal sets; the message names the runs of each.
    """
    for task, rows in results.dropna(subset=["goals_hash"]).groupby("task", sort=False):
        if rows["goals_hash"].nunique() > 1:
            sets = "; ".join(
                f"{', '.join(same['folder'])} on {str(goals_hash)[:12]}"
                for goals_hash, same in rows.groupby("goals_hash", sort=False)
            )
            raise ValueError(
                f"all runs of {task} must have the same goals to be compared, got {sets}; "
                "repeat the older ones in a new folder"
            )


def check_comparable(configs: Mapping[str, RunConfig]) -> None:
    """Check that runs can be compared: none is there twice, and those of a task share its world.

    What an algorithm requires of its environment in training (its
    :attr:`~glamor_gym.experiments.algorithm_kinds.Algorithm.env_kwargs`) is not compared.

    Args:
        configs: name of a run's folder → its configuration.

    Raises:
        ValueError: two runs have the same task, agent and seed, or two of a task have environments
            with other arguments; the message names both.
    """
    runs: dict[tuple[str, str, int], str] = {}
    worlds: dict[str, tuple[str, str]] = {}
    for name, config in configs.items():
        task = short_name(config.task)
        twin = runs.setdefault((task, config.algorithm, config.seed), name)
        if twin != name:
            raise ValueError(
                f"runs must differ in task, agent or seed, got {twin} and {name}, both of "
                f"{task}, {config.algorithm}, seed {config.seed}; remove one of them"
            )
        world = json.dumps(config.env_kwargs, sort_keys=True)  # a file has no tuples
        other, common = worlds.setdefault(task, (name, world))
        if world != common:
            raise ValueError(
                f"all runs of {task} must have the same env_kwargs to be compared, got {common} "
                f"in {other} and {world} in {name}; choose another folder for one of them"
            )


def run_pages(folders: Iterable[RunFolder], beside: Path) -> dict[str, str]:
    """Return relative links to the reports of runs.

    Args:
        folders: run folders; those without a report are skipped.
        beside: folder of the page that contains the links.

    Returns:
        Name of a run's folder → path of its report relative to `beside`.
    """
    return {
        folder.path.name: Path(os.path.relpath(folder.report_file, beside)).as_posix()
        for folder in folders
        if folder.report_file.is_file()
    }


def tallied(column: pd.Series[str]) -> str:
    """Return one line per value of a column, with the number of runs that have it."""
    counts = column.fillna("").value_counts()
    return "\n".join(
        f"{value or 'not known'} ({counted(number, 'run')})" for value, number in counts.items()
    )


def _result(folder: RunFolder) -> dict[str, Any]:
    status = read_status(folder.path)
    try:
        return _row(folder, status)
    except ValueError as error:  # it has not written its files yet, or they are damaged
        only_begun = not folder.holds_a_run() and status.state in ("running", "interrupted")
        return {
            "task": status.task,
            "agent": status.agent,
            "seed": status.seed,
            "state": status.state if only_begun else "failed",
            "steps": 0,
            "error": status.error if only_begun else status.error or str(error),
            "folder": folder.path.name,
        }


def _row(folder: RunFolder, status: Status) -> dict[str, Any]:
    """Return the row of a run.

    Raises:
        ValueError: a file is missing or damaged, or names an unknown agent or task.
    """
    config, result = folder.config(), folder.evaluation(frames=False)
    find_algorithm(config.algorithm)
    if config.finished and result is None:
        raise ValueError(f"{folder.path} holds a finished run without {folder.evaluation_file}")
    trainer = folder.trainer_of(config)
    log = trainer.metrics().reindex(columns=["step", "train/n_updates"])
    progress = log.max().astype(float).fillna(0)
    row: dict[str, Any] = {
        "task": short_name(config.task),
        "agent": config.algorithm,
        "preset": config.preset,
        "seed": config.seed,
        "state": run_state(config, status),
        "steps": int(progress["step"]),
        "updates": int(progress["train/n_updates"]),
        "train_minutes": trainer.config().train_seconds / 60,
        "hardware": config.hardware,
        "commit": config.commit,
        "versions": listed(config.versions, " "),
        "error": "" if config.finished else status.error,  # it may be that of an earlier attempt
        "folder": folder.path.name,
    }
    if result is not None:
        row |= {name: getattr(result, name) for name in FIGURES}
        row["success_low"], row["success_high"] = result.confidence_interval
        row |= {"episodes": result.episodes, "goals_hash": result.goals_hash}
    return row


def _curve(folder: RunFolder) -> pd.DataFrame:
    config, evaluations = folder.config(), evaluations_in(folder.metrics())
    curve = pd.DataFrame(
        {
            "task": short_name(config.task),
            "agent": config.algorithm,
            "seed": config.seed,
            "step": [_planned_step(step, config) for step in evaluations["step"]],
            "success_rate": evaluations["rate"],
            "success_low": evaluations["low"],
            "success_high": evaluations["high"],
        }
    )
    return curve.drop_duplicates("step", keep="last")


def _planned_step(step: int, config: RunConfig) -> int:
    if step >= config.steps:
        return config.steps
    due = step // config.eval_every * config.eval_every
    return due if due and step - due < config.n_envs else step
