"""Figure 7: learning only from random data, GLAMOR and GCSL (§A.4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd

from glamor_gym.experiments.paper.curves import Variant, better, collect_curves
from glamor_gym.experiments.paper.drawing import task_figure
from glamor_gym.experiments.paper.reproduction import Comparison, Reproduction
from glamor_gym.experiments.paper.scales import CURVES, QUICK_GRID
from glamor_gym.report.style import ALGORITHM_COLOURS

RANDOM = {"data_policy": "random"}

VARIANTS = (
    Variant("GLAMOR, own data"),
    Variant("GLAMOR, random data", settings=RANDOM),
    Variant("GCSL, own data", algorithm="gcsl"),
    Variant("GCSL, random data", algorithm="gcsl", settings=RANDOM),
)

STYLES = {
    "GLAMOR, own data": (ALGORITHM_COLOURS["glamor"], "-"),
    "GLAMOR, random data": (ALGORITHM_COLOURS["glamor"], "--"),
    "GCSL, own data": (ALGORITHM_COLOURS["gcsl"], "-"),
    "GCSL, random data": (ALGORITHM_COLOURS["gcsl"], "--"),
}
"""Dashed lines for random data."""


def compare(rows: pd.DataFrame) -> Sequence[Comparison]:
    """Compare the two agents on random data."""
    return [
        better(rows, task, "GLAMOR, random data", "GCSL, random data")
        for task in rows["task"].unique()
    ]


REPRODUCTION = Reproduction(
    name="figure-7",
    title="Figure 7: learning from random data",
    shows="Trained on data of a uniformly random policy alone, GLAMOR still reaches most goals "
    "of four games; GCSL, which clones what it sees, struggles.",
    quick=QUICK_GRID,
    published=CURVES.over("Pitfall", "Pong", "Qbert", "Seaquest"),
    caveat="The grid world instead of four games: there, random play passes every goal "
    "often. GCSL cannot stop, here or in the paper: it has to be at the goal in step T.",
    collect=partial(collect_curves, variants=VARIANTS),
    draw=partial(task_figure, styles=STYLES),
    compare=compare,
    trainings=len(VARIANTS),
)
