"""Whatever vector a user may hold: what it lacks is said, and it lives on."""

import math
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv
from gymnasium.wrappers import TimeLimit
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

import glamor_gym  # noqa: F401
from glamor_gym.vector.sb3 import as_vec_env, horizon_of, task_id_of

VECTORS = {
    "dummy": DummyVecEnv,
    "subprocess": partial(SubprocVecEnv, start_method="fork"),
    "sync": SyncVectorEnv,
    "async": partial(AsyncVectorEnv, context="fork"),
}


class Clockless(gym.Env):
    """A goal environment that does not tell its horizon; STOP may be there."""

    box = spaces.Box(0, 1, (1,), np.float32)
    observation_space = spaces.Dict({"observation": box, "achieved_goal": box, "desired_goal": box})
    action_space = spaces.Discrete(3)

    def __init__(self, *, stop: bool) -> None:
        if stop:
            self.stop_action = 2
        self.spec = gym.envs.registration.EnvSpec("Clockless-v0")

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, False, False, {}


@pytest.fixture(params=VECTORS)
def make_vector(request):
    made = []

    def make(maker):
        made.append(VECTORS[request.param]([maker]))
        return made[-1]

    yield make
    for vector in made:
        vector.close()


def test_a_vector_without_stop_is_refused_and_lives_on(make_vector):
    vector = make_vector(partial(Clockless, stop=False))
    with pytest.raises(ValueError, match="env has no stop_action"):
        as_vec_env(vector)
    vector.reset()


def test_a_vector_without_a_horizon_is_refused_and_lives_on(make_vector):
    vector = as_vec_env(make_vector(partial(Clockless, stop=True)))
    with pytest.raises(ValueError, match="env does not report its horizon"):
        horizon_of(vector)
    vector.reset()


def make_limited(limit):
    env = Clockless(stop=True)
    env.spec = None  # it was not registered
    return TimeLimit(env, limit)


def test_a_time_limit_is_a_horizon(make_vector):
    assert horizon_of(as_vec_env(make_vector(partial(make_limited, 7)))) == 7


def test_time_limits_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"the same horizon, got \[7, 9\]"):
        horizon_of(DummyVecEnv([partial(make_limited, limit) for limit in (7, 9)]))


def test_environments_of_several_horizons_are_refused():
    def make(horizon):
        return lambda: gym.make("glamor/GridWorld-v0", horizon=horizon)

    vector = as_vec_env(DummyVecEnv([make(10), make(5)]))
    with pytest.raises(ValueError, match=r"environments with the same horizon, got \[5, 10\]"):
        horizon_of(vector)


def test_who_watches_an_environment_changes_none_of_its_goals():
    goals = []
    for env in (gym.make("glamor/GridWorld-v0"), Monitor(gym.make("glamor/GridWorld-v0"))):
        vector = as_vec_env(env)
        vector.seed(0)
        goals.append([vector.reset()["desired_goal"].argmax() for _ in range(8)])
        assert isinstance(vector.envs[0], Monitor)
        assert not isinstance(vector.envs[0].env, Monitor)
    assert goals[0] == goals[1]


def test_a_monitor_around_an_environment_without_stop_records_every_episode(tmp_path):
    env = Monitor(Clockless(stop=False), str(tmp_path))
    vector = as_vec_env(env)
    vector.reset()
    for action in (0, 3, 3, 1, 2, 3):
        vector.step(np.array([action]))
    vector.close()
    rows = (tmp_path / "monitor.csv").read_text().splitlines()[2:]
    assert [row.split(",")[1] for row in rows] == ["2", "1", "3"]  # lengths, STOP included
    assert not env.has_wrapper_attr("stop_action")  # the user's own stays as it is


def test_a_monitor_that_needs_nothing_added_is_kept():
    env = Monitor(gym.make("glamor/GridWorld-v0"))
    assert as_vec_env(env).envs[0] is env


def test_an_entry_that_is_no_array_is_named():
    env = Clockless(stop=True)
    env.observation_space = spaces.Dict({**env.observation_space.spaces, "mission": spaces.Text(3)})
    with pytest.raises(ValueError, match=r"env must show .* got Text\(.* for 'mission'"):
        as_vec_env(env)


def test_a_tasks_name_stands_for_its_id():
    assert task_id_of(as_vec_env("GridWorld")) == "glamor/GridWorld-v0"
    with pytest.raises(ValueError, match=r"env 'GridWrld' .* did you mean GridWorld"):
        as_vec_env("GridWrld")


@pytest.mark.parametrize("horizon", [None, math.inf])
def test_an_attribute_horizon_may_say_that_there_is_none(horizon):
    env = limited()
    env.unwrapped.horizon = horizon
    assert horizon_of(as_vec_env(env)) == 7


def limited():
    return TimeLimit(Clockless(stop=True), 7)


@pytest.mark.parametrize("kind", ["dummy", "subprocess", "sync"])  # async tells of no inner spec
def test_environments_of_others_are_named_as_well(kind):
    vector = as_vec_env(VECTORS[kind]([partial(Clockless, stop=True)]))
    assert task_id_of(vector) == "Clockless-v0"
    vector.close()


def test_an_environment_that_was_not_registered_has_no_name():
    env = Clockless(stop=True)
    env.spec = None
    assert task_id_of(as_vec_env(env)) is None


@pytest.mark.parametrize("kind", ["dummy", "subprocess", "sync"])  # async tells of no inner spec
def test_the_registrations_limit_is_a_horizon(kind):
    vector = as_vec_env(VECTORS[kind]([limited]))
    assert horizon_of(vector) == 7
    vector.close()
