"""Every check of agents finds its own fault and no other; ours have none, SB3's DQN some."""

from __future__ import annotations

from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import DQN, PPO, HerReplayBuffer

import glamor_gym
from glamor_gym.conformance import AGENT_CHECKS, check_agent
from glamor_gym.conformance.prediction import refuses_other_shapes
from glamor_gym.conformance.report import NotApplicableError
from tests.conformance import corridor

PICTURES = {"pictures": True}
BROKEN = {
    "returns_actions": (corridor.OneTooMany, {}),
    "treats_one_as_a_batch_of_one": (corridor.OtherwiseAlone, {}),
    "is_deterministic_when_told": (corridor.Moody, {}),
    "draws_no_global_numbers": (corridor.Gambler, {}),
    "leaves_observations_alone": (corridor.Scribbler, {}),
    "refuses_nan": (corridor.TakesNan, {}),
    "refuses_scaled_pictures": (corridor.TakesFloats, PICTURES),
    "refuses_other_shapes": (corridor.TakesHalves, {}),
    "begins_anew": (corridor.NeverForgets, {}),
    "comes_back_from_its_file": (corridor.Forgetful, {}),
    "goes_on_learning": (corridor.StartsOver, {}),
}


def make(**kwargs):
    return gym.make("corridor/Corridor-v0", **kwargs)


def test_there_is_a_fault_for_every_check():
    assert BROKEN.keys() == AGENT_CHECKS.keys()


@pytest.mark.parametrize("check", BROKEN)
def test_a_fault_fails_its_own_check_only(check):
    kind, kwargs = BROKEN[check]
    report = check_agent(kind(luck=1), make(**kwargs))
    assert report.failed == (check,), str(report)


@pytest.mark.parametrize("kwargs", [{}, PICTURES])
def test_what_keeps_every_rule_passes_every_check(kwargs):
    report = check_agent(corridor.Walker(), make(**kwargs))
    assert report.passed, str(report)


@pytest.mark.parametrize(
    "task", ["glamor/GridWorld-v0", "corridor/Corridor-v0", "corridor/LeavesStopToAgents-v0"]
)
@pytest.mark.parametrize("name", ["GlamorAgent", "GCSLAgent", "DiscernAgent"])
def test_ours_pass(name, task):
    kind = getattr(glamor_gym, name)
    settings = kind.preset("small") | {"learning_starts": 20, "replay_ratio": 2, "batch_size": 16}
    report = check_agent(kind(task, **settings, seed=0).learn(60), task)
    assert report.passed, str(report)


def dqn(env, **kwargs):
    settings = {"learning_starts": 50, "buffer_size": 200, "seed": 0, "device": "cpu"}
    return DQN("MultiInputPolicy", env, **settings, **kwargs)


def test_dqn_takes_nan_and_pictures_of_floats():
    env = make()
    assert check_agent(dqn(env).learn(60), env).failed == ("refuses_nan",)
    env = gym.make("glamor/Pong-v0")
    assert check_agent(dqn(env), env).failed == ("refuses_nan", "refuses_scaled_pictures")


def test_hindsight_cannot_go_on_without_its_replay():
    env = make()
    agent = dqn(env, replay_buffer_class=HerReplayBuffer).learn(60)
    assert check_agent(agent, env).failed == ("refuses_nan", "goes_on_learning")


def test_the_agent_itself_does_not_learn():
    agent = corridor.Walker()
    check_agent(agent, make())
    assert agent.num_timesteps == 0


def test_an_agent_that_only_predicts_is_checked_as_far_as_it_goes():
    env = gym.make("glamor/GridWorld-v0")
    report = check_agent(glamor_gym.evaluation.NoopAgent(4), env)
    skipped = [result.name for result in report.results if result.status == "skip"]
    assert skipped == ["refuses_scaled_pictures", "comes_back_from_its_file", "goes_on_learning"]


@pytest.mark.parametrize(
    ("agent", "env", "error", "message"),
    [
        (object(), "glamor/Dice-v0", TypeError, "agent must have a predict method, got object"),
        (corridor.Walker(), 3, TypeError, "env must be a gymnasium.Env or an id, got int"),
        (corridor.Walker(), "glamor/GridWorld-v0", ValueError, "agent was made for the actions"),
        (corridor.Walker(), "no/Such-v0", ValueError, "env 'no/Such-v0' cannot be made"),
        (corridor.Walker(), "Dic", ValueError, "env 'Dic' cannot be made: .* did you mean Dice"),
        (corridor.Walker(), "GridWorld", ValueError, "agent was made for the actions"),
    ],
)
def test_what_does_not_fit_is_refused(agent, env, error, message):
    with pytest.raises(error, match=message):
        check_agent(agent, env)


def test_an_agent_that_learns_from_whole_rollouts_goes_on_learning():
    env = gym.make("glamor/GridWorld-v0")
    agent = PPO("MultiInputPolicy", env, n_steps=64, batch_size=64, n_epochs=1)
    results = {result.name: result.status for result in check_agent(agent, env).results}
    assert results["goes_on_learning"] == "pass"


def test_an_agent_that_takes_fewer_steps_than_it_is_asked_for_is_told():
    report = check_agent(corridor.Lazy(), make())
    assert report.failed == ("goes_on_learning",)
    assert "num_timesteps is 4 after 8 steps from 0" in str(report)


def test_entries_of_one_number_cannot_be_cut_short():
    subject = SimpleNamespace(single={"observation": np.zeros((3, 1)), "goal": np.zeros(1)})
    with pytest.raises(NotApplicableError, match="has a last axis longer than 1"):
        refuses_other_shapes(subject)
