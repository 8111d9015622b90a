from __future__ import annotations

import math
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import DQN

from glamor_gym.agents import GlamorAgent
from glamor_gym.evaluation import (
    NoopAgent,
    RandomAgent,
    evaluate,
    load_result,
    save_result,
    wilson_interval,
)
from glamor_gym.evaluation.evaluator import _distances, _per_label
from glamor_gym.evaluation.rollout import EpisodeKey
from glamor_gym.goals import load_goal_set
from glamor_gym.types import Goal
from tests.evaluation.players import Oracle, Shifted, Walker

ROOM = "glamor/GridWorld-v0"


def test_an_exact_walker_reaches_everything():
    result = evaluate(Walker(), ROOM, goals="all", episodes_per_goal=2)
    assert result.task == ROOM
    assert result.episodes == 98
    assert result.success_rate == result.image_match_rate == result.reached_rate == 1.0
    assert result.confidence_interval == wilson_interval(98, 98)
    assert result.per_goal == dict.fromkeys(range(49), 1.0)
    assert result.per_label == {"x": 1.0, "y": 1.0}
    # The mean Manhattan distance to the cells of a 7 × 7 room from its middle: 2 · 12 / 7.
    assert result.mean_length == pytest.approx(24 / 7)


def test_labels_are_judged_apart():
    """Right in its column, it ends where it started in the row: 7 of 49 cells."""
    result = evaluate(Shifted(), ROOM, goals="all")
    assert result.per_label == {"x": 1.0, "y": pytest.approx(1 / 7)}
    assert result.success_rate == pytest.approx(1 / 7)
    assert {goal for goal, rate in result.per_goal.items() if rate} == set(range(21, 28))


def test_distances_are_those_of_the_label_with_farthest_to_go():
    result = evaluate(NoopAgent(4), "glamor/GridWorld-v0", goals="all", baselines=False)
    # From the centre (3, 3) of a room whose columns and rows range over 6.
    assert result.distances[0] == pytest.approx(3 / 6)
    assert result.distances[25] == pytest.approx(1 / 6)
    assert result.distances[24] == 0
    assert result.distances[6 + 2 * 7] == pytest.approx(3 / 6)
    assert len(result.distances) == 49


def test_a_label_is_judged_as_success_is_and_measured_in_its_range():
    labels = {"labels": {"x": 1.0}, "start_labels": {"x": 0.5}, "goal_labels": {"x": 0.0}}
    episodes = [SimpleNamespace(key=EpisodeKey(0, 0), **labels)]
    assert _per_label(episodes, {"x": 10.0}) == {"x": 0.0}  # a tenth of the range is too far
    assert _per_label(episodes, {"x": 10.1}) == {"x": 1.0}
    assert _distances(episodes, {"x": 5.0}) == {0: 0.1}
    assert _distances(episodes, {"x": 0.0}) == {0: 0.5}  # one that never moves: as if it were 1


def test_to_pass_by_is_not_to_be_there():
    """It bumps into the upper wall after it was there, and is elsewhere when its time is up."""
    result = evaluate(Walker(stops=False), ROOM, goals="all")
    assert result.reached_rate == 1.0
    assert result.success_rate < 1.0
    assert result.mean_length == 10.0


def test_the_baselines_stand_beside_it():
    result = evaluate(Walker(), ROOM, goals="all", seed=4)
    # Only one of the 49 goals is where it starts.
    assert result.noop == pytest.approx(1 / 49)
    assert result.noop_interval == wilson_interval(1, 49)
    alone = evaluate(RandomAgent(4, seed=4), ROOM, goals="all", seed=4, baselines=False)
    assert result.random == alone.success_rate
    assert result.random_interval == alone.confidence_interval
    assert evaluate(NoopAgent(4), ROOM, goals="all").mean_length == 0.0


