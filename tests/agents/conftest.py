"""Fixtures of the agents' tests: one thread, and an agent that was trained once for all."""

from __future__ import annotations

import pytest
import torch
from small_agents import SMALL, make_agent

from glamor_gym.agents import GlamorAgent


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session", params=["token", "duration"])
def trained(request: pytest.FixtureRequest) -> GlamorAgent:
    """Agents that know how long a plan is by STOP, as in the paper, or before its actions."""
    torch.set_num_threads(1)
    policy_kwargs = {**SMALL["policy_kwargs"], "stopping": request.param}
    return make_agent(policy_kwargs=policy_kwargs).learn(400)
