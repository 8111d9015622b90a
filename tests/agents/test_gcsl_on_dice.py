"""Cloning on the die of Appendix A.1: it goes the way that Equation 12 works out."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch

from glamor_gym.agents import GCSLAgent
from glamor_gym.envs.dice import LOADED
from glamor_gym.experiments.paper.appendix_a1 import exact_path
from glamor_gym.types import Trajectory

ROLLS = 3_000
FACES = np.eye(6, dtype=np.float32)


def make_agent(world: gym.Env) -> GCSLAgent:
    return GCSLAgent(
        world,
        learning_rate=3e-3,
        buffer_size=2 * ROLLS,  # two moments a roll: the latest policy's data and no other
        weight_decay=0.0,
        policy_kwargs={"embedding_size": 32},
        seed=0,
        device="cpu",
    )


def observed(goals: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "observation": np.zeros((len(goals), 6), np.float32),
        "desired_goal": FACES[goals],
        "steps_left": np.ones((len(goals), 1), np.float32),
    }


def collect(agent: GCSLAgent, world: gym.Env, rng: np.random.Generator, at_random: bool) -> None:
    goals = rng.integers(0, 6, ROLLS)
    actions, _ = agent.predict(observed(goals))
    if at_random:
        actions = rng.integers(0, 2, ROLLS)
    for action in actions:
        world.reset()
        rolled = world.step(int(action))[0]["achieved_goal"]
        moments = np.stack([np.zeros_like(rolled), rolled])
        agent.replay_buffer.add(Trajectory(moments, np.array([action]), moments))


def probabilities(agent: GCSLAgent) -> np.ndarray:
    logits = agent.policy.logits(observed(np.arange(6)), np.ones(6, np.int64))
    return logits.softmax(dim=-1).numpy()


def path(iterations: int) -> np.ndarray:
    """Return π(die | face) after each iteration of collecting and fitting."""
    torch.set_num_threads(1)
    world = gym.make("glamor/Dice-v0", goals="all")
    world.reset(seed=0)
    agent, rng, policies = make_agent(world), np.random.default_rng(0), []
    for iteration in range(iterations):
        collect(agent, world, rng, at_random=iteration == 0)
        for _ in range(120):
            agent.update(agent.replay_buffer.sample(500))
        policies.append(probabilities(agent))
    return np.stack(policies)


@pytest.fixture(scope="module")
def learned() -> np.ndarray:
    return path(3)


def test_it_follows_the_exact_recursion_within_sampling_error(learned):
    # Some thousand rolls show face 1: about one per cent of error an iteration, and it adds up.
    assert learned[:, 0, LOADED] == pytest.approx(exact_path(3)[1:, 0], abs=0.06)


def test_it_leaves_the_loaded_die_where_that_alone_is_right(learned):
    assert learned[0, 0].argmax() == LOADED
    assert learned[2, 0].argmax() != LOADED


def test_where_the_loaded_die_cannot_win_it_is_never_taken(learned):
    assert (learned[:, 1:, LOADED] < 0.02).all()


@pytest.mark.slow
def test_after_ten_iterations_next_to_nothing_is_left_of_it():
    assert path(10)[4:, 0, LOADED] == pytest.approx(exact_path(10)[5:, 0], abs=0.06)
