"""Which planner a device gets."""

from __future__ import annotations

import pytest
import torch

from glamor_gym.planners import fastest, plan, planner_for
from glamor_gym.planners.recorded import RecordedPlanner


def test_a_cpu_gets_the_plain_one_and_a_gpu_one_that_launches_once(monkeypatch):
    assert planner_for(torch.device("cpu")) is plan
    monkeypatch.setattr(fastest, "find_spec", lambda _: None)
    assert isinstance(planner_for(torch.device("cuda")), RecordedPlanner)


@pytest.mark.triton
def test_a_gpu_with_triton_gets_the_kernel():
    fused = pytest.importorskip("glamor_gym.planners.fused", exc_type=ImportError)
    assert isinstance(planner_for(torch.device("cuda")), fused.FusedPlanner)
