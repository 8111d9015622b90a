"""The results table of a benchmark, for a README, with the paper's results.

In: the results of its runs, and their evaluations on held-out goals. Out: a Markdown table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from glamor_gym.experiments.algorithms import ALGORITHMS, is_trained, title_of
from glamor_gym.names import in_order_of
from glamor_gym.report.markdown import markdown_table
from glamor_gym.report.published import Rate, published_rates
from glamor_gym.tasks import TASKS
from glamor_gym.types import EvaluationResult

COLUMNS = (
    "task",
    "agent",
    "steps, training",
    "goals reached",
    "of held-out goals",
    "within reach at some step",
    "random / no-op agent",
    "paper, 500k steps",
)

UNKNOWN = "–"


def benchmark_table(results: pd.DataFrame, held_out: Mapping[str, EvaluationResult]) -> str:
    """Return a Markdown table with one row per task and algorithm that has finished runs.

    The column of algorithms is omitted if there is only one. A rate is followed by the 95 %
    interval of its episodes for a single seed, and by the rates of all seeds for several. Rates
    are bold if they reach the paper's mean for this agent, and marked ``~`` if they are below it by
    at most the paper's standard deviation, all rounded as they are shown.

    Args:
        results: one row per run, see :func:`~glamor_gym.experiments.results.results_table`.
        held_out: name of a run's folder → its result on held-out goals, if it has one.

    Raises:
        ValueError: results on held-out goals that would be averaged are of different goals or
            numbers of episodes; the message names their files.
    """
    finished = results[results["state"] == "finished"]
    rows = [
        _row(task, agent, runs, held_out)
        for task in in_order_of(TASKS, finished["task"])
        for agent in in_order_of(ALGORITHMS, finished["agent"])
        if len(runs := finished[(finished["task"] == task) & (finished["agent"] == agent)])
    ]
    table = pd.DataFrame(rows, columns=pd.Index(COLUMNS))
    if table["agent"].nunique() <= 1:
        table = table.drop(columns="agent")
    return markdown_table(list(table.columns), table.to_numpy().tolist())


def _row(
    task: str, agent: str, runs: pd.DataFrame, held_out: Mapping[str, EvaluationResult]
) -> list[str]:
    runs = runs.sort_values("seed")
    published = published_rates(task).get(title_of(agent))
    reached = _with_spread(
        runs["success_rate"].tolist(),
        (float(runs["success_low"].iloc[0]), float(runs["success_high"].iloc[0])),
        published,
    )
    return [
        task,
        title_of(agent),
        _budget(runs) if is_trained(agent) else UNKNOWN,
        reached,
        _of_held_out({name: held_out[name] for name in runs["folder"] if name in held_out}),
        f"{runs['reached_rate'].mean():.2f}",
        f"{runs['random'].mean():.2f} / {runs['noop'].mean():.2f}",
        UNKNOWN if published is None else f"{published.mean:.2f} ± {published.std:.2f}",
    ]


def _of_held_out(results: Mapping[str, EvaluationResult]) -> str:
    """Return the mean rate on held-out goals with its interval or the seeds' rates.

    Args:
        results: name of a run's folder → its result, in the order of seeds.

    Raises:
        ValueError: the results are of other goals, or of different goals or numbers of episodes.
    """
    if not results:
        return UNKNOWN
    kinds = {
        name: (result.goals, result.goals_hash, result.episodes) for name, result in results.items()
    }
    if len(set(kinds.values())) > 1 or any(goals != "held-out" for goals, *_ in kinds.values()):
        got = "; ".join(
            f"{episodes} episodes on {goals} goals {goals_hash[:12]} in {name}/held-out"
            for name, (goals, goals_hash, episodes) in kinds.items()
        )
        raise ValueError(
            "held-out results of an agent on a task must be of the same held-out goals and as many "
            f"episodes, got {got}; repeat glamor-gym evaluate RUN --goals held-out for some"
        )
    rates = [result.success_rate for result in results.values()]
    return _with_spread(rates, next(iter(results.values())).confidence_interval, None)


def _budget(runs: pd.DataFrame) -> str:
    """Return the steps of the runs, and their minutes or the range of these."""
    steps = [f"{steps / 1000:,.10g}k" for steps in sorted(set(runs["steps"]))]
    minutes = sorted({round(minutes) for minutes in runs["train_minutes"]})
    span = str(minutes[0]) if len(minutes) == 1 else f"{minutes[0]}–{minutes[-1]}"
    return f"{' and '.join(steps)}, {span} min"


def _with_spread(
    rates: Sequence[float], interval: tuple[float, float], published: Rate | None
) -> str:
    """Return the mean rate with its interval or the seeds' rates, marked against the paper's."""
    mean = sum(rates) / len(rates)
    low, high = interval
    text = f"{mean:.2f}"
    shown = round(mean, 2)
    if published is not None and shown >= published.mean:
        text = f"**{text}**"
    elif published is not None and shown >= round(published.mean - published.std, 2):
        text = f"~{text}"
    spread = f"{low:.2f}–{high:.2f}" if len(rates) == 1 else ", ".join(f"{r:.2f}" for r in rates)
    return f"{text} ({spread})"
