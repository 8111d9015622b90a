"""Checks of ``save``, ``load`` and ``learn``, on a copy of the agent loaded from a file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from glamor_gym.conformance.prediction import AgentSubject
from glamor_gym.conformance.report import CheckFailedError, NotApplicableError

_STEPS = 8


def comes_back_from_its_file(subject: AgentSubject) -> None:
    """An agent that was saved and loaded chooses the same deterministic actions.

    Fix: save everything that actions depend on, planner settings included.
    """
    with _copy(subject) as copied:
        before = subject.act(subject.batch)
        after = AgentSubject(copied, subject.env, subject.seed).act(subject.batch)
    if not np.array_equal(before, after):
        raise CheckFailedError(
            f"the agent chose {before.tolist()}, the loaded copy {after.tolist()}"
        )


def goes_on_learning(subject: AgentSubject) -> None:
    """``learn(n, reset_num_timesteps=False)`` continues, for n steps or more.

    Agents that learn from whole rollouts may take more than n.

    Fix: add to ``num_timesteps`` instead of resetting it to 0.
    """
    if not callable(getattr(subject.agent, "learn", None)):
        raise NotApplicableError("the agent has no learn")
    with _copy(subject) as copied:
        for _ in range(2):
            before = copied.num_timesteps
            copied.learn(_STEPS, reset_num_timesteps=False)
            if copied.num_timesteps < before + _STEPS:
                raise CheckFailedError(
                    f"num_timesteps is {copied.num_timesteps} after {_STEPS} steps from {before}"
                )


@contextmanager
def _copy(subject: AgentSubject) -> Iterator[Any]:
    """Save the agent to a temporary folder, and yield a copy loaded from there."""
    agent = subject.agent
    if not (callable(getattr(agent, "save", None)) and callable(getattr(agent, "load", None))):
        raise NotApplicableError("the agent has no save and load")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "agent"
        agent.save(path)
        yield type(agent).load(path, env=subject.env, device=getattr(agent, "device", "auto"))