def test_baselines_can_be_left_out_or_taken_over():
    without = evaluate(Walker(), ROOM, goals="all", baselines=False)
    assert math.isnan(without.random)
    assert math.isnan(without.noop)
    assert all(map(math.isnan, (*without.random_interval, *without.noop_interval)))
    first = evaluate(Walker(), ROOM, goals="all")
    second = evaluate(Shifted(), ROOM, goals="all", baselines=first)
    assert (second.random, second.noop) == (first.random, first.noop)
    assert second.random_interval == first.random_interval
    assert second.success_rate < first.success_rate


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("task", {"id": "glamor/Dice-v0"}),
        ("goals_hash", {"goals": "all"}),
        ("goals", {"goals": "train"}),
        ("env_kwargs", {"env_kwargs": {"horizon": 4}}),
        ("seed", {"seed": 1}),
        ("episodes", {"episodes_per_goal": 2}),
    ],
)
def test_baselines_of_another_evaluation_are_refused(name, other):
    arguments = {"id": ROOM, "goals": "eval"}
    earlier = evaluate(NoopAgent(4), **arguments, baselines=False)
    with pytest.raises(ValueError, match=f"baselines must be a result with the same {name},"):
        evaluate(NoopAgent(2), **{**arguments, **other}, baselines=earlier)


def test_a_result_tells_goals_and_arguments_of_its_episodes(tmp_path):
    result = evaluate(NoopAgent(4), ROOM, env_kwargs={"horizon": 4}, baselines=False)
    assert (result.goals, result.env_kwargs) == ("eval", {"horizon": 4})
    load_goal_set("GridWorld").save(tmp_path / "own.npz")
    own = evaluate(NoopAgent(4), ROOM, goals=tmp_path / "own.npz", baselines=False)
    assert (own.goals, own.env_kwargs) == ("own.npz", {})


def test_the_same_seed_gives_the_same_result():
    results = [
        evaluate(RandomAgent(2, seed=1), "Dice", goals="all", episodes_per_goal=20, seed=seed)
        for seed in (3, 3, 4)
    ]
    assert results[0].per_goal == results[1].per_goal
    assert results[0].per_goal != results[2].per_goal


def test_the_oracle_of_the_dice():
    """Loaded for a one: always. Fair for the rest: one in six."""
    result = evaluate(Oracle(), "Dice", goals="all", episodes_per_goal=100)
    assert result.per_goal[0] == 1.0
    others = np.mean([result.per_goal[goal] for goal in range(1, 6)])
    assert others == pytest.approx(1 / 6, abs=4 * math.sqrt(5 / 36 / 500))


def test_pictures_are_kept_for_some_goals():
    result = evaluate(Walker(), ROOM, goals="all", episodes_per_goal=2, record=5)
    assert [episode.goal_index for episode in result.frames] == [0, 12, 24, 36, 48]
    for episode in result.frames:
        np.testing.assert_array_equal(episode.frames[-1], episode.goal)
        assert episode.success
    assert len(result.frames[2].frames) == 1  # it starts there
    assert evaluate(Walker(), ROOM, goals="all", record=0).frames == []


def test_pictures_of_pictures():
    short = {"horizon": 3}
    result = evaluate(
        RandomAgent(5), "Seaquest", n_envs=2, record=1, baselines=False, env_kwargs=short
    )
    (episode,) = result.frames
    assert episode.goal.shape == (80, 104)
    assert episode.frames.shape[1:] == (80, 104)
    assert episode.goal.dtype == episode.frames.dtype == np.uint8
    assert set(result.per_label) == {"player_x", "player_y"}
    assert result.episodes == 30


def test_an_agent_of_stable_baselines3_is_evaluated_as_it_is():
    dqn = DQN("MultiInputPolicy", gym.make(ROOM), buffer_size=10, seed=0, device="cpu")
    result = evaluate(dqn, ROOM, goals="all")
    assert result.episodes == 49


class Movable(Walker):
    """An agent whose networks say where they were sent, and where they were when asked."""

    def __init__(self):
        super().__init__()
        self.policy = torch.nn.Linear(1, 1)
        self.device = torch.device("cpu")
        self.seen = []

    def predict(self, *args, **kwargs):
        self.seen.append((self.policy.weight.device.type, self.device.type))
        return super().predict(*args, **kwargs)


def test_an_agent_stays_where_it_is_unless_told():
    agent = Movable()
    evaluate(agent, ROOM, goals="all", baselines=False)
    assert set(agent.seen) == {("cpu", "cpu")}


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_moving_to_where_it_is_changes_nothing(device):
    agent = Movable()
    evaluate(agent, ROOM, goals="all", device=device, baselines=False)
    assert set(agent.seen) == {("cpu", "cpu")}
    assert agent.policy.weight.device.type == agent.device.type == "cpu"


def test_a_graphics_card_that_nobody_uses_is_left_alone(monkeypatch):
    def refuse(*_):
        raise AssertionError("it was taken into use")

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_rng_state", refuse)
    assert evaluate(Movable(), ROOM, goals="all", baselines=False).episodes


