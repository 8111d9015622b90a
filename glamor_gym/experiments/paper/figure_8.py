"""Figure 8: a single trial instead of a search at evaluation (§A.4.2).

There is one agent per task and seed, which is evaluated with both numbers of trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd
from matplotlib.figure import Figure

from glamor_gym.experiments.paper.curves import (
    Variant,
    better,
    collect_curves,
    over_seeds,
    with_suite,
)
from glamor_gym.experiments.paper.drawing import curve_figure
from glamor_gym.experiments.paper.reproduction import Comparison, Reproduction
from glamor_gym.experiments.paper.scales import CURVES, QUICK

# Without the vote, which weighs actions without candidates, so that their number has no effect.
VARIANTS = (
    Variant("50 search trials", planner={"n_trials": 50, "vote": False}),
    Variant("1 search trial", planner={"n_trials": 1, "vote": False}),
)


def draw(rows: pd.DataFrame) -> Figure:
    """Draw the mean over the tasks of each suite."""
    return curve_figure(over_seeds(with_suite(rows), ["suite", "variant", "step"]), panel="suite")


def compare(rows: pd.DataFrame) -> Sequence[Comparison]:
    """Compare search with no search on each task."""
    first, second = (variant.name for variant in VARIANTS)
    return [better(rows, task, first, second, same_agents=True) for task in rows["task"].unique()]


REPRODUCTION = Reproduction(
    name="figure-8",
    title="Figure 8: 1 and 50 trials at evaluation",
    shows="Searching among 50 candidates reaches more goals than following a single sample of the "
    "model, which by itself already reaches many.",
    quick=QUICK,
    published=CURVES,
    caveat="One task of each suite instead of 21, and single agents trained for a small part of "
    "the paper's 5 million steps with smaller encoders.",
    collect=partial(collect_curves, variants=VARIANTS),
    draw=draw,
    compare=compare,
)
