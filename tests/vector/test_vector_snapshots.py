"""Snapshots of vectors: there are none where one would leave out part of what is remembered."""

from functools import partial

import gymnasium as gym
import pytest
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv
from gymnasium.wrappers import TimeLimit
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

from glamor_gym.vector.sb3 import as_vec_env
from glamor_gym.vector.snapshots import snapshot_vector
from glamor_gym.vector.workers import WorkerVecEnv
from glamor_gym.wrappers import EpisodeJournal

VECTORS = {
    "dummy": DummyVecEnv,
    "sync": SyncVectorEnv,
    "subprocess": partial(SubprocVecEnv, start_method="fork"),
    "async": partial(AsyncVectorEnv, context="fork"),
    "workers": WorkerVecEnv,
}


def plain():
    return gym.make("glamor/GridWorld-v0")


def monitored():
    return Monitor(plain())


def limited():
    return TimeLimit(plain(), 5)


def journal():
    return EpisodeJournal(limited())


def limited_journal():
    return TimeLimit(journal(), 5)


@pytest.mark.parametrize("kind", VECTORS)
@pytest.mark.parametrize(
    ("make", "known"),
    [(plain, True), (monitored, True), (limited, False), (journal, True), (limited_journal, False)],
)
def test_wrappers_that_remember_something_are_not_left_out(kind, make, known):
    vector = as_vec_env(VECTORS[kind]([make]))
    try:
        vector.seed(0)
        vector.reset()
        assert (snapshot_vector(vector) is not None) is known
    finally:
        vector.close()


def test_nor_are_wrappers_of_the_vector():
    vector = as_vec_env(RecordEpisodeStatistics(SyncVectorEnv([plain])))
    vector.reset()
    assert snapshot_vector(vector) is None


def test_nor_is_the_limit_of_make_vec():
    vector = as_vec_env(gym.make_vec("glamor/GridWorld-v0", num_envs=1, max_episode_steps=5))
    vector.reset()
    assert snapshot_vector(vector) is None
