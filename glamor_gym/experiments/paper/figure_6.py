"""Figure 6: planning during data collection: number of trials and action prior (§A.4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd
from matplotlib.figure import Figure

from glamor_gym.agents import GlamorSettings
from glamor_gym.experiments.paper.curves import (
    Variant,
    better,
    collect_curves,
    over_seeds,
)
from glamor_gym.experiments.paper.drawing import curve_figure
from glamor_gym.experiments.paper.reproduction import Comparison, Reproduction
from glamor_gym.experiments.paper.scales import CURVES, QUICK_GRID
from glamor_gym.names import counted

TRIALS = (1, 5, 10, 50)
PRIORS = {"with prior": True, "without prior": False}

# All agents are evaluated with the planner settings of the paper.
_EVALUATION = {
    "n_trials": GlamorSettings.n_trials,
    "use_prior": GlamorSettings.use_prior,
    "vote": GlamorSettings.vote,
}


def _name(n_trials: int, prior: str) -> str:
    return f"{counted(n_trials, 'trial')}, {prior}"


VARIANTS = tuple(
    Variant(
        _name(n_trials, prior),
        # As in the paper, the best of all candidates is followed.
        settings={"n_trials": n_trials, "use_prior": use_prior, "vote": False},
        planner=_EVALUATION,
    )
    for n_trials in TRIALS
    for prior, use_prior in PRIORS.items()
)


def draw(rows: pd.DataFrame) -> Figure:
    """Draw one panel per number of trials, with one curve with and one without the prior."""
    summary = over_seeds(rows)
    # "50 trials, with prior": the panel, and the curve in it.
    parts = summary["variant"].str.split(", ", expand=True)
    several = summary["task"].nunique() > 1
    tasks = summary["task"].str.cat([": "] * len(summary)) if several else ""
    return curve_figure(summary.assign(panel=tasks + parts[0], variant=parts[1]), panel="panel")


def compare(rows: pd.DataFrame) -> Sequence[Comparison]:
    """Compare 50 trials with one, and the spread over seeds with and without the prior."""
    comparisons = []
    for task in rows["task"].unique():
        for prior in PRIORS:
            comparisons.append(better(rows, task, _name(50, prior), _name(1, prior)))
        if rows["seed"].nunique() > 1:
            comparisons.append(_spread(rows, task))
    return comparisons


def _spread(rows: pd.DataFrame, task: str) -> Comparison:
    """Compare final standard deviations over seeds, averaged over the numbers of trials."""
    last = rows[(rows["step"] == rows["step"].max()) & (rows["task"] == task)]
    deviations = last.groupby("variant")["success_rate"].std()
    spread = {
        prior: deviations[[_name(n_trials, prior) for n_trials in TRIALS]].mean()
        for prior in PRIORS
    }
    return Comparison(
        f"{task}: standard deviation over {last['seed'].nunique()} seeds",
        ", ".join(f"{value:.3f} {prior}" for prior, value in spread.items()),
        "larger without the prior",
    )


REPRODUCTION = Reproduction(
    name="figure-6",
    title="Figure 6: planning for training data",
    shows="On Pong, data collected with a single trial teaches poorly, while five are nearly "
    "enough; without the action prior in collection, seeds differ much more.",
    quick=QUICK_GRID,
    published=CURVES.over("Pong"),
    caveat="The grid world instead of Pong: eight agents a seed could not learn Pong in minutes. "
    "Random exploration covers its 49 cells however plans are made, so the differences that the "
    "paper sees can hardly show.",
    collect=partial(collect_curves, variants=VARIANTS),
    draw=draw,
    compare=compare,
    trainings=len(VARIANTS),
)
