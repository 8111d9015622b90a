"""Whether two agents are the same in all that training depends on."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from glamor_gym.agents.base import ImageGoalAgent
from glamor_gym.agents.saving.agent_snapshot import snapshot_agent


def everything(agent: ImageGoalAgent) -> dict[str, Any]:
    """Return all that an agent's next step depends on, its frames included, but no clock."""
    snapshot = snapshot_agent(agent)
    for episode in snapshot["ep_info_buffer"]:
        del episode["t"]
    log = snapshot["process"]["log"]["values"]
    for name in [name for name in log if name.startswith("time/")]:
        del log[name]
    return {**snapshot, "frames": agent.replay_buffer.state()}


def assert_same(one: Any, other: Any, place: str = "agent") -> None:
    """Compare nested plain data bit by bit."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), place
        for key in one:
            assert_same(one[key], other[key], f"{place}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), place
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            assert_same(left, right, f"{place}[{index}]")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), place
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype, place
        np.testing.assert_array_equal(one, other, place)
    else:
        assert one == other or (one != one and other != other), place


def assert_same_agents(one: ImageGoalAgent, other: ImageGoalAgent) -> None:
    """Compare all that the next steps of two agents depend on."""
    assert_same(everything(one), everything(other))
