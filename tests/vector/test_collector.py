"""One call for the environments of an agent, whatever steps them."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.envs.registration import EnvSpec
from stable_baselines3.common.vec_env import DummyVecEnv

from glamor_gym.agents import GlamorAgent
from glamor_gym.factory import make_goal_env
from glamor_gym.vector.collector import make_collector
from glamor_gym.vector.gymnasium_vec_env import GymnasiumVecEnv
from glamor_gym.vector.vector_state import restore_vector, snapshot_vector
from glamor_gym.vector.workers import WorkerVecEnv
from tests.vector.faulty import HORIZON, Faulty, break_at


@pytest.fixture
def others(monkeypatch):
    """Register an environment in this process only, which takes a `task` and has its own vector."""
    spec = EnvSpec("other/Grid-v0", make_goal_env, kwargs={"task": "GridWorld"})
    spec.vector_entry_point = "gymnasium.vector:SyncVectorEnv"
    monkeypatch.setitem(gym.registry, spec.id, spec)


@pytest.mark.parametrize(
    ("id", "kind", "cls"),
    [("Pong", "threads", GymnasiumVecEnv), ("other/Grid-v0", "workers", WorkerVecEnv)],
)
@pytest.mark.usefixtures("others")
def test_every_kind_plays_the_same_episodes(id, kind, cls):
    plain = make_collector(id, 2, seed=4, kind="in-process", horizon=3)
    env = make_collector(id, 2, seed=4, kind=kind, horizon=3)
    assert type(plain) is DummyVecEnv
    assert type(env) is cls
    assert env.observation_space == plain.observation_space
    assert env.get_attr("stop_action") == plain.get_attr("stop_action")
    observations, others = env.reset(), plain.reset()
    rng = np.random.default_rng(0)
    for _ in range(8):
        assert all(np.array_equal(observations[key], others[key]) for key in others)
        actions = rng.integers(0, 4, 2)
        observations, rewards, dones, infos = env.step(actions)
        others, *expected = plain.step(actions)
        assert np.array_equal(rewards, expected[0])
        assert np.array_equal(dones, expected[1])
        for info, other in zip(infos, expected[2], strict=True):
            assert ("episode" in info) == ("episode" in other)
            assert info["is_success"] == other["is_success"]
    env.close()
    plain.close()


@pytest.mark.parametrize(
    ("cuda", "id", "cls"),
    [
        (False, "Pong", DummyVecEnv),
        (True, "Pong", GymnasiumVecEnv),
        (True, "glamor/GridWorld-v0", DummyVecEnv),
        (True, "other/Grid-v0", DummyVecEnv),
        (True, "MsPacman", WorkerVecEnv),
    ],
)
@pytest.mark.usefixtures("others")
def test_what_is_fastest_depends_on_what_the_updates_run_on(monkeypatch, cuda, id, cls):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    env = make_collector(id, 1)
    assert type(env) is cls
    env.close()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("Pongg",), ValueError, "Pongg"),
        (("Pong", 0), ValueError, "n_envs"),
        (("Pong", 1.5), TypeError, "n_envs"),
        (("Pong", 1, 0, "processes"), ValueError, "kind must be one of 'auto'"),
        (
            ("GridWorld", 1, 0, "threads"),
            ValueError,
            "kind must be .* for glamor/GridWorld-v0, got 'threads'",
        ),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        make_collector(*arguments)


@pytest.mark.parametrize(
    ("id", "options", "reason"),
    [
        ("MsPacman", {}, "MsPacman begins with at least 200 no-ops"),
        ("Pong", {"reward": "labels"}, "reward='labels' needs labels"),
        ("Pong", {"label_lag": 1}, "label_lag=1 needs labels"),
        ("Pong", {"horizon": 51}, "a game may be over within horizon=51"),
        ("Pong", {"max_episode_steps": 9}, "max_episode_steps=9"),
    ],
)
def test_threads_that_cannot_play_are_refused_with_the_reason(monkeypatch, id, options, reason):
    with pytest.raises(ValueError, match=f"kind must be .* got 'threads': .*{reason}"):
        make_collector(id, 1, kind="threads", **options)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("glamor_gym.vector.collector.WorkerVecEnv", lambda makers: makers[0].args)
    spec, _ = make_collector(id, 1, **options)
    assert spec.id == f"glamor/{id}-v0"


def test_an_agent_stores_no_episode_that_a_dead_worker_began(tmp_path, monkeypatch):
    for seed, fault in ((0, "kill"), (2, "raise")):
        break_at(tmp_path, seed, fault)
    env = WorkerVecEnv([partial(Faulty, str(tmp_path))] * 3)
    agent = GlamorAgent(env, seed=0, device="cpu", learning_starts=10_000, buffer_size=1_000)
    stored = []
    monkeypatch.setattr(agent.replay_buffer, "add", stored.append)
    agent.learn(3 * 20 - 2)  # the steps in which two workers were replaced are not counted
    assert env.restarts == 2
    assert len(stored) == 2 + 3 + 2  # 17 steps are left of 20 to each of the two that were replaced
    for rows in (trajectory.achieved for trajectory in stored):
        assert len(np.unique(rows[:, :2], axis=0)) == 1  # of one seed and episode
        assert rows[:, 2].tolist() == list(range(HORIZON + 1))
    env.close()


def test_a_gymnasium_vector_takes_the_options_of_sb3():
    env, plain = (make_vector(2) for make_vector in (_gymnasium_grids, _sb3_grids))
    for vector in (env, plain):
        vector.set_options({"goal": 3})
    first, expected = env.reset(), plain.reset()
    assert (first["desired_goal"] == expected["desired_goal"]).all()
    env.seed(0)
    others = [env.reset()["desired_goal"].tolist() for _ in range(5)]  # options hold for one reset
    assert others.count(first["desired_goal"].tolist()) < 5
    env.set_options([{"goal": 3}, {"goal": 4}])
    with pytest.raises(ValueError, match="options must be the same"):
        env.reset()


def test_a_gymnasium_vector_draws_its_environments():
    env = _gymnasium_grids(2, render_mode="rgb_array")
    env.reset()
    pictures = env.get_images()
    assert len(pictures) == 2
    assert env.render().shape[-1] == 3
    env.close()


def _gymnasium_grids(n: int, **kwargs) -> GymnasiumVecEnv:
    return GymnasiumVecEnv(gym.make_vec("glamor/GridWorld-v0", num_envs=n, goals="all", **kwargs))


def _sb3_grids(n: int) -> DummyVecEnv:
    return make_collector("glamor/GridWorld-v0", n, goals="all")


@pytest.mark.parametrize(
    ("saved", "restored"), [("threads", "in-process"), ("in-process", "threads")]
)
def test_what_one_kind_saved_is_refused_by_another(saved, restored):
    one, other = (
        make_collector("Pong", 2, seed=0, kind=kind, horizon=3) for kind in (saved, restored)
    )
    one.reset()
    with pytest.raises(ValueError, match="another kind of vector"):
        restore_vector(other, snapshot_vector(one))
    one.close()
    other.close()
