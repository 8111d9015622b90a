"""What an agent learns when it is let: minutes, so only ``make test-slow`` runs it."""

from __future__ import annotations

import gymnasium as gym
import pytest

from glamor_gym import evaluate
from glamor_gym.agents import DiscernAgent, GCSLAgent, GlamorAgent
from glamor_gym.evaluation import shortest_path_rate


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_grid_world_is_solved_by_shortest_paths_within_20k_steps(seed):
    """Figure 3a; the authors' code needs 60–70 thousand steps."""
    env = gym.make("glamor/GridWorld-v0", goals="all")
    agent = GlamorAgent(env, **GlamorAgent.preset("small"), seed=seed, device="cpu").learn(20_000)
    assert shortest_path_rate(agent) >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("agent_class", [GCSLAgent, DiscernAgent])
def test_the_baselines_learn_the_grid_world(agent_class):
    env = gym.make("glamor/GridWorld-v0", goals="all")
    agent = agent_class(env, **agent_class.preset("small"), seed=0, device="cpu").learn(15_000)
    result = evaluate(agent, "GridWorld", goals="all")
    assert result.confidence_interval[0] > result.random_interval[1]
