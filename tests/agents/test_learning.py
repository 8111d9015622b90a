"""What an agent learns when it is let: minutes, so only ``make test-slow`` runs it."""

from __future__ import annotations

import gymnasium as gym
import pytest

from glamor_gym import evaluate
from glamor_gym.agents import DiscernAgent, GCSLAgent, GlamorAgent
from glamor_gym.evaluation import RandomAgent, shortest_path_rate, wilson_interval
from glamor_gym.vector.collector import make_collector


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


@pytest.mark.slow
def test_gcsl_learns_the_way_to_the_goals_of_cartpole():
    """It comes by the goals; being there at T as well takes more than 50,000 steps.

    At that budget 0.85 of the goals came by and 0.07 were held at the end, where the paper has 0.09
    after 500,000. DISCERN came by none that chance does not (the paper: 0.01).
    """
    world = {"render_profile": "fast"}
    env = make_collector("cartpole-balance", 8, **world)
    preset = GCSLAgent.preset("compact-control")
    agent = GCSLAgent(env, **preset, seed=0, device="cpu").learn(12_000)
    env.close()

    def reached(agent):
        result = evaluate(agent, "cartpole-balance", env_kwargs=world, baselines=False)
        return wilson_interval(round(result.reached_rate * result.episodes), result.episodes)

    assert reached(agent)[0] > reached(RandomAgent(agent.stop_action))[1]
