"""Every example explains itself, and does nothing else, when it is asked for help."""

from __future__ import annotations

import runpy
from pathlib import Path

import gymnasium as gym
import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.stem)
def test_help_is_all_that_is_printed(script, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [script.name, "--help"])
    # An example registers this id with an entry point in "__main__"; afterwards it is as before.
    before = gym.registry.get("examples/Dot-v0", gym.spec("CartPole-v1"))
    monkeypatch.setitem(gym.registry, "examples/Dot-v0", before)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: {script.name} [-h]")
