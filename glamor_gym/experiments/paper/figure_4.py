"""Figure 4: candidates drawn at random instead of guided by the model (§4.7.3).

There is one agent per task and seed, which is evaluated with both planners.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd

from glamor_gym.experiments.paper.curves import Variant, better, collect_curves
from glamor_gym.experiments.paper.drawing import task_figure
from glamor_gym.experiments.paper.reproduction import Comparison, Reproduction
from glamor_gym.experiments.paper.scales import CURVES, QUICK

# Without the vote, which would choose by more than the scores of whole plans.
VARIANTS = (
    Variant("GLAMOR", planner={"vote": False}),
    Variant("sparse planner", planner={"vote": False, "guided": False}),
)


def compare(rows: pd.DataFrame) -> Sequence[Comparison]:
    """Compare the two planners on every task."""
    return [
        better(rows, task, "GLAMOR", "sparse planner", same_agents=True)
        for task in rows["task"].unique()
    ]


REPRODUCTION = Reproduction(
    name="figure-4",
    title="Figure 4: a planner that is not guided",
    shows="The scores of a plan's first actions tell which plans are worth going on with. A "
    "planner that draws whole plans uniformly and looks at their final scores alone (Eq. 8) "
    "reaches far fewer goals with the same model.",
    quick=QUICK.over("Seaquest"),
    published=CURVES.over(
        "Frostbite", "Pitfall", "Pong", "PrivateEye", "Qbert", "Seaquest", "Skiing", "Tennis"
    ),
    caveat="One of the paper's eight games, and a single agent trained for a small part of the "
    "paper's 5 million steps with a smaller encoder.",
    collect=partial(collect_curves, variants=VARIANTS),
    draw=task_figure,
    compare=compare,
)
