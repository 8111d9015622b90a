"""Snapshots of vectors: there are none where one would leave out part of what is remembered."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeLimit
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

from glamor_gym.envs.gridworld import GridWorld
from glamor_gym.vector.sb3 import as_vec_env
from glamor_gym.vector.vector_state import restore_vector, snapshot_vector
from glamor_gym.vector.workers import WorkerVecEnv
from glamor_gym.wrappers import EpisodeJournal, GoalEnv
from tests.vector.faulty import Faulty

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


class OwnEnv(GoalEnv):
    """An environment of a user's, with the rules of this package."""


def own():
    return OwnEnv(GridWorld(), GridWorld().all_goals(), ranges={"x": 6.0, "y": 6.0}, horizon=5)


def limited_own():
    return TimeLimit(own(), 3)


def of_others():
    """Return an environment of another package, whose class has the name of ours."""
    return type("GoalEnv", (Faulty,), {})(".")


def with_a_method():
    """Return an environment that calls something else a snapshot."""
    return type("CameraEnv", (Faulty,), {"snapshot": lambda self: "a picture"})(".")


@pytest.mark.parametrize("kind", VECTORS)
@pytest.mark.parametrize(
    ("make", "known"),
    [
        (plain, True),
        (monitored, True),
        (limited, False),
        (journal, True),
        (limited_journal, False),
        (own, True),
        (limited_own, False),
        (of_others, False),
        (with_a_method, False),
    ],
)
def test_wrappers_that_remember_something_are_not_left_out(kind, make, known):
    vector = as_vec_env(VECTORS[kind]([make]))
    try:
        vector.seed(0)
        vector.reset()
        assert (snapshot_vector(vector) is not None) is known
        vector.reset()  # it has survived the question
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


@pytest.mark.parametrize("kind", ["dummy", "workers"])
def test_sb3s_vectors_go_on_where_gymnasiums_were_saved(kind):
    one = as_vec_env(SyncVectorEnv([plain] * 2, autoreset_mode=AutoresetMode.SAME_STEP))
    other = as_vec_env(VECTORS[kind]([monitored] * 2))
    one.seed(0)
    one.reset()
    for _ in range(4):
        one.step(np.array([0, 1]))
    restore_vector(other, snapshot_vector(one))
    for _ in range(6):
        seen, expected = (vector.step(np.array([2, 3])) for vector in (other, one))
        for key, values in expected[0].items():
            assert np.array_equal(seen[0][key], values)
        assert np.array_equal(seen[1], expected[1])
    for info, known in zip(seen[3], expected[3], strict=True):
        assert info["episode"]["l"] == known["episode"]["l"] == 10
        assert info["episode"]["r"] == known["episode"]["r"]
    other.close()
