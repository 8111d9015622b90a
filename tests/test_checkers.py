"""Gymnasium's and Stable-Baselines3's own checkers, on every id, with warnings as errors."""

import gymnasium as gym
import pytest
import stable_baselines3.common.env_checker as sb3
from gymnasium.utils import env_checker

import glamor_gym  # noqa: F401
from glamor_gym.tasks import TASKS

IDS = [task.id for task in TASKS.values()]

pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize("env_id", IDS)
def test_gymnasiums_checker_passes(env_id):
    env = gym.make(env_id)
    env_checker.check_env(env.unwrapped)
    env.close()


@pytest.mark.parametrize("env_id", IDS)
def test_stable_baselines3s_checker_passes_with_its_goal_checks(env_id, monkeypatch):
    checked = []
    check = sb3._check_goal_env_compute_reward
    monkeypatch.setattr(
        sb3, "_check_goal_env_compute_reward", lambda *args: checked.append(check(*args))
    )
    env = gym.make(env_id)
    sb3.check_env(env.unwrapped)
    assert checked
    env.close()
