import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "sb3_beside_glamor.py"


def test_both_are_trained_and_judged_alike(capsys):
    results = runpy.run_path(str(SCRIPT))["main"](200, 0)
    dqn, glamor = results["DQN + HER"], results["GLAMOR"]
    assert dqn.episodes == glamor.episodes == 49
    # The same goals and starts: the baselines come out the same.
    assert (dqn.random, dqn.noop, dqn.goals_hash) == (glamor.random, glamor.noop, glamor.goals_hash)
    printed = capsys.readouterr().out
    assert printed.count("by a shortest way") == 2


@pytest.mark.slow
def test_both_learn_the_grid_world_as_it_stands():
    results = runpy.run_path(str(SCRIPT))["main"](10_000, 0)
    assert results["GLAMOR"].success_rate >= 0.95
    assert results["DQN + HER"].success_rate >= 0.8
