import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "quickstart.py"


@pytest.mark.parametrize("task", ["glamor/GridWorld-v0", "glamor/Dice-v0"])
def test_it_trains_plans_and_evaluates(monkeypatch, capsys, task):
    monkeypatch.setattr("sys.argv", ["quickstart.py", task, "--steps", "100"])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    printed = capsys.readouterr().out
    assert "plan: [" in printed
    assert "goals reached: 0." in printed
    assert "random agent: 0." in printed


@pytest.mark.slow
def test_it_learns_the_grid_world_as_it_stands():
    assert runpy.run_path(str(SCRIPT))["main"]("glamor/GridWorld-v0", "small", 10_000, 0) >= 0.9
