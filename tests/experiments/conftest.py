from __future__ import annotations

import pytest

from glamor_gym.experiments.engines import LocalEngine
from glamor_gym.experiments.worker import run_job


@pytest.fixture
def in_process(monkeypatch):
    """Carry out jobs here: processes take seconds to start."""

    def run_jobs_here(self, jobs, tick):
        for job in jobs:
            run_job(job)
            tick()

    monkeypatch.setattr(LocalEngine, "run_jobs", run_jobs_here)
