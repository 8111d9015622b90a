"""Success rate over training steps, for agents that differ in one thing: most of the figures.

In: a :class:`~glamor_gym.experiments.paper.reproduction.Scale` and the :class:`Variant`s to
compare. Out: a table with one row per task, variant, seed and step; and summaries over seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pandas as pd

from glamor_gym.evaluation import evaluate, newcombe_interval, wilson_interval
from glamor_gym.experiments import RunSpec, estimates, get_algorithm
from glamor_gym.experiments.paper.reproduction import Agreement, Comparison, Scale
from glamor_gym.experiments.paper.workshop import Trained, Workshop
from glamor_gym.experiments.runs import planned_by
from glamor_gym.tasks import get_task

AGREES: Mapping[estimates.Verdict, Agreement] = MappingProxyType(
    {"better": "yes", "worse": "no", "": "undecided"}
)
"""Verdict on a difference → whether it agrees with a paper that claims “better”."""


@dataclass(frozen=True)
class Variant:
    """One of the variants that a figure compares.

    Attributes:
        name: name in the figure's legend.
        algorithm: a name in :data:`~glamor_gym.experiments.ALGORITHMS`.
        settings: settings that differ in training.
        planner: planner settings that differ at evaluation: fields of
            :class:`~glamor_gym.planners.PlannerSettings`. Variants that differ only in these share
            their agents.
    """

    name: str
    algorithm: str = "glamor"
    settings: Mapping[str, Any] = field(default_factory=dict)
    planner: Mapping[str, Any] = field(default_factory=dict)


def collect_curves(scale: Scale, workshop: Workshop, variants: Sequence[Variant]) -> pd.DataFrame:
    """Train every variant on every task with every seed, and evaluate its snapshots.

    Returns:
        One row each, with ``task``, ``variant``, ``seed``, ``step``, ``success_rate``,
        ``reached_rate``, ``mean_length``, ``episodes``, and the success rates ``random`` and
        ``noop`` of the baselines at the end of that run.
    """
    rows = [
        _look(workshop, trained, variant, step, scale.episodes_per_goal)
        for task in scale.tasks
        for variant in variants
        for seed in scale.seeds
        for trained in [workshop.trained(run_spec(scale, task, variant, seed), scale.look_steps)]
        for step in scale.look_steps
    ]
    return pd.DataFrame(rows)


def run_spec(scale: Scale, task: str, variant: Variant, seed: int) -> RunSpec:
    """Return the training run of a variant; it is evaluated only at its end."""
    algorithm = get_algorithm(variant.algorithm)
    return RunSpec(
        task=task,
        algorithm=variant.algorithm,
        preset=scale.preset if scale.preset in algorithm.presets else None,
        overrides={**scale.settings, **variant.settings} if algorithm.learns else {},
        seed=seed,
        steps=scale.steps,
        n_envs=scale.n_envs,
        eval_every=scale.steps,
        env_kwargs=dict(scale.env_kwargs),
        episodes_per_goal=scale.episodes_per_goal,
    )


def _look(
    workshop: Workshop, trained: Trained, variant: Variant, step: int, episodes_per_goal: int
) -> dict[str, Any]:
    """Evaluate one snapshot of an agent."""
    planner = "".join(f"-{name}={value}" for name, value in sorted(variant.planner.items()))
    name = f"{trained.name}/{step}-{episodes_per_goal}-a-goal{planner}"
    result = workshop.evaluated(
        name,
        lambda: evaluate(
            planned_by(trained.agent(step), variant.planner),
            trained.spec.task,
            episodes_per_goal=episodes_per_goal,
            seed=trained.spec.seed,
            env_kwargs=trained.spec.env_kwargs,
            deterministic=False,  # as the paper's agents play
            baselines=False,
            record=0,
        ),
    )
    chance = trained.result
    return {
        "task": trained.spec.task,
        "variant": variant.name,
        "seed": trained.spec.seed,
        "step": step,
        "success_rate": result.success_rate,
        "reached_rate": result.reached_rate,
        "mean_length": result.mean_length,
        "episodes": result.episodes,
        "random": chance.random,
        "noop": chance.noop,
    }


# --------------------------------------------------------------------------------- over seeds


def over_seeds(rows: pd.DataFrame, by: Sequence[str] = ("task", "variant", "step")) -> pd.DataFrame:
    """Return the mean success rate of each group, with an interval.

    For a single seed, the interval is the 95 % Wilson interval of its episodes; for several, the
    mean plus and minus one standard deviation over seeds, as in the paper's Table 1.

    Args:
        rows: return value of :func:`collect_curves`.
        by: columns to group by.

    Returns:
        One row per group, with the columns `by`, ``rate``, ``low``, ``high``, ``seeds``,
        ``random`` and ``noop``.
    """
    summaries = []
    for key, group in rows.groupby(list(by), sort=False):
        rates = _rates_of_seeds(group)
        rate, deviation = rates.mean(), rates.std()
        if len(rates) == 1:
            low, high = wilson_interval(*_counts(group))
        else:
            low, high = max(0.0, rate - deviation), min(1.0, rate + deviation)
        summary = {"rate": rate, "low": low, "high": high, "seeds": len(rates)}
        chance = {name: group[name].mean() for name in ("random", "noop")}
        summaries.append(dict(zip(by, key, strict=True)) | summary | chance)
    return pd.DataFrame(summaries)


def _rates_of_seeds(rows: pd.DataFrame) -> pd.Series[float]:
    """Return the rate of each seed; tasks have equal weight."""
    return rows.groupby("seed")["success_rate"].mean()


def _counts(rows: pd.DataFrame) -> tuple[int, int]:
    """Return the number of successes and of episodes."""
    episodes = int(rows["episodes"].sum())
    return round(float(_rates_of_seeds(rows).mean()) * episodes), episodes


def with_suite(rows: pd.DataFrame) -> pd.DataFrame:
    """Add a column ``suite``: ``"Atari"`` or ``"Control"``."""
    return rows.assign(suite=[get_task(task).suite.capitalize() for task in rows["task"]])


def in_words(summary: Mapping[Any, Any] | pd.Series[Any]) -> str:
    """Return a rate with its interval, e.g. ``"0.39 (0.31–0.48)"``."""
    return f"{summary['rate']:.2f} ({summary['low']:.2f}–{summary['high']:.2f})"


def better(
    rows: pd.DataFrame,
    task: str,
    first: str,
    second: str,
    *,
    claim: str | None = None,
    same_agents: bool = False,
) -> Comparison:
    """Test the claim “the first variant reaches more goals than the second” at the last step.

    Args:
        rows: return value of :func:`collect_curves`.
        task: name of a task in `rows`.
        first: name of a variant.
        second: name of a variant.
        claim: the paper's statement; None for the claim itself.
        same_agents: whether the two variants differ only in `planner`, and share their agents.

    Returns:
        The comparison. `agrees` is ``"undecided"`` if an interval of the difference contains 0, or
        if there are fewer than :data:`~glamor_gym.experiments.estimates.DECIDING` seeds.
    """
    last = rows[(rows["step"] == rows["step"].max()) & (rows["task"] == task)]
    ends = {row["variant"]: row for row in over_seeds(last, ["variant"]).to_dict("records")}
    ours, theirs = (last[last["variant"] == name] for name in (first, second))
    verdict = estimates.rates_verdict(
        _rates_of_seeds(ours),
        _rates_of_seeds(theirs),
        newcombe_interval(_counts(ours), _counts(theirs)),
        same_agents=same_agents,
    )
    return Comparison(
        statement=f"{task}: {first} above {second}",
        ours=f"{in_words(ends[first])} and {in_words(ends[second])}",
        published=claim or f"{first} above {second}",
        agrees=AGREES[verdict],
    )
