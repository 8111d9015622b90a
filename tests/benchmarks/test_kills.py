"""A few kills instead of a hundred."""

import os

import pytest

from benchmarks.kills import SPECS, kill_runs
from glamor_gym.experiments import RunSpec


def test_killed_runs_come_out_as_the_one_left_alone(tmp_path):
    spec = RunSpec(**{**vars(SPECS["GridWorld"]), "steps": 600, "eval_every": 600})
    outcome = kill_runs("GridWorld", kills=3, runs=1, seed=1, scratch=tmp_path, spec=spec)
    assert outcome.kills >= 1  # a slow machine may end the run before the third
    assert outcome.is_clean


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_runs_on_pong(tmp_path):
    outcome = kill_runs("Pong", kills=6, runs=2, seed=1, scratch=tmp_path)
    assert outcome.kills >= 1
    assert outcome.is_clean
