import runpy
from pathlib import Path

import pytest

from glamor_gym import GlamorAgent

SCRIPT = Path(__file__).parents[2] / "examples" / "quickstart.py"


@pytest.mark.parametrize("task", ["glamor/GridWorld-v0", "glamor/Dice-v0"])
def test_it_trains_plans_and_evaluates(monkeypatch, capsys, task):
    monkeypatch.setattr("sys.argv", ["quickstart.py", task, "--steps", "100"])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    printed = capsys.readouterr().out
    assert "plan: [" in printed
    assert "goals reached: 0." in printed
    assert "random agent: 0." in printed


def test_the_preset_is_chosen_by_the_task_unless_it_is_named(monkeypatch):
    made_with = []
    script = runpy.run_path(str(SCRIPT))

    def stop(env, **settings):
        made_with.append(settings.get("policy_kwargs", {}))
        raise InterruptedError

    stop.preset = GlamorAgent.preset
    monkeypatch.setitem(script["main"].__globals__, "GlamorAgent", stop)
    for task, named in (("Seaquest", None), ("GridWorld", None), ("GridWorld", "compact")):
        with pytest.raises(InterruptedError):
            script["main"](f"glamor/{task}-v0", named, 1, 0)
    presets = [GlamorAgent.preset(name)["policy_kwargs"] for name in ("compact", "small")]
    assert presets[0] != presets[1]
    assert made_with == [presets[0], presets[1], presets[0]]


@pytest.mark.slow
def test_it_learns_the_grid_world_as_it_stands():
    assert runpy.run_path(str(SCRIPT))["main"]("glamor/GridWorld-v0", "small", 10_000, 0) >= 0.9
