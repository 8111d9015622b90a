"""Success rates over tasks and seeds, with intervals, and whether two of them differ.

In: tables of the results of many runs, see :mod:`glamor_gym.experiments.results`. Out: the
interquartile mean over tasks and seeds with its stratified bootstrap interval (Agarwal et al.,
"Deep Reinforcement Learning at the Edge of the Statistical Precipice", 2021), as computed by
rliable; and verdicts on differences.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rliable import library
from scipy.stats import ttest_1samp, ttest_ind

from glamor_gym.evaluation.isolation import globals_seeded
from glamor_gym.experiments.algorithms import ALGORITHMS
from glamor_gym.names import in_order_of

BOOTSTRAP_REPETITIONS = 2000


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


def interquartile_means(scores: NDArray[np.float64]) -> Estimate:
    """Return the interquartile means of scores over seeds and tasks.

    Args:
        scores: (seeds, tasks, K), each dimension at least 1.

    Returns:
        Arrays of shape (K,): the means and the ends of their intervals.
    """
    if len(scores) == 1:
        unknown = np.full(scores.shape[-1], np.nan)
        return Estimate(_middle_mean(scores), unknown, unknown)
    with globals_seeded(0):  # rliable always draws from the global generator
        values, intervals = library.get_interval_estimates(
            {"scores": scores}, _middle_mean, reps=BOOTSTRAP_REPETITIONS
        )
    return Estimate(values["scores"], *intervals["scores"])


def _middle_mean(sample: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (K,) rliable's ``aggregate_iqm`` of each column, computed for all columns at once."""
    ordered = np.sort(sample.reshape(-1, sample.shape[-1]), axis=0)  # faster than trim_mean
    outer = len(ordered) // 4
    return np.asarray(ordered[outer : len(ordered) - outer].mean(axis=0))


DECIDING = 3
"""Smallest number of seeds at which two success rates are said to differ."""

Verdict = Literal["better", "worse", ""]


def rates_verdict(
    ours: pd.Series[float],
    theirs: pd.Series[float],
    interval: tuple[float, float],
    *,
    same_agents: bool = False,
) -> Verdict:
    """Return whether one success rate is better than another, over episodes and seeds.

    An interval of the difference over episodes and a t interval over seeds must both exclude 0,
    since few seeds or few episodes can agree by chance. The latter is Welch's; where both rates are
    of the same agents, who only act differently, it is that of each seed's difference.

    Args:
        ours: rate of each seed, by seed.
        theirs: the same of what it is compared with; if `same_agents`, the seeds of both count.
        interval: 95 % interval of the difference over episodes.
        same_agents: whether agents of the same seed are the same.

    Returns:
        ``"better"`` or ``"worse"`` if both intervals exclude 0; empty if they do not, or if there
        are fewer than :data:`DECIDING` seeds on either side.
    """
    samples = [(ours - theirs).dropna()] if same_agents else [ours, theirs]
    if min(map(len, samples)) < DECIDING:
        return ""
    low, high = interval
    if max(np.std(sample) for sample in samples) > 1e-9:  # equal rates give no interval over seeds
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of rates that are equal on one side
            if same_agents:
                test = ttest_1samp(samples[0], 0)
            else:
                test = ttest_ind(ours, theirs, equal_var=False)
        of_seeds = test.confidence_interval()
        low, high = min(low, float(of_seeds.low)), max(high, float(of_seeds.high))
    return "better" if low > 0 else "worse" if high < 0 else ""


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
        curves: return value of :func:`~glamor_gym.experiments.results.curves_table`.
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
    """Return the columns :data:`ESTIMATE_COLUMNS` for the runs of one algorithm.

    Args:
        rows: those of the algorithm in the `curves` of :func:`curve_estimates`.
    """
    if rows[["task", "seed"]].drop_duplicates().shape[0] == 1:
        names = {"success_rate": "value", "success_low": "low", "success_high": "high"}
        return rows.rename(columns=names).assign(steps_differ=False)[list(ESTIMATE_COLUMNS)]
    # One row per run and one column per step, without the seeds that lack a task.
    n_tasks = rows["task"].nunique()
    runs = rows.pivot_table(index=["seed", "task"], columns="step", values="success_rate")
    runs = runs.groupby("seed").filter(lambda of_seed: len(of_seed) == n_tasks)
    if runs.empty:
        return pd.DataFrame(columns=pd.Index(ESTIMATE_COLUMNS))
    # While runs are in progress, the curve ends where the run with the fewest steps is.
    curves = runs.dropna(axis=1)
    common = curves.columns
    fewest = runs.apply(lambda rates: rates.last_valid_index(), axis=1).min()
    if fewest not in common:
        curves = curves.join(runs.ffill(axis=1).iloc[:, -1].rename(fewest))
    scores = curves.to_numpy().reshape(-1, n_tasks, curves.shape[1])
    value, low, high = interquartile_means(scores)
    estimate = pd.DataFrame({"step": curves.columns, "value": value, "low": low, "high": high})
    return estimate.assign(steps_differ=~estimate["step"].isin(common))


def complete_scores(results: pd.DataFrame) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Return the success rates on the tasks that all algorithms have finished.

    Args:
        results: return value of :func:`~glamor_gym.experiments.results.results_table`.

    Returns:
        Algorithm → table with one row per seed that it has finished on all common tasks, and one
        column per task (algorithms without such a seed are missing); and the list of common tasks,
        which may be empty.
    """
    ended = results[results["state"] == "finished"].dropna(subset=["success_rate"])
    seeds = ended.pivot_table(index="task", columns="agent", values="seed", aggfunc="count")
    common = [task for task in ended["task"].unique() if seeds.loc[task].notna().all()]
    scores = {}
    for agent in in_order_of(ALGORITHMS, ended["agent"]):
        rows = ended[ended["task"].isin(common) & (ended["agent"] == agent)]
        table = rows.pivot_table(index="seed", columns="task", values="success_rate").dropna()
        if len(table):
            scores[agent] = table[common]
    return scores, common
