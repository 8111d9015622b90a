"""What `gym.make_vec` of a game gives: threads, or a plain vector and a warning."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from glamor_gym.vector.atari import make_atari_vector_env
from glamor_gym.vector.threaded_atari import ThreadedAtariVectorEnv


@pytest.mark.parametrize(
    "kwargs",
    [{"reward": "labels"}, {"label_lag": 1}, {"horizon": 51}, {"task": "MsPacman"}],
)
def test_what_threads_cannot_do_is_done_without_them_and_told(kwargs):
    with pytest.warns(UserWarning, match=r"-v0 is stepped one by one, not in threads: ."):
        vector = make_atari_vector_env(2, **{"task": "Pong", **kwargs})
    assert type(vector) is SyncVectorEnv
    specs = vector.get_attr("spec")
    assert [spec.id for spec in specs] == [f"glamor/{kwargs.get('task', 'Pong')}-v0"] * 2
    _, infos = vector.reset(seed=0)
    assert set(infos["labels"]) > {"player_y"}
    vector.close()


def test_episodes_may_be_cut_off_by_gymnasiums_own_limit():
    vector = gym.make_vec("glamor/Pong-v0", num_envs=2, max_episode_steps=3)
    observation, _ = vector.reset(seed=0)
    assert observation["steps_left"].tolist() == [[50], [50]]  # of which it tells nothing
    cut = [vector.step(np.zeros(2, np.int64))[3].tolist() for _ in range(3)]
    assert cut == [[False] * 2, [False] * 2, [True] * 2]
    vector.close()


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"num_envs": 0}, ValueError, "num_envs must be an integer ≥ 1, got 0"),
        ({"horizon": 0}, ValueError, "horizon must be an integer from 1 to 16777216, got 0"),
        ({"horizon": "long"}, TypeError, "horizon"),
        ({"goals": "all"}, ValueError, "goals='all' is for small worlds"),
        ({"reward": "dense"}, ValueError, "reward must be one of"),
        ({"label_lag": 2}, ValueError, "label_lag"),
        ({"sticky": 1.1}, ValueError, "sticky"),
        ({"frame_size": 80}, ValueError, "frame_size"),
        ({"frame_stack": 0}, ValueError, "frame_stack"),
        ({"frame_stack": 1001}, ValueError, "frame_stack must be an integer from 1 to 1000"),
        ({"render_profile": "slow"}, ValueError, "render_profile"),
        ({"render_mode": "human"}, ValueError, "render_mode"),
        ({"task": "Pongg"}, ValueError, "unknown task"),
        (
            {"autoreset_mode": "foo"},
            ValueError,
            "autoreset_mode must be one of 'NextStep', 'SameStep', 'Disabled', got 'foo'",
        ),
        ({"label_lg": 1}, TypeError, "no option 'label_lg'; did you mean label_lag"),
        ({"max_episode_stps": 3}, TypeError, "did you mean max_episode_steps"),
        ({"reward": "lables"}, ValueError, "reward must be one of 'image', 'labels', got 'lables'"),
        ({"reward": "labels", "goal": 1}, TypeError, "no option 'goal'; did you mean goals"),
    ],
)
def test_bad_arguments_are_named(kwargs, error, message):
    with pytest.raises(error, match=message):
        make_atari_vector_env(**{"num_envs": 1, "task": "Pong", **kwargs})


def test_a_mode_given_by_its_name_keeps_the_spec_serialisable():
    vector = gym.make_vec("glamor/Pong-v0", num_envs=2, autoreset_mode="SameStep", horizon=3)
    again = gym.make_vec(EnvSpec.from_json(vector.spec.to_json()))
    for one in (vector, again):
        assert one.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
        assert (one.num_envs, one.horizon) == (2, 3)
        one.close()


def test_minus_one_is_no_limit_as_in_gymnasium():
    vector = make_atari_vector_env(1, "Pong", max_episode_steps=-1)
    assert isinstance(vector, ThreadedAtariVectorEnv)
    vector.close()