@pytest.mark.gpu
def test_an_agent_is_moved_to_the_graphics_card_and_back():
    agent = Movable()
    evaluate(agent, ROOM, goals="all", device="cuda", baselines=False)
    assert set(agent.seen) == {("cuda", "cuda")}
    assert agent.policy.weight.device.type == agent.device.type == "cpu"


def test_a_class_is_no_agent():
    with pytest.raises(TypeError, match="got the class Walker"):
        evaluate(Walker, ROOM, goals="all", baselines=False)


def test_an_agent_without_networks_cannot_be_moved():
    with pytest.raises(ValueError, match=r"device must be None .* got 'cuda' for Walker"):
        evaluate(Walker(), ROOM, goals="all", device="cuda", baselines=False)


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="device 'abacus' cannot be used here"):
        evaluate(Movable(), ROOM, goals="all", device="abacus", baselines=False)


def test_a_negative_number_of_pictures_is_refused():
    with pytest.raises(ValueError, match="record must be an integer ≥ 0, got -1"):
        evaluate(Walker(), ROOM, record=-1)


def test_numbers_of_numpy_are_taken_and_kept(tmp_path):
    result = evaluate(
        NoopAgent(4), ROOM, seed=np.int64(3), episodes_per_goal=np.int32(1), n_envs=np.int64(2)
    )
    save_result(result, tmp_path / "evaluation.json")
    assert load_result(tmp_path / "evaluation.json").seed == 3


class Row(gym.Env):
    """Goals from 0 to 9; one starts at 3 and takes a step up a step, or stops."""

    stop_action = 1
    action_space = gym.spaces.Discrete(2)
    observation_space = gym.spaces.Dict(
        dict.fromkeys(("observation", "achieved_goal", "desired_goal"), gym.spaces.Box(0, 9, (1,)))
        | {"steps_left": gym.spaces.Box(0, 4, (1,))}
    )
    ranges = {"x": 10.0}  # noqa: RUF012

    def __init__(self, goals, labels):
        self.goals = [
            Goal(np.array([5], np.float32), "frame", None if x is None else {"x": x})
            for x in labels
        ]
        self.tells = labels != [None]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.goal = self.goals[options["goal"]]
        self.x, self.left = 3, 4
        return self.moment()

    def step(self, action):
        self.x, self.left = self.x + (action == 0), self.left - 1
        observation, info = self.moment()
        return observation, 0.0, bool(action == 1), self.left == 0, info

    def moment(self):
        values = (self.x, self.x, self.goal.content[0], self.left)
        keys = ("observation", "achieved_goal", "desired_goal", "steps_left")
        observation = {
            key: np.array([value], np.float32) for key, value in zip(keys, values, strict=True)
        }
        wanted = None if self.goal.labels is None else dict(self.goal.labels)
        info = {"labels": {"x": self.x}, "goal_labels": wanted} if self.tells else {}
        return observation, info | {"is_success": self.x == self.goal.content[0]}


class UpTo(Walker):
    def __init__(self, x):
        self.x = x

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return (observation["achieved_goal"][:, 0] >= self.x).astype(int), state


@pytest.mark.parametrize(
    ("labels", "per_label", "distances"),
    [
        ([np.float32(5), np.int64(5)], {"x": 1.0}, {0: 0.2, 1: 0.2}),
        ([5.0, None], {"x": 1.0}, {0: 0.2}),
        ([None, 9.0], {"x": 0.0}, {1: 0.6}),
        ([None], {}, {}),
    ],
)
def test_goals_may_have_labels_of_any_number_or_none(labels, per_label, distances):
    gym.register("test/Row-v0", Row, kwargs={"goals": "eval", "labels": labels})
    try:
        result = evaluate(UpTo(5), "test/Row-v0", baselines=False)
    finally:
        del gym.registry["test/Row-v0"]
    assert result.success_rate == 1.0
    assert result.per_label == per_label
    assert result.distances == pytest.approx(distances)


def test_an_agent_that_cannot_play_is_refused_before_the_baselines_play(monkeypatch):
    monkeypatch.setattr("glamor_gym.evaluation.evaluator._baselines", lambda *_: 1 / 0)
    with pytest.raises(TypeError, match="got the class GlamorAgent"):
        evaluate(GlamorAgent, ROOM)
