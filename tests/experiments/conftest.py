from __future__ import annotations

import pytest

from glamor_gym.experiments.engines import LocalEngine
from glamor_gym.experiments.worker import carry_out


@pytest.fixture
def in_process(monkeypatch):
    """Carry out jobs here: processes take seconds to start."""

    def carry_out_here(self, jobs, tick):
        for job in jobs:
            carry_out(job)
            tick()

    monkeypatch.setattr(LocalEngine, "carry_out", carry_out_here)
