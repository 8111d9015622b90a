"""Commands called with wrong words: exit code 0, 1 or 2 with a message, and never a traceback."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from glamor_gym.cli import main

WORDS = (
    "", "-1", "0", "3", "1e9", "nan", "x", "é", "a=b", "a", "=", "n_trials=x", "../..", "None",
    "GridWorld", "glamor/Dice-v0", "glamor/Nope-v0", "no_such_module:Env-v0", "nowhere.npz", "[[",
    "goals=none", "reward=1", "seed=-1", "policy_kwargs.encoder=1", "--help", "--nope", "cuda:99",
)  # fmt: skip
COMMANDS = {
    "tasks": ["--verbose"],
    "train": ["--task", "--steps", "--preset", "--seed", "--n-envs", "--set", "--env", "--device"],
    "evaluate": ["--task", "--episodes-per-goal", "--seed", "--n-envs", "--goals", "--env"],
    "watch": ["--task", "--goal", "--goals", "--episodes", "--output", "--fps", "--algorithm"],
    "export": ["--output"],
    "goals show": ["--which", "--out"],
    "goals verify": [],
    "goals build": ["--seed", "--episodes", "--out"],
    "doctor": ["--buffer-size"],
    "check": ["--task", "--algorithm", "--seed", "--env", "--json", "--trust"],
}
"""Command → its options; none of these lines is right in every word, so that nothing is trained."""

LAST = {
    "train": ["--steps", "0"],
    "goals build": ["--episodes", "0"],
    "goals verify": ["Dice"],
    "doctor": ["--buffer-size", "0"],
}
"""What comes last, so that no run begins, not the goals of every task are verified, and the doctor
draws nothing."""

CALLS = 12


@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_words_end_with_a_message(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    last = LAST.get(command, [])

    @settings(
        max_examples=CALLS, deadline=None, database=None, derandomize=True,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(
        st.lists(st.sampled_from(WORDS), max_size=1),
        st.lists(
            st.tuples(st.sampled_from(COMMANDS[command] or [""]), st.sampled_from(WORDS)),
            max_size=2,
        ),
    )
    def one_call(subject, options):
        words = [*command.split(), *subject]
        words += [word for option in options for word in option if option[0]]
        with pytest.raises(SystemExit) as ended:
            main([*words, *last])
        told = capsys.readouterr()
        assert ended.value.code in (0, 1, 2)
        assert ended.value.code == 0 or (told.out + told.err).strip()
        assert "Traceback" not in told.out + told.err
        assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]

    one_call()
