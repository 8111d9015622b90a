"""``glamor-gym reproduce``: what it takes, what it refuses, and that it can be interrupted."""

from __future__ import annotations

import errno
import re

import pytest

from glamor_gym.envs.rendering import RenderingError
from glamor_gym.experiments.folders import RECORD_FILES, recorded_commands
from glamor_gym.experiments.paper import REPRODUCTIONS, workshop
from tests.command_line import run


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["figure-4", "--tasks", "Pnog"], "did you mean Pong"),
        (["table-1", "--agents", "glamour"], "did you mean glamor"),
        (["figure-4", "--agents", "gcsl"], "--agents: figure-4 does not compare algorithms"),
        (["figure-3a", "--tasks", "Pong"], "--tasks must be GridWorld for figure-3a, got Pong"),
        (["appendix-a1", "--tasks", "Pong"], "--tasks must be Dice for appendix-a1, got Pong"),
        (["figure-4", "--steps", "0"], "--steps must be at least 20, got 0"),
        (["figure-4", "--seeds", "-1"], "--seeds must be at least 0, got -1"),
        (["figure-4", "--device", "quantum"], "--device 'quantum' cannot be used here"),
        (["figure-4", "--seeds", "1", "1"], "--seeds must differ, got 1, 1"),
        (["figure-11", "--seeds", "0", "1"], "--seeds must be one for figure-11, an"),
        (["figure-4", "--tasks", "Pong", "glamor/Pong-v0"], "--tasks must differ, got Pong, Pong"),
        (["table-1", "--agents", "gcsl", "gcsl"], "--agents must differ, got gcsl, gcsl"),
        (["figure-2", "--agents", "random"], "must be among glamor, gcsl, discern, of which"),
        (["figure-2", "--agents", "gcsl", "dqn-her"], "kept during training; got dqn-her"),
        (["appendix-a1", "--steps", "20"], "--steps must be at least 40, got 20"),
    ],
)
def test_bad_input_is_refused_before_anything_is_made(words, told, capsys, tmp_path):
    code, out, err = run(capsys, "reproduce", *words, "--out", str(tmp_path / "out"))
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_budget_is_said_as_it_is_spent():
    several = REPRODUCTIONS["figure-11"].quick.but(seeds=(0, 1))
    assert "1 seed, " in REPRODUCTIONS["figure-11"].words(several)
    assert "5 episodes a goal" in REPRODUCTIONS["figure-11"].words(several)
    dice = REPRODUCTIONS["appendix-a1"]
    assert dice.words(dice.quick) == (
        "40 iterations of 2,000 rolls, 4,000 steps of GLAMOR, 3 seeds, preset small"
    )
    line = REPRODUCTIONS["figure-4"]
    assert line.words(line.quick) == line.quick.described()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("figure-2", "up to 189 training runs, 945,000,000 environment steps in all; with --quick"),
        ("figure-4 --tasks Pong --seeds 3 --steps 1e3", "up to 1 training run, 1,000 environment"),
        ("figure-6 --seeds 0", "up to 8 training runs, 40,000,000 environment steps"),
        ("figure-11 ", "up to 14 training runs, 70,000,000 environment steps"),
        # Random agents are only played.
        ("table-1 --tasks Pong --agents gcsl noop --seeds 0 1", "up to 2 training runs, 1,000,000"),
        ("figure-2 --quick", ""),
        ("appendix-a1", ""),
    ],
)
def test_a_long_training_is_announced_before_it_begins(words, told, capsys, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(workshop.Workshop, "trained", interrupted)
    monkeypatch.setattr(workshop.Workshop, "measured", interrupted)
    code, out, _ = run(capsys, "reproduce", *words.split(), "--out", str(tmp_path))
    assert code == 130
    assert out.startswith(told)
    assert ("up to" in out) == bool(told)


def test_all_of_the_paper_is_announced_in_one_line(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(workshop.Workshop, "trained", lambda *_: pytest.fail("trained"))
    monkeypatch.setattr("glamor_gym.commands.reproduce._make", lambda *_: None)
    code, out, _ = run(capsys, "reproduce", "all", "--out", str(tmp_path))
    assert code == 0
    assert re.fullmatch(r"up to \d+ training runs, [\d,]+ environment steps in all; .*\n", out)


def test_it_makes_what_was_asked_for(capsys, tmp_path):
    words = ["figure-4", "--quick", "--tasks", "GridWorld", "--steps", "16", "--seeds", "0"]
    code, out, _ = run(capsys, "reproduce", *words, "--out", str(tmp_path))
    assert code == 0
    assert "GridWorld: GLAMOR above sparse planner" in out
    page = (tmp_path / "figure-4" / "README.md").read_text()
    command = f"glamor-gym reproduce {' '.join(words)} --out {tmp_path}"
    assert f"    {command}\n" in page
    record = tmp_path / RECORD_FILES["a reproduction"]
    assert recorded_commands(record) == [command]


def test_an_interrupted_command_says_how_it_goes_on(capsys, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(workshop, "train_run", interrupted)
    code, out, _ = run(capsys, "reproduce", "all", "--quick", "--out", str(tmp_path))
    assert code == 130
    assert "repeat the command to continue" in out


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RenderingError("no driver"),
        FloatingPointError("inverse_loss is nan"),
    ],
)
def test_what_stops_a_run_is_told_in_a_line(error, capsys, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(workshop, "train_run", fail)
    code, out, err = run(capsys, "reproduce", "figure-4", "--quick", "--out", str(tmp_path))
    assert (code, err) == (1, "")
    assert out.endswith(
        f"stopped: {error}; repeat the command to continue from what is in {tmp_path}\n"
    )


def test_help_lists_every_experiment(capsys):
    code, out, _ = run(capsys, "reproduce", "--help")
    assert code == 0
    for name in REPRODUCTIONS:
        assert f"- {name}: " in out
