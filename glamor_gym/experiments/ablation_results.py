"""What came of an ablation: a row a run, and how far each variant is from the base.

In: the folder of an ablation. Out: its table; and differences of the share of goals reached, with
intervals. A variant is compared with the base by the same goals and the seeds that both have
finished, and only by those.

- On one task: Newcombe's interval for the difference of two shares, over all episodes of all
  seeds. It takes each episode for itself, and so tells of these agents rather than of other seeds.
- Over tasks: the mean of the tasks' differences, with a bootstrap that draws seeds and goals anew
  within each task (Owen's "pigeonhole bootstrap", 2007, where both cross) and keeps the tasks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from glamor_gym.evaluation import newcombe_interval
from glamor_gym.experiments.ablation import AblationFolder, AblationRecord, AblationRun
from glamor_gym.experiments.benchmark import run_name
from glamor_gym.experiments.results import BOOTSTRAP_REPETITIONS, results_table

ABLATION_COLUMNS = (
    "variant",
    "task",
    "held_out_task",
    "goals",
    "seed",
    "state",
    "steps",
    "updates",
    "seconds",
    "success_rate",
    "success_low",
    "success_high",
    "reached_rate",
    "mean_length",
    "random",
    "noop",
    "episodes",
    "error",
    "commit",
    "hardware",
    "goals_hash",
    "folder",
)


def ablation_table(folder: AblationFolder, record: AblationRecord) -> pd.DataFrame:
    """Return a row a run, with the columns :data:`ABLATION_COLUMNS`.

    Every run that was ever asked for has one, also those that failed and those that are still to
    be made (``"waiting"``). ``variant`` says what is changed; ``seconds`` are those of training,
    the evaluations within it included.
    """
    asked = pd.DataFrame(record.runs, columns=pd.Index(AblationRun._fields))
    asked["folder"] = [run_name(record.spec(run)) for run in record.runs]
    asked["held_out_task"] = asked["task"].isin(list(record.held_out))
    found = results_table(folder.run_folders()).drop(columns=["task", "seed"])
    rows = asked.merge(found, on="folder", how="left")
    rows["state"] = rows["state"].fillna("waiting")
    rows["error"] = rows["error"].fillna("")
    rows["seconds"] = (60 * rows["train_minutes"].astype(float)).round(1)
    counts = dict.fromkeys(("steps", "updates", "episodes"), "Int64")
    return rows.astype(counts)[list(ABLATION_COLUMNS)]


@dataclass(frozen=True)
class Scores:
    """What a variant reached on one task.

    Attributes:
        rates: by seed (rows) and goal (columns).
        tries: episodes behind each of them.
    """

    rates: pd.DataFrame
    tries: int

    @property
    def rate(self) -> float:
        """Share of the goals that were reached, over all seeds."""
        return float(self.rates.to_numpy().mean())

    def of_seeds(self, seeds: Sequence[int]) -> Scores:
        """Return the same for some of the seeds."""
        return Scores(self.rates.loc[list(seeds)], self.tries)

    def counts(self) -> tuple[int, int]:
        """Return how many episodes were successes, of how many."""
        return round(self.rates.to_numpy().sum() * self.tries), self.rates.size * self.tries


ScoresByTask = Mapping[str, Scores]


def variant_scores(
    folder: AblationFolder, table: pd.DataFrame, goals: str = "eval"
) -> dict[str, dict[str, Scores]]:
    """Return what each variant reached on each task, by the runs that are finished.

    Args:
        folder: of the ablation.
        table: see :func:`ablation_table`.
        goals: ``"eval"`` or ``"held-out"``.
    """
    evaluations = {run.path.name: run for run in folder.run_folders()}
    finished = table[(table["state"] == "finished") & (table["goals"] == goals)]
    scores: dict[str, dict[str, Scores]] = {}
    for (variant, task), rows in finished.groupby(["variant", "task"], sort=False):
        rates = {}
        for row in rows.sort_values("seed").itertuples():
            result = evaluations[str(row.folder)].evaluation()
            assert result is not None  # a finished run has one
            rates[row.seed] = result.per_goal
            tries = result.episodes // len(result.per_goal)  # the same in all of them
        by_seed = pd.DataFrame.from_dict(rates, orient="index").sort_index(axis=1)
        scores.setdefault(str(variant), {})[str(task)] = Scores(by_seed, tries)
    return scores


@dataclass(frozen=True)
class Difference:
    """How many more of the goals a variant reaches than the base, as a share of them.

    Attributes:
        value: the difference.
        low: lower end of its 95 % interval.
        high: upper end of its interval.
        tasks: over how many tasks.
        seeds: the fewest seeds that it rests on.
    """

    value: float
    low: float
    high: float
    tasks: int
    seeds: int

    @property
    def verdict(self) -> str:
        """``"better"`` or ``"worse"`` where the interval of several seeds decides it, else empty.

        That of one seed tells two agents apart, which two of the same settings may be as well.
        """
        if self.seeds < 2:
            return ""
        return "better" if self.low > 0 else "worse" if self.high < 0 else ""


def task_difference(variant: Scores | None, base: Scores | None) -> Difference | None:
    """Return the difference on one task; None where no seed of both is finished."""
    pair = _paired(variant, base)
    if pair is None:
        return None
    ours, theirs = pair
    low, high = newcombe_interval(ours.counts(), theirs.counts())
    return Difference(ours.rate - theirs.rate, low, high, tasks=1, seeds=len(ours.rates))


def panel_difference(
    variant: ScoresByTask, base: ScoresByTask, tasks: Sequence[str]
) -> Difference | None:
    """Return the mean difference over those of the tasks where a seed of both is finished."""
    pairs = [_paired(variant.get(task), base.get(task)) for task in tasks]
    tables = [
        pair[0].rates.to_numpy() - pair[1].rates.to_numpy() for pair in pairs if pair is not None
    ]
    if not tables:
        return None
    value = float(np.mean([table.mean() for table in tables]))
    low, high = bootstrap_interval(tables)
    return Difference(value, low, high, len(tables), seeds=min(len(table) for table in tables))


def bootstrap_interval(
    tables: Sequence[NDArray[np.float64]], *, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % interval of the mean over tables of each table's mean.

    Args:
        tables: (seeds, goals) each; rows and columns are drawn anew, independently of each other.
        seed: of the bootstrap.
    """
    rng = np.random.default_rng(seed)
    means = np.zeros(BOOTSTRAP_REPETITIONS)
    for table in tables:
        rows, columns = (
            rng.multinomial(size, np.full(size, 1 / size), BOOTSTRAP_REPETITIONS) / size
            for size in table.shape
        )
        means += np.einsum("rs,sg,rg->r", rows, table, columns) / len(tables)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def mean_rate(scores: ScoresByTask, tasks: Sequence[str]) -> float:
    """Return the mean over the tasks that are there; NaN where none is."""
    rates = [scores[task].rate for task in tasks if task in scores]
    return sum(rates) / len(rates) if rates else math.nan


def _paired(variant: Scores | None, base: Scores | None) -> tuple[Scores, Scores] | None:
    """Return both by the seeds that both have."""
    if variant is None or base is None:
        return None
    seeds = [seed for seed in variant.rates.index if seed in base.rates.index]
    return (variant.of_seeds(seeds), base.of_seeds(seeds)) if seeds else None
