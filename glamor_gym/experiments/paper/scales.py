"""Scales that several figures use. Figures that need the same training runs share them.

Published: those of the paper (§4, Fig. 5). Quick: those that take minutes on two cores.
"""

from __future__ import annotations

from types import MappingProxyType

from glamor_gym.experiments.paper.reproduction import Scale
from glamor_gym.report.published import published_rates
from glamor_gym.tasks import TASKS

ATARI, CONTROL = (
    tuple(t.name for t in TASKS.values() if t.suite == suite and published_rates(t.name))
    for suite in ("atari", "control")
)
"""The tasks of the paper."""

CURVES = Scale(tasks=(*ATARI, *CONTROL), steps=5_000_000, seeds=(0, 1, 2), looks=20)
"""The learning curves of the paper: 5 million steps, three seeds."""

QUICK = Scale(
    tasks=("Seaquest", "pendulum-swingup"),
    steps=20_000,
    preset=None,
    env_kwargs=MappingProxyType({"render_profile": "fast"}),
    looks=2,
    episodes_per_goal=2,
)
"""One agent per task that starts to reach goals: about eight minutes on one core."""

QUICK_GRID = Scale(
    tasks=("GridWorld",), steps=6_000, seeds=(0, 1), preset="small", looks=6,
    episodes_per_goal=2,
)  # fmt: skip
"""For figures that need many agents; each takes less than a minute."""
