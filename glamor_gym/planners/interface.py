"""What every planner is called with and returns, and which one a device gets."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch import Tensor

from glamor_gym.models.glamor import Folded
from glamor_gym.planners.random_shooting import plan
from glamor_gym.planners.settings import PlannerSettings
from glamor_gym.types import Plan

Planner = Callable[[Folded, Tensor, PlannerSettings, torch.Generator], Plan]
"""The signature of :func:`~glamor_gym.planners.plan` and all that stands in for it."""


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
