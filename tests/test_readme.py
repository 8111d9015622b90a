"""The examples of the README run when they are copied, each by itself."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)

SMALLER = {
    r"\b\d+_000\b": "20",
    "episodes_per_goal=4": "env_kwargs={'horizon': 5}",
    "n_eval_episodes=30": "n_eval_episodes=2",
}
"""What makes an example quick: fewer steps, and fewer and shorter episodes."""


def test_the_examples_are_found():
    assert len(BLOCKS) == README.count("```python") == 5


@pytest.mark.filterwarnings("ignore:nothing will be learned")
@pytest.mark.parametrize("number", range(5))
def test_an_example_runs_by_itself(number, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # where it may leave files
    code = BLOCKS[number]
    for pattern, smaller in SMALLER.items():
        code = re.sub(pattern, smaller, code)
    script = tmp_path / f"example_{number}.py"
    script.write_text(code)
    left = runpy.run_path(str(script))
    if "EvalCallback" in code:
        assert left["callback"].last_mean_reward >= 0.0  # −∞ before the first evaluation
