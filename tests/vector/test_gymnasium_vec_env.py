"""Gymnasium's vectors as Stable-Baselines3's."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeLimit
from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.monitor import Monitor

import glamor_gym  # noqa: F401
from glamor_gym.vector.sb3 import GymnasiumVecEnv, as_vec_env
from glamor_gym.wrappers import StopAction


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_the_infos_of_resets_that_a_vector_makes_by_itself_are_kept(mode):
    vector = gym.make_vec("glamor/GridWorld-v0", 2, vector_kwargs={"autoreset_mode": mode})
    env = as_vec_env(vector)
    env.seed(0)
    env.reset()
    first = list(env.reset_infos)
    observations, *_, infos = env.step(np.array([0, 4]))  # the second stops
    assert infos[1]["stopped"]
    assert env.reset_infos[0] == first[0]
    again = env.reset_infos[1]
    assert not again["stopped"]
    assert again["steps_left"] == observations["steps_left"][1, 0] == 10
    assert again["goal_labels"] != first[1]["goal_labels"]


def test_a_seed_is_that_of_the_next_reset_only():
    env = as_vec_env(gym.make_vec("glamor/GridWorld-v0", 2))
    env.seed(3)
    other = make_vec_env("glamor/GridWorld-v0", 2, seed=3)
    goals = []
    for _ in range(4):
        observations, others = env.reset(), other.reset()
        np.testing.assert_equal(observations, dict(others))
        goals.append(tuple(observations["desired_goal"].argmax(axis=1)))
    assert len(set(goals)) == 4


def test_no_step_overwrites_earlier_observations():
    env = as_vec_env(gym.make_vec("glamor/GridWorld-v0", 2, vector_kwargs={"copy": False}))
    first = env.reset()
    env.step(np.array([0, 1]))
    assert first["steps_left"].tolist() == [[10], [10]]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_vectors_of_both_reset_modes_play_the_same_episodes(kind):
    played = []
    for mode in (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP):
        vector_kwargs = {"autoreset_mode": mode}
        env = as_vec_env(gym.make_vec("glamor/GridWorld-v0", 3, kind, vector_kwargs=vector_kwargs))
        env.seed(0)
        env.reset()
        rng = np.random.default_rng(0)
        steps = [env.step(rng.integers(0, 5, 3)) for _ in range(40)]
        assert sum(dones.sum() for _, _, dones, _ in steps) > 10
        played.append(steps)
        env.close()
    for (one, *numbers, infos), (other, *its_numbers, its_infos) in zip(*played, strict=True):
        np.testing.assert_equal(one, other)
        np.testing.assert_equal(numbers, its_numbers)
        for info, its in zip(infos, its_infos, strict=True):
            last, its_last = info.get("terminal_observation"), its.get("terminal_observation")
            np.testing.assert_equal(last, its_last)
            if last is not None:
                assert info["episode"]["l"] == its["episode"]["l"]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_statistics_of_a_wrapper_are_those_of_the_episodes(kind):
    wrapper = RecordEpisodeStatistics(gym.make_vec("glamor/GridWorld-v0", 2, kind))
    as_vec_env(wrapper)  # no harm in twice
    env = as_vec_env(wrapper)
    env.reset()
    lengths = []
    for step in range(20):
        _, _, dones, infos = env.step(np.array([0, 4 if step % 4 == 3 else 0]))  # 4 stops
        lengths += [info["episode"]["l"] for done, info in zip(dones, infos, strict=True) if done]
    env.close()
    assert lengths == list(wrapper.length_queue) == [4, 4, 10, 4, 4, 10, 4]


def test_each_episode_is_counted_by_itself_and_an_end_is_no_time_limit():
    def make():
        return TimeLimit(gym.make("glamor/GridWorld-v0"), 3)

    env = GymnasiumVecEnv(SyncVectorEnv([make], autoreset_mode=AutoresetMode.SAME_STEP))
    env.reset()
    ends = []
    for action in (0, 0, 4, 0, 4, 0, 0, 0):  # 4 is STOP, at first in the limit's last step
        *_, dones, infos = env.step(np.array([action]))
        if dones[0]:
            ends.append((infos[0]["episode"]["l"], infos[0]["TimeLimit.truncated"]))
    assert ends == [(3, False), (2, False), (3, True)]
    env.step(np.array([0]))
    env.reset()
    for _ in range(3):
        *_, infos = env.step(np.array([0]))
    assert infos[0]["episode"]["l"] == 3


def test_it_counts_as_monitored_since_episodes_are_told():
    env = as_vec_env(gym.make_vec("glamor/GridWorld-v0", 2))
    assert env.env_is_wrapped(Monitor) == [True, True]
    assert env.env_is_wrapped(StopAction, indices=[0]) == [False]


def test_a_vector_that_resets_more_than_it_is_asked_to_is_refused():
    class Forgetful(SyncVectorEnv):
        def reset(self, *, seed=None, options=None):
            return super().reset(seed=seed)

    env = as_vec_env(Forgetful([lambda: gym.make("glamor/GridWorld-v0")] * 2))
    env.reset()
    env.step(np.array([0, 0]))
    with pytest.raises(ValueError, match=r"options\['reset_mask'\] only: make it with"):
        env.step(np.array([0, 4]))


def test_infos_in_a_list_are_refused():
    vector = RecordEpisodeStatistics(DictInfoToList(gym.make_vec("glamor/GridWorld-v0", 2)))
    with pytest.raises(ValueError, match="leave out the wrapper DictInfoToList"):
        as_vec_env(vector)


def test_an_attribute_is_set_to_one_value_for_all():
    env = as_vec_env(gym.make_vec("glamor/GridWorld-v0", 2, vectorization_mode="sync"))
    goals = list(env.get_attr("goals")[0][:3])
    env.set_attr("goals", goals)
    assert env.get_attr("goals") == [goals, goals]
    env.reset()


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_observations_may_be_no_dicts(mode):
    kwargs = {"autoreset_mode": mode}
    env = GymnasiumVecEnv(gym.make_vec("CartPole-v1", 2, "sync", vector_kwargs=kwargs))
    env.seed(0)
    env.reset()
    for _ in range(30):  # always to the right, the pole falls within a dozen steps
        _, _, dones, infos = env.step(np.array([1, 1]))
        for done, info in zip(dones, infos, strict=True):
            assert ("terminal_observation" in info) == done
            if done:
                assert info["terminal_observation"].shape == (4,)
                assert abs(info["terminal_observation"][2]) > 0.2


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_generators_and_seeds_are_each_environments_own(kind):
    env = as_vec_env(gym.make_vec("glamor/GridWorld-v0", 3, vectorization_mode=kind))
    env.seed(5)
    env.reset()
    assert env.get_attr("np_random_seed") == [5, 6, 7]
    own, some = env.env.np_random, env.get_attr("np_random", indices=[2, 0])
    assert [rng.bit_generator.state for rng in some] == [own[k].bit_generator.state for k in (2, 0)]
    env.close()


def test_a_method_is_called_of_the_environments_asked_for_only():
    env = as_vec_env(gym.make_vec("glamor/GridWorld-v0", 3, vectorization_mode="sync"))
    env.reset()
    for _ in range(3):
        env.step(np.array([1, 1, 1]))
    env.env_method("reset", indices=[0])
    assert [one.unwrapped._steps_left for one in env.env.envs] == [10, 7, 7]


def test_a_vector_that_can_only_call_all_refuses_to_call_some():
    env = as_vec_env(gym.make_vec("glamor/Pong-v0", 2))
    frames = env.reset()["achieved_goal"]
    rewards = env.env_method("compute_reward", frames, frames, [{}, {}], indices=[0])
    assert [reward.tolist() for reward in rewards] == [[1.0, 1.0]]
    with pytest.raises(ValueError, match="indices must be None for 'reset' of a ThreadedAtari"):
        env.env_method("reset", indices=[0])
    env.close()
