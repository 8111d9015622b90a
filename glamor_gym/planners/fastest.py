"""The planner that is fastest on a device.

In: a device. Out: a function as :func:`glamor_gym.planners.plan`, with the same plans from the same
noise.
"""

from __future__ import annotations

from importlib.util import find_spec

import torch

from glamor_gym.planners.interface import Planner
from glamor_gym.planners.random_shooting import plan
from glamor_gym.planners.recorded import CudaGraphs, RecordedPlanner


def planner_for(device: torch.device) -> Planner:
    """Return the planner that is fastest on a device: on a GPU, one kernel if Triton is there."""
    if device.type != "cuda":
        return plan
    recorded = RecordedPlanner(CudaGraphs(device))
    if find_spec("triton") is None:
        return recorded
    from glamor_gym.planners.fused import FusedPlanner

    return FusedPlanner(recorded)
