"""Results of an ablation: one row per run, and each variant's difference from the base.

In: the folder of an ablation. Out: its table, and differences in the share of goals reached, with
95 % intervals. A variant is compared with the base on the same goals, and only on seeds that both
have finished.

- On one task: Newcombe's interval for the difference of two proportions, over all episodes of all
  seeds. It treats episodes as independent, so it describes these agents, not other seeds.
- Over several tasks: the mean of the tasks' differences, with a bootstrap that resamples seeds and
  goals within each task (Owen's "pigeonhole bootstrap", 2007, as the two are crossed) and keeps the
  tasks fixed. Over few seeds it is too narrow.

So a verdict also needs an interval over seeds, of the means over tasks: see
:func:`~glamor_gym.experiments.estimates.rates_verdict`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from glamor_gym.evaluation import RunFolder, newcombe_interval
from glamor_gym.experiments.ablation.record import AblationFolder, AblationRecord, AblationRun
from glamor_gym.experiments.estimates import (
    BOOTSTRAP_REPETITIONS,
    Verdict,
    rates_verdict,
)
from glamor_gym.experiments.folders import run_name
from glamor_gym.experiments.results import RESULT_COLUMNS, check_same_goals, results_table

ABLATION_COLUMNS = (
    "variant",
    "task",
    "held_out_task",
    "goals",
    *(name for name in RESULT_COLUMNS if name not in ("task", "agent", "preset")),
)


def ablation_table(folder: AblationFolder, record: AblationRecord) -> pd.DataFrame:
    """Return one row per run, with the columns :data:`ABLATION_COLUMNS`.

    Every requested run has a row, including failed ones and those not started yet (``"waiting"``).
    ``variant`` is the variant's name.
    """
    asked = pd.DataFrame(record.runs, columns=pd.Index(AblationRun._fields))
    asked["folder"] = [run_name(record.spec(run)) for run in record.runs]
    asked["held_out_task"] = asked["task"].isin(list(record.held_out))
    found = results_table(folder.run_folders()).drop(columns=["task", "seed"])
    rows = asked.merge(found, on="folder", how="left")
    rows["state"] = rows["state"].fillna("waiting")
    rows["error"] = rows["error"].fillna("")
    return rows[list(ABLATION_COLUMNS)]


@dataclass(frozen=True)
class Scores:
    """Success rates of a variant on one task.

    Attributes:
        rates: success rate by seed (rows) and goal (columns).
        tries: number of episodes behind each rate.
    """

    rates: pd.DataFrame
    tries: int

    @property
    def rate(self) -> float:
        """Mean success rate over seeds and goals."""
        return float(self.rates.to_numpy().mean())

    def of_seeds(self, seeds: Sequence[int]) -> Scores:
        """Return the scores of some of the seeds."""
        return Scores(self.rates.loc[list(seeds)], self.tries)

    def counts(self) -> tuple[int, int]:
        """Return the number of successes and of episodes."""
        return round(self.rates.to_numpy().sum() * self.tries), self.rates.size * self.tries


ScoresByTask = Mapping[str, Scores]


def variant_scores(
    folder: AblationFolder, table: pd.DataFrame, goals: str = "eval"
) -> dict[str, dict[str, Scores]]:
    """Return the scores of the finished runs: variant → task → scores.

    Args:
        folder: folder of the ablation.
        table: return value of :func:`ablation_table`.
        goals: ``"eval"`` or ``"held-out"``.

    Raises:
        ValueError: runs of a task were judged on different goals.
    """
    finished = table[(table["state"] == "finished") & (table["goals"] == goals)]
    check_same_goals(finished)
    scores: dict[str, dict[str, Scores]] = {}
    for (variant, task), rows in finished.groupby(["variant", "task"], sort=False):
        rates = {}
        for row in rows.sort_values("seed").itertuples():
            result = RunFolder(folder.runs / str(row.folder)).evaluation(frames=False)
            assert result is not None  # every finished run has an evaluation
            rates[row.seed] = result.per_goal
            tries = result.episodes // len(result.per_goal)  # the same in all of them
        by_seed = pd.DataFrame.from_dict(rates, orient="index").sort_index(axis=1)
        scores.setdefault(str(variant), {})[str(task)] = Scores(by_seed, tries)
    return scores


@dataclass(frozen=True)
class Difference:
    """The difference in success rate between a variant and the base.

    Attributes:
        ours: mean rate of the variant, over what is compared.
        base: the same of the base.
        low: lower end of the difference's 95 % interval.
        high: upper end of the difference's 95 % interval.
        tasks: number of tasks that it is based on.
        seeds: smallest number of seeds per task that it is based on.
        verdict: ``"better"`` or ``"worse"`` if that is decided, else empty; always empty with fewer
            than :data:`~glamor_gym.experiments.estimates.DECIDING` seeds, since agents with the
            same settings may differ as much.
    """

    ours: float
    base: float
    low: float
    high: float
    tasks: int
    seeds: int
    verdict: Verdict

    @property
    def value(self) -> float:
        """The difference, positive if the variant is better."""
        return self.ours - self.base


def task_difference(
    variant: Scores | None, base: Scores | None, *, same_agents: bool = False
) -> Difference | None:
    """Return the difference on one task; None if no seed is finished by both.

    Args:
        variant: scores of the variant, if it has any.
        base: the same of the base.
        same_agents: whether the variant evaluates the base's own agents.
    """
    pair = _paired(variant, base)
    return None if pair is None else _difference([pair], same_agents)


def panel_difference(
    variant: ScoresByTask,
    base: ScoresByTask,
    tasks: Sequence[str],
    *,
    same_agents: bool = False,
) -> Difference | None:
    """Return the mean difference over the tasks on which both have finished a seed, if any.

    For a single such task it is that of :func:`task_difference`, including interval and verdict;
    the verdict on several is by the seeds that both have finished on all of them.

    Args:
        variant: scores of the variant on each task.
        base: the same of the base.
        tasks: tasks to average over.
        same_agents: whether the variant evaluates the base's own agents.
    """
    paired = [_paired(variant.get(task), base.get(task)) for task in tasks]
    pairs = [pair for pair in paired if pair is not None]
    return _difference(pairs, same_agents) if pairs else None


def _difference(pairs: Sequence[tuple[Scores, Scores]], same_agents: bool) -> Difference:
    """Return the mean difference of the pairs, each of one task and of the same seeds."""
    if len(pairs) == 1:
        variant, base = pairs[0]
        low, high = newcombe_interval(variant.counts(), base.counts())
    else:
        low, high = bootstrap_interval(
            [variant.rates.to_numpy() - base.rates.to_numpy() for variant, base in pairs]
        )
    ours, theirs = zip(*pairs, strict=True)
    return Difference(
        float(np.mean([scores.rate for scores in ours])),
        float(np.mean([scores.rate for scores in theirs])),
        low,
        high,
        tasks=len(pairs),
        seeds=min(len(scores.rates) for scores in ours),
        verdict=rates_verdict(
            _seed_means(ours), _seed_means(theirs), (low, high), same_agents=same_agents
        ),
    )


def _seed_means(scores: Sequence[Scores]) -> pd.Series[float]:
    """Return the mean over tasks of the rate of each seed that all of them have."""
    of_tasks = pd.concat([each.rates.mean(axis=1) for each in scores], axis=1, join="inner")
    return of_tasks.mean(axis=1)


def bootstrap_interval(tables: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """Return the bootstrap 95 % interval of the mean of the tables' means.

    Args:
        tables: arrays of shape (seeds, goals); rows and columns are resampled independently.
    """
    rng = np.random.default_rng(0)
    means = np.zeros(BOOTSTRAP_REPETITIONS)
    for table in tables:
        rows, columns = (
            rng.multinomial(size, np.full(size, 1 / size), BOOTSTRAP_REPETITIONS) / size
            for size in table.shape
        )
        means += np.einsum("rs,sg,rg->r", rows, table, columns) / len(tables)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _paired(variant: Scores | None, base: Scores | None) -> tuple[Scores, Scores] | None:
    """Return both scores restricted to their common seeds; None if there are none."""
    if variant is None or base is None:
        return None
    seeds = [seed for seed in variant.rates.index if seed in base.rates.index]
    return (variant.of_seeds(seeds), base.of_seeds(seeds)) if seeds else None
