"""Results of many runs: tables, and success rates over tasks and seeds with intervals.

In: run folders, finished or not. Out: a table with one row per run and one with one row per
evaluation; and the interquartile mean over tasks and seeds with its stratified bootstrap interval
(Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice", 2021), as
computed by rliable.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rliable import library
from scipy.stats import ttest_ind

from glamor_gym.evaluation import RunConfig, RunFolder, newcombe_interval
from glamor_gym.experiments.algorithms import get_algorithm
from glamor_gym.experiments.status import Status, has_status, read_status
from glamor_gym.tasks import get_task

BOOTSTRAP_REPETITIONS = 2000

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
    rows = [_result(folder) for folder in folders if _was_begun(folder)]
    return pd.DataFrame(rows, columns=pd.Index(RESULT_COLUMNS))


def curves_table(folders: Iterable[RunFolder]) -> pd.DataFrame:
    """Return one row per evaluation, with the columns :data:`CURVE_COLUMNS`.

    With several environments, an evaluation comes a few steps late: its ``step`` is the multiple of
    the run's evaluation interval at which it was due, so that runs can be compared step by step.
    For any other evaluation, it is the step at which it was made. An agent that does not learn has
    one evaluation, at step 0.

    Args:
        folders: run folders; those of runs that were not started, or are damaged, are skipped.
    """
    tables = [_curve(folder) for folder in folders if is_readable(folder)]
    if not tables:
        return pd.DataFrame(columns=pd.Index(CURVE_COLUMNS))
    return pd.concat(tables, ignore_index=True)


def is_readable(folder: RunFolder) -> bool:
    """Return whether a folder holds a run whose files can be read and that has not failed."""
    return folder.holds_a_run() and _result(folder)["state"] != "failed"


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


def counted(column: pd.Series[str]) -> str:
    """Return one line per value of a column, with the number of runs that have it."""
    counts = column.fillna("").value_counts()
    return "\n".join(
        f"{value or 'not known'} ({number} run{'s' if number != 1 else ''})"
        for value, number in counts.items()
    )


def _was_begun(folder: RunFolder) -> bool:
    return folder.holds_a_run() or has_status(folder.path)


def _result(folder: RunFolder) -> dict[str, Any]:
    status = read_status(folder.path)
    try:
        return _row(folder, status)
    except ValueError as error:  # it failed before it wrote its files, or they are damaged
        return {
            "task": status.task,
            "agent": status.agent,
            "seed": status.seed,
            "state": "failed",
            "steps": 0,
            "error": status.error or str(error),
            "folder": folder.path.name,
        }


def _row(folder: RunFolder, status: Status) -> dict[str, Any]:
    """Return the row of a run.

    Raises:
        ValueError: a file is missing or damaged, or names an unknown agent or task.
    """
    config, result = folder.config(), folder.evaluation(frames=False)
    if config.finished and result is None:
        raise ValueError(f"{folder.path} holds a finished run without {folder.evaluation_file}")
    trainer = folder.trainer_of(config)
    train_seconds = trainer.config().train_seconds
    progress = trainer.metrics().reindex(columns=["step", "train/n_updates"]).max()
    progress = progress.astype(float).fillna(0)
    row: dict[str, Any] = {
        "task": get_task(config.task).name,
        "agent": get_algorithm(config.algorithm).name,
        "preset": config.preset,
        "seed": config.seed,
        # A run of ``glamor-gym train`` has no status file.
        "state": "finished" if config.finished else status.state,
        "steps": int(progress["step"]),
        "updates": int(progress["train/n_updates"]),
        "train_minutes": train_seconds / 60,
        "hardware": config.hardware,
        "commit": config.commit,
        "error": "" if config.finished else status.error,  # it may be that of an earlier attempt
        "folder": folder.path.name,
    }
    if result is not None:
        row |= {name: getattr(result, name) for name in FIGURES}
        row["success_low"], row["success_high"] = result.confidence_interval
        row |= {"episodes": result.episodes, "goals_hash": result.goals_hash}
    return row


def _curve(folder: RunFolder) -> pd.DataFrame:
    config, table = folder.config(), folder.metrics()
    if "eval/success_rate" not in table:
        return pd.DataFrame(columns=pd.Index(CURVE_COLUMNS))
    points = table.dropna(subset=["eval/success_rate"])
    curve = pd.DataFrame(
        {
            "task": get_task(config.task).name,
            "agent": config.algorithm,
            "seed": config.seed,
            "step": [_planned_step(step, config) for step in points["step"]],
            "success_rate": points["eval/success_rate"],
            "success_low": points["eval/success_low"],
            "success_high": points["eval/success_high"],
        }
    )
    return curve.drop_duplicates("step", keep="last")


def _planned_step(step: int, config: RunConfig) -> int:
    if step >= config.steps:
        return config.steps
    due = step // config.eval_every * config.eval_every
    return due if due and step - due < config.n_envs else step


# ------------------------------------------------------------------- over tasks and seeds


class Estimate(NamedTuple):
    """Interquartile means with 95 % intervals from a stratified bootstrap over seeds.

    With a single seed, the ends of the intervals are NaN: it says nothing about other seeds.
    """

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


ENOUGH_SEEDS = 5
"""With fewer seeds, bootstrap intervals contain the true value far less often than 95 % of the
time: about half of the time for one task with two seeds."""


def interquartile_means(scores: NDArray[np.float64], *, seed: int = 0) -> Estimate:
    """Return the interquartile means of scores over seeds and tasks.

    Args:
        scores: (seeds, tasks, K), each dimension at least 1.
        seed: random seed of the bootstrap.

    Returns:
        Arrays of shape (K,): the means and the ends of their intervals.
    """
    if len(scores) == 1:
        unknown = np.full(scores.shape[-1], np.nan)
        return Estimate(_middle_mean(scores), unknown, unknown)
    with _numpy_seeded(seed):  # rliable always draws from the global generator
        values, intervals = library.get_interval_estimates(
            {"scores": scores}, _middle_mean, reps=BOOTSTRAP_REPETITIONS
        )
    return Estimate(values["scores"], *intervals["scores"])


def _middle_mean(sample: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (K,) rliable's ``aggregate_iqm`` of each column, computed for all columns at once."""
    ordered = np.sort(sample.reshape(-1, sample.shape[-1]), axis=0)
    cut = len(ordered) // 4
    return np.asarray(ordered[cut : len(ordered) - cut].mean(axis=0))


