"""Fixtures of the agents' tests: one thread, and an agent that was trained once for all."""

from __future__ import annotations

import pytest
import torch
from small_agents import make_agent

from glamor_gym.agents import GlamorAgent


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def trained() -> GlamorAgent:
    torch.set_num_threads(1)
    return make_agent().learn(400)
