import importlib
import sys
from pathlib import Path

import pytest
import stable_baselines3.common.env_checker as sb3
from gymnasium.utils.env_checker import check_env

from glamor_gym.cli import main

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def example():
    sys.path.insert(0, str(EXAMPLES))
    yield importlib.import_module("custom_env")
    sys.path.remove(str(EXAMPLES))


def test_the_script_runs_to_its_end(example, capsys):
    success_rate = example.main(steps=600)
    printed = capsys.readouterr().out
    assert "(4, 36, 36)" in printed
    assert "scripted agent: 100% of the goals reached" in printed
    assert f"GLAMOR: {success_rate:.0%}, random: " in printed


@pytest.mark.slow
def test_the_script_learns_to_reach_its_goals(example):
    assert example.main() >= 0.8  # at random 0.05


def test_each_split_has_goals_of_its_own_and_another_name_is_refused(example):
    splits = [example.make_env(goals).goals for goals in ("train", "eval", "held-out")]
    assert [len(goals) for goals in splits] == [200, 20, 20]
    first = {goals[0].content.tobytes() for goals in splits}
    assert len(first) == 3
    with pytest.raises(ValueError, match="goals must be one of train, eval, held-out, got 'evl'"):
        example.make_env("evl")


@pytest.mark.filterwarnings("error")
def test_the_environment_passes_both_checkers(example):
    # The rendering check makes a second environment, which needs a registered one.
    check_env(example.make_env(), skip_render_check=True)
    sb3.check_env(example.make_env())


def test_the_environment_passes_our_own_checks(example, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["check", "custom_env:examples/Dot-v0"])
    assert ended.value.code == 0
    assert "0 of 24 checks failed, 0 do not apply" in capsys.readouterr().out
