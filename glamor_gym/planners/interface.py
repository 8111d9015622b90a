"""What every planner is called with and returns, and which one a device gets."""

from __future__ import annotations

import functools
from importlib.util import find_spec
from typing import Protocol

import torch
from jaxtyping import Int
from torch import Tensor

from glamor_gym.models.glamor import Folded
from glamor_gym.planners.random_shooting import plan
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


@functools.cache
def planner_for(device: torch.device) -> Planner:
    """Return the planner that is fastest on a device: one kernel on a GPU, where Triton is.

    All planners make the same plans from the same noise. Each device keeps its planner, which
    remembers whether the kernel has failed.
    """
    if device.type != "cuda" or find_spec("triton") is None:
        return plan
    from glamor_gym.planners.fused import FusedPlanner

    return FusedPlanner()
