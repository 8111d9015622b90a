"""Others' code on these environments: the checkers on every id, with warnings as errors; HER.

By default the checkers see one game, the game that begins late, one control world, and both small
worlds; the slow suite has them see all others.
"""

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3.common.env_checker as sb3
from gymnasium.utils import env_checker
from stable_baselines3 import DQN, HerReplayBuffer

import glamor_gym  # noqa: F401
from glamor_gym.tasks import TASKS

QUICK = ("Pong", "MsPacman", "pendulum-swingup", "GridWorld", "Dice")
IDS = [
    pytest.param(task.id, marks=() if task.name in QUICK else pytest.mark.slow)
    for task in TASKS.values()
]

pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize("env_id", IDS)
def test_gymnasiums_checker_passes(env_id):
    env = gym.make(env_id, render_profile="fast")
    env_checker.check_env(env)
    env.close()


@pytest.mark.parametrize("env_id", IDS)
def test_stable_baselines3s_checker_passes_with_its_goal_checks(env_id, monkeypatch):
    checked = []
    check = sb3._check_goal_env_compute_reward
    monkeypatch.setattr(
        sb3, "_check_goal_env_compute_reward", lambda *args: checked.append(check(*args))
    )
    env = gym.make(env_id, render_profile="fast")
    sb3.check_env(env)
    assert checked
    env.close()


def test_hindsight_relabelling_rewards_what_was_achieved():
    env = gym.make("glamor/GridWorld-v0")
    model = DQN(
        "MultiInputPolicy",
        env,
        replay_buffer_class=HerReplayBuffer,
        replay_buffer_kwargs={"n_sampled_goal": 4},
        learning_starts=100,
        buffer_size=1_000,
        seed=0,
    ).learn(300)
    batch = model.replay_buffer.sample(200)
    achieved = batch.next_observations["achieved_goal"].numpy()
    desired = batch.next_observations["desired_goal"].numpy()
    rewards = batch.rewards.numpy()[:, 0]
    assert np.array_equal(rewards, (achieved == desired).all(axis=1))
    assert 0.2 < rewards.mean() < 1  # most of the goals were put there in hindsight
    env.close()
