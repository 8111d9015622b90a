import runpy
import sys
from functools import partial
from pathlib import Path

import gymnasium as gym
import pytest

from glamor_gym import GCSLAgent, GlamorAgent
from glamor_gym.experiments import preset_for

SCRIPT = Path(__file__).parents[2] / "examples" / "sb3_beside_glamor.py"
SB3 = ("DQN + HER", "QR-DQN", "PPO")


def run(*arguments, **options):
    return runpy.run_path(str(SCRIPT))["main"](*arguments, **options)


def test_all_are_trained_and_judged_alike(capsys):
    results = run(120, 0, goals="all")
    assert set(results) == {"GLAMOR", "GCSL", "DISCERN", *SB3}
    assert {result.episodes for result in results.values()} == {49}
    # The same goals and starts: the baselines come out the same.
    for name in ("random", "noop", "goals_hash"):
        assert len({getattr(result, name) for result in results.values()}) == 1
    printed = capsys.readouterr().out
    assert printed.count("reached") == 7
    # PPO takes whole rollouts of 64 steps.
    assert printed.count("trained for 120 steps") == 5
    assert printed.count("trained for 128 steps") == 1


def test_without_sb3_contrib_the_others_run(monkeypatch):
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    assert set(run(70, 0, names=["PPO"])) == {"PPO"}


@pytest.mark.parametrize("name", SB3)
def test_sb3s_algorithms_train_on_pictures_as_they_are(name, monkeypatch):
    monkeypatch.setattr(gym, "make", partial(gym.make, frame_size=(40, 52)))  # to be quick
    algorithms = runpy.run_path(str(SCRIPT))["ALGORITHMS"]
    agent = algorithms[name]("glamor/Pong-v0", 105, 0, "small")
    assert agent.num_timesteps >= 105
    assert agent._n_updates > 0


@pytest.mark.parametrize("agent_class", [GlamorAgent, GCSLAgent])
def test_each_agent_has_its_own_preset(agent_class, monkeypatch):
    monkeypatch.setattr(agent_class, "learn", lambda agent, steps: agent)
    algorithms = runpy.run_path(str(SCRIPT))["ALGORITHMS"]
    name = agent_class.__name__.removesuffix("Agent")
    agent = algorithms[name.upper()]("glamor/Bowling-v0", 100, 0, None)
    preset = agent_class.preset(preset_for("Bowling", name.lower()))
    assert agent.settings.exploration_persistence == preset["exploration_persistence"]


@pytest.mark.slow
def test_they_learn_the_grid_world_as_it_stands():
    results = run(10_000, 0, names=["GLAMOR", "DQN + HER"], goals="all")
    assert results["GLAMOR"].success_rate >= 0.95
    assert results["DQN + HER"].success_rate >= 0.8
