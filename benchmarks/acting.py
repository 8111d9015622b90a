"""Choosing an action from pictures: by vote alone, compared with completing the plan as well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from benchmarks.timing import Comparison, compare
from glamor_gym import GlamorAgent

TASK = "glamor/Seaquest-v0"  # all eighteen actions

Batch = dict[str, NDArray[Any]]


def run() -> Iterator[Comparison]:
    """Compare one observation and a batch of 32."""
    agent = GlamorAgent(TASK, **GlamorAgent.preset("compact"), seed=0, device="cpu")
    for n_rows in (1, 32):
        yield compare_acting(agent, make_batch(agent, n_rows))


def make_batch(agent: GlamorAgent, n_rows: int) -> Batch:
    """Make observations of noise at the start of an episode."""
    space = batch_space(agent.observation_space, n_rows)
    space.seed(0)
    return {**space.sample(), "steps_left": np.full((n_rows, 1), agent.horizon, np.int64)}


def act(agent: GlamorAgent, batch: Batch, *, plans_ahead: bool) -> NDArray[np.int64]:
    """Choose an action for each observation."""
    agent.plans_ahead = plans_ahead
    actions, _ = agent.predict(batch, deterministic=True)
    return actions


def compare_acting(agent: GlamorAgent, batch: Batch) -> Comparison:
    """Compare the time of one action in a batch."""
    n_rows = len(batch["steps_left"])
    same = act(agent, batch, plans_ahead=False) == act(agent, batch, plans_ahead=True)
    return compare(
        f"act on {n_rows} observation(s), compact encoder, T = {agent.horizon}",
        "whole plans of 50 trials",
        lambda: act(agent, batch, plans_ahead=False),
        lambda: act(agent, batch, plans_ahead=True),
        target=2.0,
        fast_repeats=10,
        per=n_rows,
        plain_per=n_rows,
        turns=9,
        note=f"{np.mean(same):.0%} of the actions are the same",
    )
