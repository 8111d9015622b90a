"""What every planner is called with and returns, however it computes."""

from __future__ import annotations

from typing import Protocol

import torch
from jaxtyping import Int
from torch import Tensor

from glamor_gym.models.glamor import Folded
from glamor_gym.planners.settings import PlannerSettings
from glamor_gym.types import Plan


class Planner(Protocol):
    """The signature of :func:`~glamor_gym.planners.plan` and all that stands in for it."""

    def __call__(
        self,
        folded: Folded,
        max_actions: Int[Tensor, "b"],
        settings: PlannerSettings,
        generator: torch.Generator,
    ) -> Plan:
        """Find the best of N candidate plans for each of B observations."""
        ...
