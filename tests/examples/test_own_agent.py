import runpy
from pathlib import Path

import numpy as np

SCRIPT = Path(__file__).parents[2] / "examples" / "own_agent.py"


def test_both_agents_are_trained_and_the_own_one_plans_at_every_step(capsys, monkeypatch):
    example = runpy.run_path(str(SCRIPT))
    closed_loop, collected = example["ClosedLoop"], []
    collect = closed_loop.collect

    def spied(agent, observations, starts):
        actions = collect(agent, observations, starts)
        collected.append(actions)
        return actions

    monkeypatch.setattr(closed_loop, "collect", spied)
    rates = example["main"]("glamor/GridWorld-v0", "small", steps=700, seed=0)
    assert list(rates) == ["GlamorAgent", "ClosedLoop"]
    printed = capsys.readouterr().out.splitlines()
    assert [line.split(" (")[0] for line in printed] == [
        f"{name}: {rate:.2f}" for name, rate in rates.items()
    ]
    assert len(collected) > 150  # each step from the first update on
    assert set(np.concatenate(collected).tolist()) <= {0, 1, 2, 3}  # never STOP