@contextlib.contextmanager
def _numpy_seeded(seed: int) -> Iterator[None]:
    """Seed NumPy's global generator within the context, and restore its state afterwards."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


DECIDING = 3
"""Smallest number of seeds at which two success rates are said to differ."""

Verdict = Literal["better", "worse", ""]


def verdict_of(low: float, high: float, seeds: int) -> Verdict:
    """Return what the interval of a difference over seeds says.

    Args:
        low: lower end of the interval.
        high: upper end of the interval.
        seeds: number of seeds that it is based on.

    Returns:
        ``"better"`` or ``"worse"`` if the interval excludes 0; empty if it does not, or if there
        are fewer than :data:`DECIDING` seeds.
    """
    if seeds < DECIDING:
        return ""
    return "better" if low > 0 else "worse" if high < 0 else ""


def rates_verdict(
    ours: pd.Series[float],
    theirs: pd.Series[float],
    counted: tuple[int, int],
    compared: tuple[int, int],
) -> Verdict:
    """Return whether one agent's success rate is better than another's, over episodes and seeds.

    Newcombe's interval over episodes and Welch's over seeds must both exclude 0, since few seeds
    or few episodes can agree by chance.

    Args:
        ours: rate of each seed.
        theirs: the same of the agent that it is compared with.
        counted: number of successes and of episodes behind `ours`.
        compared: the same behind `theirs`.

    Returns:
        See :func:`verdict_of`; the smaller number of seeds counts.
    """
    seeds = min(len(ours), len(theirs))
    if seeds < DECIDING:
        return ""
    low, high = newcombe_interval(counted, compared)
    if max(np.std(ours), np.std(theirs)) > 1e-9:  # equal rates give no interval over seeds
        of_seeds = ttest_ind(ours, theirs, equal_var=False).confidence_interval()
        low, high = min(low, of_seeds.low), max(high, of_seeds.high)
    return verdict_of(low, high, seeds)


def final_estimates(
    scores: Mapping[str, pd.DataFrame],
) -> dict[str, tuple[float, float, float]]:
    """Return the interquartile mean of each algorithm and the ends of its interval.

    Args:
        scores: algorithm → table with one row per seed and one column per task; see
            :func:`complete_scores`.
    """
    estimates = {}
    for name, table in scores.items():
        value, low, high = interquartile_means(table.to_numpy()[:, :, np.newaxis])
        estimates[name] = float(value[0]), float(low[0]), float(high[0])
    return estimates


ESTIMATE_COLUMNS = ("step", "value", "low", "high", "steps_differ")


def curve_estimates(curves: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """Return the learning curve of each algorithm over seeds and tasks.

    Only seeds that an algorithm has on all tasks are used. For one seed on one task, the interval
    is the Wilson interval of its episodes; for one seed on several tasks, there is no interval.
    Only steps at which all runs were evaluated are used. If that leaves out the last evaluation of
    every run, since a time limit ended each at another step, these are averaged as well, at the
    fewest of their steps.

    Args:
        curves: return value of :func:`curves_table`.
        tasks: tasks to average over; algorithms that lack one of them are skipped.

    Returns:
        One row per algorithm and step, with ``agent``, ``step``, ``value``, ``low``, ``high``, and
        ``steps_differ``, True if the row averages evaluations made at different steps. An agent
        that does not learn has two rows, at step 0 and at the last step of any agent.
    """
    chosen = curves[curves["task"].isin(tasks)]
    last = chosen["step"].max()
    parts = []
    for agent, rows in chosen.groupby("agent", sort=False):
        if set(rows["task"]) != set(tasks):
            continue
        part = _curve_estimate(rows).assign(agent=agent)
        if part.empty:
            continue
        if part["step"].tolist() == [0]:
            part = pd.concat([part, part.assign(step=last)])
        parts.append(part)
    columns = ["agent", *ESTIMATE_COLUMNS]
    if not parts:
        return pd.DataFrame(columns=pd.Index(columns))
    return pd.concat(parts, ignore_index=True)[columns]


def _curve_estimate(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the columns :data:`ESTIMATE_COLUMNS` for the runs of one algorithm."""
    if rows[["task", "seed"]].drop_duplicates().shape[0] == 1:
        names = {"success_rate": "value", "success_low": "low", "success_high": "high"}
        return rows.rename(columns=names).assign(steps_differ=False)[list(ESTIMATE_COLUMNS)]
    tables = [
        task_rows.pivot_table(index="seed", columns="step", values="success_rate")
        for _, task_rows in rows.groupby("task")
    ]
    seeds = sorted(set.intersection(*(set(table.index) for table in tables)))
    if not seeds:
        return pd.DataFrame(columns=pd.Index(ESTIMATE_COLUMNS))
    tables = [table.loc[seeds] for table in tables]
    # While runs are in progress, the curve ends where the run with the fewest steps is.
    whole = [table.dropna(axis=1) for table in tables]
    steps = sorted(set.intersection(*(set(table.columns) for table in whole)))
    scores = np.stack([table[steps].to_numpy() for table in whole], axis=1)
    fewest = min(table.loc[seed].last_valid_index() for table in tables for seed in seeds)
    steps_differ = [False] * len(steps)
    if fewest not in steps:
        last = np.stack([table.ffill(axis=1).iloc[:, -1:].to_numpy() for table in tables], axis=1)
        scores = np.concatenate([scores, last], axis=-1)
        steps, steps_differ = [*steps, fewest], [*steps_differ, True]
    value, low, high = interquartile_means(scores)
    return pd.DataFrame(
        {"step": steps, "value": value, "low": low, "high": high, "steps_differ": steps_differ}
    )


def complete_scores(
    results: pd.DataFrame, tasks: Sequence[str] | None = None
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Return the success rates on the tasks that all algorithms have finished.

    Args:
        results: return value of :func:`results_table`.
        tasks: tasks to consider; None for all.

    Returns:
        Algorithm → table with one row per seed that it has finished on all common tasks, and one
        column per task (algorithms without such a seed are missing); and the list of common tasks,
        which may be empty.
    """
    ended = results[results["state"] == "finished"].dropna(subset=["success_rate"])
    seeds = ended.pivot_table(index="task", columns="agent", values="seed", aggfunc="count")
    wanted = list(ended["task"].unique()) if tasks is None else list(tasks)
    common = [task for task in wanted if task in seeds.index and seeds.loc[task].notna().all()]
    scores = {}
    for agent, rows in ended[ended["task"].isin(common)].groupby("agent", sort=False):
        table = rows.pivot_table(index="seed", columns="task", values="success_rate").dropna()
        if len(table):
            scores[str(agent)] = table[common]
    return scores, common
