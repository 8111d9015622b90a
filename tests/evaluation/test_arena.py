from __future__ import annotations

import random
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import VecNormalize

from glamor_gym.envs.gridworld import GridWorld
from glamor_gym.evaluation.arena import Arena
from glamor_gym.evaluation.rollout import EpisodeKey
from glamor_gym.goals import load_goal_set
from tests.evaluation.players import Walker

ROOM = "glamor/GridWorld-v0"


def test_episodes_are_every_goal_as_often_as_asked():
    with Arena(ROOM, goals="all", episodes_per_goal=3, n_envs=1) as arena:
        assert arena.episode_keys == [
            EpisodeKey(goal, repeat) for goal in range(49) for repeat in range(3)
        ]
        assert arena.stop_action == 4
        assert arena.ranges == {"x": 6.0, "y": 6.0}


@pytest.mark.parametrize("name", ["GridWorld", ROOM, "glamor_gym:glamor/GridWorld-v0"])
def test_a_task_goes_by_name_or_id(name):
    with Arena(name, n_envs=1) as arena:
        assert arena.task == ROOM


def test_the_hash_is_that_of_the_goal_set(tmp_path):
    packaged = load_goal_set("GridWorld")
    packaged.save(tmp_path / "own.npz")
    with Arena(ROOM, n_envs=1) as arena:
        assert arena.goals_hash == packaged.hash
    with Arena(ROOM, goals=tmp_path / "own.npz", n_envs=1) as arena:
        assert arena.goals_hash == packaged.hash
        assert len(arena.episode_keys) == 1000


def test_goals_of_a_part_of_a_set_are_named_by_string_or_path(tmp_path):
    load_goal_set("GridWorld").save(tmp_path / "own.npz")
    part = f"{tmp_path / 'own.npz'}:eval"
    with Arena(ROOM, goals=part, n_envs=1) as one, Arena(ROOM, goals=Path(part), n_envs=1) as other:
        assert one.goals_hash == other.goals_hash


def test_some_episodes_come_out_as_they_do_among_all():
    with Arena(ROOM, goals="all", n_envs=3) as arena:
        among_all = {episode.key: episode for episode in arena.play(Walker())}
        alone = list(arena.episodes(Walker(), [EpisodeKey(goal, 0) for goal in (7, 40, 3)]))
    assert {episode.key.goal for episode in alone} == {3, 7, 40}
    assert all(episode == among_all[episode.key] for episode in alone)


def test_goals_that_are_of_no_set_have_a_hash_of_their_own(monkeypatch):
    hashes = set()

    def add(name):
        with Arena(name, goals="all", n_envs=1) as arena:
            hashes.add(arena.goals_hash)

    for name in (ROOM, "glamor/Dice-v0") * 2:
        add(name)
    assert len(hashes) == 2
    for labels in ({"x": 0.0, "y": 0.0}, {"y": 0.0, "x": 0.0}):  # in whatever order
        goals = [replace(goal, labels=labels) for goal in GridWorld().all_goals()]
        monkeypatch.setattr(GridWorld, "all_goals", lambda _, goals=goals: goals)
        add(ROOM)
    assert len(hashes) == 3  # pictures are the same, but they are judged by their labels


def test_no_more_environments_are_made_than_there_are_episodes(monkeypatch):
    made = []
    make = gym.make
    monkeypatch.setattr(
        gym, "make", lambda *args, **kwargs: made.append(make(*args, **kwargs)) or made[-1]
    )
    with Arena("glamor/Dice-v0", goals="all", n_envs=50):
        assert len(made) == 6


def test_environments_are_closed_at_the_end_and_on_the_way(monkeypatch):
    closed = []
    monkeypatch.setattr(
        "glamor_gym.wrappers.GoalEnv.close", lambda self: closed.append(id(self)), raising=True
    )
    arena = Arena(ROOM, goals="all", n_envs=3)
    arena.close()
    arena.close()
    assert len(set(closed)) == len(closed) == 3


def test_episodes_come_back_in_order():
    with Arena(ROOM, goals="all", episodes_per_goal=2, n_envs=7) as arena:
        episodes = arena.play(Walker())
        assert [episode.key for episode in episodes] == arena.episode_keys


