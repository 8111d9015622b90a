"""Which planner a device gets."""

from __future__ import annotations

import pytest
import torch

from glamor_gym.planners import interface, plan, planner_for


def test_a_cpu_and_a_gpu_without_triton_get_the_plain_one(monkeypatch):
    assert planner_for(torch.device("cpu")) is plan
    monkeypatch.setattr(interface, "find_spec", lambda _: None)
    assert planner_for.__wrapped__(torch.device("cuda")) is plan  # not to be remembered


@pytest.mark.triton
def test_a_gpu_with_triton_gets_the_kernel():
    fused = pytest.importorskip("glamor_gym.planners.fused", exc_type=ImportError)
    planner = planner_for(torch.device("cuda"))
    assert isinstance(planner, fused.FusedPlanner)
    assert planner_for(torch.device("cuda")) is planner, "it forgets that the kernel has failed"
