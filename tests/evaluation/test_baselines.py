from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import glamor_gym  # noqa: F401  (registers the environments)
from glamor_gym.evaluation import NoopAgent, RandomAgent


def batch(n):
    return {"steps_left": np.zeros((n, 1), np.float32)}


def test_the_random_agent_takes_every_action_equally_often_but_never_stops():
    actions, _ = RandomAgent(stop_action=4, seed=1).predict(batch(10_000))
    counts = np.bincount(actions, minlength=5)
    assert counts[4] == 0
    assert np.abs(counts[:4] - 2500).max() < 5 * np.sqrt(10_000 * 0.25 * 0.75)


def test_the_same_seed_gives_the_same_actions():
    first, second = (RandomAgent(9, seed=7).predict(batch(50))[0] for _ in range(2))
    other, _ = RandomAgent(9, seed=8).predict(batch(50))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("agent", [RandomAgent(4), NoopAgent(4)])
def test_both_take_one_observation_as_an_environment_gives_it(agent):
    env = gym.make("glamor/GridWorld-v0", goals="all")
    observation, _ = env.reset(seed=0)
    action, state = agent.predict(observation)
    assert env.action_space.contains(int(action))
    assert state is None
    env.close()


def test_the_noop_agent_always_stops():
    actions, _ = NoopAgent(stop_action=6).predict(batch(3))
    assert actions.tolist() == [6, 6, 6]


def test_a_world_without_actions_is_refused():
    with pytest.raises(ValueError, match="stop_action"):
        RandomAgent(stop_action=0)


def test_without_a_clock_observations_are_a_batch():
    observations = {"desired_goal": np.zeros((3, 2), np.float32)}
    assert NoopAgent(stop_action=6).predict(observations)[0].tolist() == [6, 6, 6]
    assert RandomAgent(stop_action=6).predict(observations)[0].shape == (3,)
