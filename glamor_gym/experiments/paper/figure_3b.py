"""Figure 3b: three ways to end an episode, planned with the same model (§4.7.2).

There is one agent per task and seed, which is evaluated with each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd

from glamor_gym.experiments.paper.curves import Variant, better, collect_curves
from glamor_gym.experiments.paper.drawing import task_figure
from glamor_gym.experiments.paper.reproduction import Comparison, Reproduction
from glamor_gym.experiments.paper.scales import CURVES, QUICK

VARIANTS = (
    Variant("GLAMOR"),
    Variant("naive-end", planner={"stop": "never"}),
    Variant("plan-end", planner={"stop": "end"}),
)


def compare(rows: pd.DataFrame) -> Sequence[Comparison]:
    """Compare the order of the three with the paper's."""
    return [
        comparison
        for task in rows["task"].unique()
        for comparison in (
            better(
                rows,
                task,
                "GLAMOR",
                "plan-end",
                claim="stopping early is best",
                same_agents=True,
            ),
            better(rows, task, "plan-end", "naive-end", same_agents=True),
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
    collect=partial(collect_curves, variants=VARIANTS),
    draw=task_figure,
    compare=compare,
)
