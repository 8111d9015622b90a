"""``glamor-gym check``: what it prints, what it returns, what it refuses."""

from __future__ import annotations

import json

import gymnasium as gym
import pytest
from stable_baselines3 import DQN

from glamor_gym import GCSLAgent, GlamorAgent
from tests.command_line import run

DICE = "glamor/Dice-v0"


def check(capsys, *words):
    return run(capsys, "check", *words)


@pytest.mark.parametrize("subject", ["Dice", DICE, f"glamor_gym:{DICE}"])
def test_an_environment_that_passes(capsys, subject):
    code, out, _ = check(capsys, subject)
    assert code == 0
    assert "0 of 24 checks failed" in out


def test_the_report_as_json(capsys):
    code, out, _ = check(capsys, DICE, "--json", "--seed", "3")
    assert code == 0
    report = json.loads(out)
    assert report["passed"] is True
    assert {result["status"] for result in report["results"]} == {"pass"}


def test_an_environment_without_goals_fails(capsys):
    code, out, _ = check(capsys, "CartPole-v1")
    assert code == 1
    assert "has_goals" in out
    assert "fix:" in out
    assert "1 of 24 checks failed, 0 do not apply, 23 not run" in out


def test_an_agent_file_that_passes(capsys, tmp_path):
    GlamorAgent(DICE, buffer_size=100, policy_kwargs={"embedding_size": 8}).save(tmp_path / "agent")
    for name in ("agent.safetensors", "agent"):
        code, out, _ = check(capsys, tmp_path / name, "--task", "Dice")
        assert code == 0, out


def test_a_file_tells_what_it_holds_and_its_task(capsys, tmp_path):
    GCSLAgent(DICE, buffer_size=100, policy_kwargs={"embedding_size": 8}).save(tmp_path / "agent")
    code, out, _ = check(capsys, tmp_path / "agent.safetensors")
    assert code == 0, out


def test_a_file_that_executes_code_needs_trust(capsys, tmp_path):
    DQN("MultiInputPolicy", gym.make(DICE), buffer_size=10).save(tmp_path / "dqn")
    words = (tmp_path / "dqn.zip", "--task", "Dice", "--algorithm", "dqn-her")
    code, _, err = check(capsys, *words)
    assert code == 2
    assert "trust" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["Nope"], "unknown task 'Nope'"),
        (["glamor/Nope-v0"], "neither a file nor an environment"),
        ([".foo:bar"], "'.foo' of '.foo:bar' cannot be imported"),
        (["no_such_module:Nope-v0"], "No module named 'no_such_module'"),
        ([DICE, "--seed", "-1"], "seed must be an integer ≥ 0, got -1"),
        ([DICE, "--env", "reward=none"], "reward must be one of"),
        ([DICE, "--task", "Dice"], "are for saved agents"),
        ([DICE, "--algorithm", "gcsl"], "are for saved agents"),
        ([__file__], "is not a saved agent"),
        ([__file__, "--task", "Dice"], "is not a saved agent"),
        ([__file__, "--task", "Dice", "--algorithm", "nope"], "unknown agent 'nope'"),
    ],
)
def test_what_cannot_be_checked_is_told(capsys, words, message):
    code, _, err = check(capsys, *words)
    assert code == 2
    assert message in err
