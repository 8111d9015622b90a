"""Figure 3b: three ways to end an episode, planned with the same model (§4.7.2)."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from glamor_gym.experiments.paper.curves import Variant, better, collect_curves, over_seeds
from glamor_gym.experiments.paper.drawing import curve_figure, styles_of
from glamor_gym.experiments.paper.reproduction import Comparison, Reproduction, Scale
from glamor_gym.experiments.paper.scales import CURVES, QUICK
from glamor_gym.experiments.paper.workshop import Workshop

VARIANTS = (
    Variant("GLAMOR"),
    Variant("naive-end", planner={"stop": "never"}),
    Variant("plan-end", planner={"stop": "end"}),
)


def collect(scale: Scale, workshop: Workshop) -> pd.DataFrame:
    """Train one agent per task and seed, and evaluate it with each way to end an episode."""
    return collect_curves(scale, workshop, VARIANTS)


def draw(rows: pd.DataFrame) -> Figure:
    """Draw one panel per task."""
    return curve_figure(over_seeds(rows), styles_of([variant.name for variant in VARIANTS]))


def compare(rows: pd.DataFrame) -> Sequence[Comparison]:
    """Compare the order of the three with the paper's."""
    return [
        comparison
        for task in rows["task"].unique()
        for comparison in (
            better(rows, task, "GLAMOR", "plan-end", claim="stopping early is best"),
            better(rows, task, "plan-end", "naive-end"),
        )
    ]


REPRODUCTION = Reproduction(
    name="figure-3b",
    title="Figure 3b: when episodes may end",
    shows="An agent that may stop early reaches the most goals of cartpole-balance. One that has "
    "to be there in step T does better if it plans to be there then (plan-end) than if it takes "
    "shortest paths over and over (naive-end).",
    quick=QUICK.over("cartpole-balance", "pendulum-swingup"),
    published=CURVES.over("cartpole-balance"),
    caveat="Single agents, trained for a small part of the paper's 5 million steps with smaller "
    "encoders and a simpler look of the worlds. Cartpole takes more steps than that to be learned; "
    "the pendulum, which is not in the paper's figure, shows what its early agent cannot.",
    collect=collect,
    draw=draw,
    compare=compare,
)
