"""What came of many runs: tables, and rates over tasks and seeds with their intervals.

In: folders of runs, finished or not. Out: a table with a row a run and one with a row an
evaluation; and the interquartile mean over tasks and seeds with its stratified bootstrap interval
(Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice", 2021), as
rliable computes them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rliable import library

from glamor_gym.evaluation import RunConfig, RunFolder
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
    """Return a row a run, with the columns :data:`RESULT_COLUMNS`.

    ``state`` is that of :class:`~glamor_gym.experiments.status.Status`; figures are missing where
    a run was not evaluated yet. ``steps`` and ``updates`` are those made up to the last row of its
    log; where the agent is that of another run, they and ``train_minutes`` are that run's. A run
    whose files are damaged counts as failed.

    Args:
        folders: of the runs; one that was not begun gives no row.
    """
    rows = [_result(folder) for folder in folders if _was_begun(folder)]
    return pd.DataFrame(rows, columns=pd.Index(RESULT_COLUMNS))


def curves_table(folders: Iterable[RunFolder]) -> pd.DataFrame:
    """Return a row an evaluation, with the columns :data:`CURVE_COLUMNS`.

    With several environments side by side, an evaluation comes a few steps late: its ``step`` is
    the multiple of the run's evaluation interval at which it was due, so that runs can be laid over
    each other. Of any other evaluation it is the step at which it was made. An agent
    that does not learn has one evaluation, at step 0.

    Args:
        folders: of the runs; one that was not begun, or is damaged, gives no row.
    """
    tables = [_curve(folder) for folder in folders if is_readable(folder)]
    if not tables:
        return pd.DataFrame(columns=pd.Index(CURVE_COLUMNS))
    return pd.concat(tables, ignore_index=True)


def is_readable(folder: RunFolder) -> bool:
    """Return whether there is a run in a folder whose files can be read."""
    return folder.holds_a_run() and _result(folder)["state"] != "failed"


def run_pages(folders: Iterable[RunFolder], beside: Path) -> dict[str, str]:
    """Return the pages of runs, to be linked to.

    Args:
        folders: of the runs; one that has no page gives none.
        beside: folder of the page with the links.

    Returns:
        Name of a run's folder → its page, as seen from `beside`.
    """
    return {
        folder.path.name: Path(os.path.relpath(folder.report_file, beside)).as_posix()
        for folder in folders
        if folder.report_file.is_file()
    }


def counted(column: pd.Series[str]) -> str:
    """Return what a column of a table of runs holds and in how many of them, a line each."""
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
    except ValueError as error:  # it failed before there was anything to read, or is damaged
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
    """Return the row of a run whose files are all there.

    Raises:
        ValueError: one of them is missing, damaged, or of an agent or a task that there is not.
    """
    config, result = folder.config(), folder.evaluation()
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
        # A run that was trained by itself has no status.
        "state": "finished" if config.finished else status.state,
        "steps": int(progress["step"]),
        "updates": int(progress["train/n_updates"]),
        "train_minutes": train_seconds / 60,
        "hardware": config.hardware,
        "commit": config.commit,
        "error": "" if config.finished else status.error,  # of an attempt before
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
    """Interquartile means with the 95 % intervals of a stratified bootstrap over seeds.

    The ends of the intervals are NaN where there is one seed, which tells nothing of the others.
    """

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


ENOUGH_SEEDS = 5
"""With fewer, a bootstrap over seeds gives intervals that hold the truth far less often than 95 %
of the time: of one task with two seeds about half of it."""


def interquartile_means(scores: NDArray[np.float64], *, seed: int = 0) -> Estimate:
    """Return the interquartile means of scores over seeds and tasks.

    Args:
        scores: (seeds, tasks, K), at least one of each.
        seed: of the bootstrap.

    Returns:
        K means with the ends of their intervals.
    """
    if len(scores) == 1:
        unknown = np.full(scores.shape[-1], np.nan)
        return Estimate(_middle_mean(scores), unknown, unknown)
    with _numpy_seeded(seed):  # from which rliable draws, whatever else it is given
        values, intervals = library.get_interval_estimates(
            {"scores": scores}, _middle_mean, reps=BOOTSTRAP_REPETITIONS
        )
    return Estimate(values["scores"], *intervals["scores"])


def _middle_mean(sample: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (K,) what rliable's ``aggregate_iqm`` says of each column, all columns at once."""
    ordered = np.sort(sample.reshape(-1, sample.shape[-1]), axis=0)
    cut = len(ordered) // 4
    return np.asarray(ordered[cut : len(ordered) - cut].mean(axis=0))


@contextlib.contextmanager
def _numpy_seeded(seed: int) -> Iterator[None]:
    """Seed NumPy's global generator for a while, and then let it go on from where it was."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def final_estimates(
    scores: Mapping[str, pd.DataFrame],
) -> dict[str, tuple[float, float, float]]:
    """Return the interquartile mean of each algorithm and the ends of its interval.

    Args:
        scores: algorithm → a row a seed and a column a task, see :func:`complete_scores`.
    """
    estimates = {}
    for name, table in scores.items():
        value, low, high = interquartile_means(table.to_numpy()[:, :, np.newaxis])
        estimates[name] = float(value[0]), float(low[0]), float(high[0])
    return estimates


def curve_estimates(curves: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """Return the learning curve of each algorithm over seeds and tasks.

    Only the seeds count that an algorithm has on all of the tasks. Of one seed on one task, the
    interval is the Wilson interval of its episodes; of one seed on several tasks there is none.

    Args:
        curves: what :func:`curves_table` returned.
        tasks: over which tasks; an algorithm that lacks one of them gives no curve.

    Returns:
        A row an algorithm and step, with ``agent``, ``step``, ``value``, ``low`` and ``high``.
        An agent that does not learn has two, at step 0 and at the last step of all.
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
    columns = ["agent", "step", "value", "low", "high"]
    if not parts:
        return pd.DataFrame(columns=pd.Index(columns))
    return pd.concat(parts, ignore_index=True)[columns]


def _curve_estimate(rows: pd.DataFrame) -> pd.DataFrame:
    """Return ``step``, ``value``, ``low`` and ``high`` for the runs of one algorithm."""
    if rows[["task", "seed"]].drop_duplicates().shape[0] == 1:
        names = {"success_rate": "value", "success_low": "low", "success_high": "high"}
        return rows.rename(columns=names)[["step", *names.values()]]
    tables = [
        task_rows.pivot_table(index="seed", columns="step", values="success_rate")
        for _, task_rows in rows.groupby("task")
    ]
    seeds = sorted(set.intersection(*(set(table.index) for table in tables)))
    # Where runs are still on their way, the curve ends with the one that is the least far.
    whole = [table.loc[seeds].dropna(axis=1) for table in tables]
    steps = sorted(set.intersection(*(set(table.columns) for table in whole)))
    if not (seeds and steps):
        return pd.DataFrame(columns=pd.Index(["step", "value", "low", "high"]))
    scores = np.stack([table[steps].to_numpy() for table in whole], axis=1)
    value, low, high = interquartile_means(scores)
    return pd.DataFrame({"step": steps, "value": value, "low": low, "high": high})


def complete_scores(
    results: pd.DataFrame, tasks: Sequence[str] | None = None
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Return the success rates of each algorithm on the tasks that all of them have finished.

    Args:
        results: what :func:`results_table` returned.
        tasks: the tasks to look at; None for all.

    Returns:
        Algorithm → a row for each seed that it has on all of these tasks, where there is one, and
        a column a task; and the tasks, of which there may be none.
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
