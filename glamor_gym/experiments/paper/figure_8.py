"""Figure 8: a single trial instead of a search at evaluation (§A.4.2)."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from glamor_gym.experiments.paper.curves import (
    Variant,
    better,
    collect_curves,
    over_seeds,
    with_suite,
)
from glamor_gym.experiments.paper.drawing import curve_figure, styles_of
from glamor_gym.experiments.paper.reproduction import Comparison, Reproduction, Scale
from glamor_gym.experiments.paper.scales import CURVES, QUICK
from glamor_gym.experiments.paper.workshop import Workshop

VARIANTS = (
    Variant("50 search trials", planner={"n_trials": 50}),
    Variant("1 search trial", planner={"n_trials": 1}),
)


def collect(scale: Scale, workshop: Workshop) -> pd.DataFrame:
    """Train one agent per task and seed, and evaluate it with both numbers of trials."""
    return collect_curves(scale, workshop, VARIANTS)


def draw(rows: pd.DataFrame) -> Figure:
    """Draw the mean over the tasks of each suite."""
    summary = over_seeds(with_suite(rows), ["suite", "variant", "step"])
    return curve_figure(summary, styles_of([v.name for v in VARIANTS]), panel="suite")


def compare(rows: pd.DataFrame) -> Sequence[Comparison]:
    """Compare search with no search on each task."""
    first, second = (variant.name for variant in VARIANTS)
    return [better(rows, task, first, second) for task in rows["task"].unique()]


REPRODUCTION = Reproduction(
    name="figure-8",
    title="Figure 8: 1 and 50 trials at evaluation",
    shows="Searching among 50 candidates reaches more goals than following a single sample of the "
    "model, which by itself already reaches many.",
    quick=QUICK,
    published=CURVES,
    caveat="One task of each suite instead of 21, and single agents trained for a small part of "
    "the paper's 5 million steps with smaller encoders.",
    collect=collect,
    draw=draw,
    compare=compare,
)
