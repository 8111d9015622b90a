"""What an agent learns when it is let: minutes, so only ``make test-slow`` runs it."""

from __future__ import annotations

import gymnasium as gym
import pytest

from glamor_gym.agents import GlamorAgent
from glamor_gym.evaluation import shortest_path_rate


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_grid_world_is_solved_by_shortest_paths_within_20k_steps(seed):
    """Figure 3a; the authors' code needs 60–70 thousand steps."""
    env = gym.make("glamor/GridWorld-v0", goals="all")
    agent = GlamorAgent(env, **GlamorAgent.preset("small"), seed=seed, device="cpu").learn(20_000)
    assert shortest_path_rate(agent) >= 0.95
