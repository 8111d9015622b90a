"""RL Zoo: it finds the agents, reads their files, and trains them."""

from __future__ import annotations

import argparse
import sys
from functools import partial

import gymnasium as gym
import pytest
import yaml

from glamor_gym import DiscernAgent, GCSLAgent, GlamorAgent, register_zoo
from glamor_gym.agents import zoo
from glamor_gym.agents.zoo import ALGORITHMS, with_conf_file
from glamor_gym.tasks import TASKS

pytest.importorskip("rl_zoo3")
GRID = "glamor/GridWorld-v0"
OF_THE_ZOO = ("n_timesteps", "policy", "n_envs", "monitor_kwargs")


@pytest.mark.parametrize("words", [[], ["tarin"], ["--algo", "glamor"]])
def test_what_is_no_command_of_the_zoo_is_refused(monkeypatch, words):
    monkeypatch.setattr(sys, "argv", ["zoo", *words])
    with pytest.raises(SystemExit, match=r"usage: .* \{train,enjoy\}"):
        zoo.main()


@pytest.mark.parametrize(
    ("entry", "preset"),
    [("default", "compact"), (GRID, "small"), ("glamor/Dice-v0", "small")]
    + [(task.id, "compact-control") for task in TASKS.values() if task.suite == "control"],
)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_files_hold_the_presets(name, entry, preset):
    files = register_zoo()
    settings = yaml.safe_load(files[name].read_text())[entry]
    kwargs = {key: value for key, value in settings.items() if key not in OF_THE_ZOO}
    make = partial(ALGORITHMS[name], None, _init_setup_model=False)
    from_file = make(**kwargs)
    from_preset = make(**ALGORITHMS[name].preset(preset))
    assert from_file.settings == from_preset.settings
    assert from_file.policy_kwargs == from_preset.policy_kwargs
    assert settings["policy"] in ALGORITHMS[name].policy_aliases


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_zoo_trains_evaluates_saves_and_plays_them(name, tmp_path, capsys, monkeypatch):
    from rl_zoo3 import ALGOS
    from rl_zoo3.exp_manager import ExperimentManager

    files = register_zoo()
    assert ALGOS[name] is ALGORITHMS[name]
    manager = ExperimentManager(
        argparse.Namespace(algo=name, env_kwargs=None),
        name,
        GRID,
        str(tmp_path),
        n_timesteps=60,
        eval_freq=40,
        n_eval_episodes=2,
        hyperparams={"learning_starts": 20, "batch_size": 16},
        log_interval=-1,  # the command line's default: the agent's own
        config=str(files[name]),
        verbose=0,
        device="cpu",
    )
    agent, _ = manager.setup_experiment()
    manager.learn(agent)
    manager.save_trained_model(agent)
    assert agent.num_timesteps == 60
    assert agent._n_updates > 0
    (saved,) = tmp_path.glob(f"{name}/*/glamor-GridWorld-v0.zip")
    assert type(agent).load(saved, device="cpu").num_timesteps == 60
    assert agent.settings.learning_rate == pytest.approx(1e-3)
    monitor = next(tmp_path.glob(f"{name}/*/*.monitor.csv")).read_text()
    assert "is_success" in monitor

    look = ["enjoy", "--algo", name, "--env", GRID, "-f", str(tmp_path), "-n", "30", "--no-render"]
    for which in ((), ("--load-best",)):
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["zoo", *look, *which, "--device", "cpu"])
        zoo.main()
        assert "Success rate" in capsys.readouterr().out


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_what_the_zoo_saved_is_an_agent_like_any_other(name, packed, tmp_path):
    in_zoo = ALGORITHMS[name](gym.make(GRID), **ALGORITHMS[name].preset("small"))
    in_zoo.save(tmp_path / "there", packed=packed)
    outside = {"glamor": GlamorAgent, "gcsl": GCSLAgent, "discern": DiscernAgent}[name]
    agent = outside.load(tmp_path / "there.zip", device="cpu")
    assert type(agent) is outside
    assert [file.name for file in tmp_path.iterdir()] == ["there.zip"]


def test_saving_leaves_a_file_of_another_suffix_alone(tmp_path):
    agent = ALGORITHMS["gcsl"](gym.make(GRID), **GCSLAgent.preset("small"))
    (tmp_path / "both.safetensors").write_text("mine")
    agent.save(tmp_path / "both")
    assert (tmp_path / "both.safetensors").read_text() == "mine"
    assert GCSLAgent.load(tmp_path / "both.zip", device="cpu").num_timesteps == 0


def test_the_command_line_gets_the_agents_own_file():
    files = register_zoo()
    given = ["--algo", "gcsl", "--env", GRID]
    assert with_conf_file(given, files) == [*given, "--conf-file", str(files["gcsl"])]
    joined = ["--algo=gcsl", "-f", "logs"]
    assert with_conf_file(joined, files) == [*joined, "--conf-file", str(files["gcsl"])]
    own = (["-conf", "mine.yml"], ["--conf-file", "mine.yml"], ["--conf-file=mine.yml"])
    for kept in (["--algo", "ppo"], [], *([*given, *words] for words in own)):
        assert with_conf_file(kept, files) == kept
