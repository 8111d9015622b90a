"""Agents that were trained once for all tests."""

from __future__ import annotations

import pytest

from glamor_gym.agents import GlamorAgent
from tests.agents.small_agents import SMALL, make_agent


@pytest.fixture(scope="session", params=["token", "duration"])
def trained(request: pytest.FixtureRequest) -> GlamorAgent:
    """Agents that know how long a plan is by STOP, as in the paper, or before its actions."""
    policy_kwargs = {**SMALL["policy_kwargs"], "stopping": request.param}
    return make_agent(policy_kwargs=policy_kwargs).learn(400)
