"""How many threads the runs of an experiment get."""

from pathlib import Path

import pytest
import torch

from glamor_gym.commands import workers
from glamor_gym.commands.options import Benchmark
from glamor_gym.commands.workers import Crew


@pytest.mark.parametrize(
    ("cores", "limit", "jobs", "threads"),
    [(8, 8, 1, 8), (8, 8, 4, 2), (8, 8, 20, 1), (8, 1, 1, 1), (2, 8, 1, 2), (8, 3, 2, 3)],
)
def test_runs_share_the_cores_and_keep_to_pytorchs_limit(monkeypatch, cores, limit, jobs, threads):
    monkeypatch.setattr(workers, "_cores", lambda: cores)
    monkeypatch.setattr(torch, "get_num_threads", lambda: limit)
    options = Benchmark(tasks=("Pong",), out=Path("unused"), jobs=jobs, device="cpu")
    assert Crew.of(options).job_arguments == {"device": "cpu", "threads": threads}
