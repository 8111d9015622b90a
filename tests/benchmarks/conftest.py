"""Fixtures of the benchmarks' tests, which run them at a size that takes a moment."""

from __future__ import annotations

from functools import partial

import pytest

from benchmarks import gridworld


@pytest.fixture
def small_replay(monkeypatch):
    """Have GridWorld's DQN keep a thousand steps: SB3 takes seconds to make room for a million."""
    monkeypatch.setattr(gridworld, "DQN", partial(gridworld.DQN, buffer_size=1_000))