@pytest.mark.parametrize(
    ("record", "goals"), [(0, []), (1, [0]), (3, [0, 24, 48]), (99, [*range(49)])]
)
def test_recorded_goals_are_spread_over_all(record, goals):
    with Arena(ROOM, goals="all", episodes_per_goal=2) as arena:
        recorded = [
            episode.key for episode in arena.play(Walker(), record=record) if episode.frames
        ]
    assert recorded == [(goal, 0) for goal in goals]


@pytest.mark.parametrize("seed", [5, 2**64 + 5])
def test_global_generators_start_from_the_seed_and_go_on_where_they_were(seed):
    def draw():
        return random.random(), np.random.random(), torch.rand(()).item()  # noqa: NPY002

    class Drawing(Walker):
        drawn: list[tuple[float, ...]]

        def predict(self, *args, **kwargs):
            self.drawn.append(draw())
            return super().predict(*args, **kwargs)

    set_random_seed(11)
    expected = draw()
    set_random_seed(11)
    draws = []
    with Arena(ROOM, goals="all", seed=seed, n_envs=49) as arena:
        for _ in range(2):
            agent = Drawing()
            agent.drawn = []
            arena.play(agent)
            draws.append(agent.drawn)
    assert draw() == expected
    assert draws[0] == draws[1]
    set_random_seed(5)
    assert draws[0][0] == draw()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"id": "glamor/Pnog-v0"}, "did you mean Pong"),
        ({"id": "CartPole-v1"}, "CartPole-v1 cannot be made with goals='all'"),
        (
            {"id": ROOM, "episodes_per_goal": 0},
            "episodes_per_goal must be an integer from 1 to 100000, got 0",
        ),
        ({"id": ROOM, "n_envs": 0}, "n_envs must be an integer ≥ 1, got 0"),
        ({"id": ROOM, "seed": -1}, "seed must be an integer ≥ 0, got -1"),
        ({"id": ROOM, "goals": "some"}, "goals must be .* got 'some'"),
        ({"id": ROOM, "env_kwargs": {"speed": 2}}, "GridWorld.*speed"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Arena(**{"goals": "all", **arguments})


def test_an_environment_in_place_of_its_id_is_told_to_be_registered():
    with pytest.raises(
        TypeError, match=r"^id must be .* got GoalEnv; register .* by gym\.register"
    ):
        Arena(gym.make(ROOM))


def test_goals_are_named_and_not_listed():
    with pytest.raises(TypeError, match=r"goals must be a path, got \['eval'\]"):
        Arena(ROOM, goals=["eval"])


@pytest.mark.parametrize("shown", [True, False])
def test_the_progress_of_an_agent_is_shown_when_asked(capsys, shown):
    with Arena(ROOM, progress_bar=shown) as arena:
        arena.play(Walker(), name="walker")
    assert ("walker: " in capsys.readouterr().err) == shown


def test_an_environment_without_goals_is_refused():
    gym.register("NoGoals-v0", lambda goals: gym.make("CartPole-v1").unwrapped)
    try:
        with pytest.raises(
            ValueError, match="goal environment; NoGoals-v0 has no goals, ranges, stop_action"
        ):
            Arena("NoGoals-v0")
    finally:
        del gym.registry["NoGoals-v0"]


def test_an_agent_without_predict_is_refused():
    with Arena(ROOM, n_envs=1) as arena, pytest.raises(TypeError, match=r"predict method.*got int"):
        arena.play(3)


def test_an_agent_made_for_other_actions_is_refused():
    agent = Walker()
    agent.action_space = gym.spaces.Discrete(7)
    with (
        Arena(ROOM, n_envs=1) as arena,
        pytest.raises(ValueError, match=r"Discrete\(7\).*Discrete\(5\)"),
    ):
        arena.play(agent)


@pytest.mark.parametrize("norm_obs", [True, False])
def test_an_agent_made_for_normalised_observations_is_refused(norm_obs):
    env = VecNormalize(make_vec_env(ROOM), norm_obs=norm_obs)
    agent = PPO("MultiInputPolicy", env, n_steps=2, batch_size=2, device="cpu")
    refusal = pytest.raises(ValueError, match="agent was made for observations that VecNormalize")
    with Arena(ROOM, n_envs=1) as arena, refusal if norm_obs else nullcontext():
        arena.check_agent(agent)
