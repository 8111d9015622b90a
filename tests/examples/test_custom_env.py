import runpy
from pathlib import Path

import pytest
import stable_baselines3.common.env_checker as sb3
from gymnasium.utils.env_checker import check_env

SCRIPT = Path(__file__).parents[2] / "examples" / "custom_env.py"


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(SCRIPT))


def test_the_script_reaches_its_goals(capsys):
    runpy.run_path(str(SCRIPT), run_name="__main__")
    printed = capsys.readouterr().out
    assert "(4, 36, 36)" in printed
    assert "guided: 100% of 50 goals reached" in printed


@pytest.mark.filterwarnings("error")
# The environment is not registered, so the checker cannot make a second one to render.
@pytest.mark.filterwarnings("ignore:.*Not able to test alternative render modes:UserWarning")
def test_the_environment_passes_both_checkers(example):
    check_env(example["make_env"]())
    sb3.check_env(example["make_env"]())
