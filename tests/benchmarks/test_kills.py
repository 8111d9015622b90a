"""One kill, or six, instead of a hundred."""

import os
import time
from dataclasses import replace

import pytest

from benchmarks import kills
from benchmarks.kills import SPECS, kill_runs

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def test_a_run_killed_while_it_learns_comes_out_as_the_one_left_alone(tmp_path, monkeypatch):
    kill = kills.kill

    def kill_while_it_learns(process, report, rng, about):
        while report.written < 150 and kills.is_running(process):
            time.sleep(1e-3)
        return kill(process, report, rng, 0.0)

    monkeypatch.setattr(kills, "kill", kill_while_it_learns)
    spec = SPECS["GridWorld"]
    settings = {**spec.overrides, "learning_starts": 100}
    spec = replace(spec, overrides=settings, steps=300, eval_every=300)
    outcome = kill_runs(spec, kills=1, runs=1, seed=1, scratch=tmp_path)
    assert (outcome.kills, outcome.resumed, outcome.runs) == (1, 1, 1)
    assert outcome.is_clean


@pytest.mark.slow
def test_killed_runs_on_pong(tmp_path):
    outcome = kill_runs(SPECS["Pong"], kills=6, runs=2, seed=1, scratch=tmp_path)
    assert outcome.kills == 6
    assert outcome.resumed > 0
    assert outcome.is_clean
