"""The table of algorithms that can be run on a task, one row per algorithm.

In: a name. Out: the row, see :mod:`~glamor_gym.experiments.algorithm_kinds`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from glamor_gym.experiments.algorithm_kinds import (
    Algorithm,
    ImageGoalAlgorithm,
    LibraryAlgorithm,
    Player,
)
from glamor_gym.names import nearest_names
from glamor_gym.tasks import find_task

_LABELS = MappingProxyType({"reward": "labels"})
"""Without relabelling, an algorithm almost never sees a frame equal to the goal, so these are
rewarded by labels: an advantage over the others, which do not see labels."""

_OFF_POLICY: Mapping[str, Any] = MappingProxyType(
    {
        "buffer_size": 1_000_000,
        "learning_starts": 1_000,
        # With the default eight environments, one update per four steps, as in the library.
        "train_freq": 1,
        "gradient_steps": 2,
        "target_update_interval": 1_000,
        "exploration_fraction": 0.3,
    }
)
"""Replacements for the library's defaults, which are meant for millions of steps."""

_FRAME_BUFFER = MappingProxyType({"replay_buffer_class": "glamor_gym.replay:HindsightFrameBuffer"})

_ROWS = (
    ImageGoalAlgorithm(
        "glamor",
        "GLAMOR",
        "glamor_gym.agents:GlamorAgent",
        presets=("compact", "compact-control", "best", "best-control", "paper", "small"),
        preset_when_still="compact-control",
    ),
    ImageGoalAlgorithm("gcsl", "GCSL", "glamor_gym.agents:GCSLAgent"),
    ImageGoalAlgorithm("discern", "DISCERN", "glamor_gym.agents:DiscernAgent"),
    LibraryAlgorithm(
        "dqn-her",
        "DQN + HER",
        "stable_baselines3:DQN",
        settings={**_OFF_POLICY, "batch_size": 128, "gamma": 0.95},
        classes=_FRAME_BUFFER,
    ),
    LibraryAlgorithm(
        "ppo",
        "PPO (labels)",
        "stable_baselines3:PPO",
        env_kwargs=_LABELS,
        settings={"n_steps": 128, "batch_size": 128, "n_epochs": 4, "ent_coef": 0.01},
    ),
    LibraryAlgorithm(
        "qrdqn",
        "QR-DQN (labels)",
        "sb3_contrib:QRDQN",
        env_kwargs=_LABELS,
        settings={**_OFF_POLICY, "replay_buffer_kwargs": {"n_sampled_goal": 0}},
        classes=_FRAME_BUFFER,
    ),
    Player("random", "random", "glamor_gym.evaluation:RandomAgent"),
    Player("noop", "no-op", "glamor_gym.evaluation:NoopAgent"),
)

ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType({row.name: row for row in _ROWS})
"""Algorithms by name: this library's, those of other libraries, and agents that do not learn."""


def get_algorithm(name: str) -> Algorithm:
    """Return an algorithm by its name.

    Raises:
        ValueError: there is no such algorithm; the message suggests similar names.
    """
    if not isinstance(name, str):
        raise ValueError(f"agent must be a name such as 'glamor', got {type(name).__name__}")
    try:
        return ALGORITHMS[name]
    except KeyError:
        hint = nearest_names(name, ALGORITHMS)
        raise ValueError(f"unknown agent {name!r}; {hint}") from None


def preset_for(task: str, algorithm: str = "glamor") -> str:
    """Return the name of the preset that the commands choose for a task.

    Args:
        task: name or id of a task, or id of another goal environment.
        algorithm: a name in :data:`ALGORITHMS`.

    Returns:
        For this library's agents ``"compact"``, ``"compact-control"`` for control tasks (for GLAMOR
        also games in which nothing moves by itself, such as Bowling), or ``"small"`` for the small
        worlds, whose observations are vectors. An environment that is no task gets ``"compact"``:
        name ``"small"`` yourself if it has vectors.

    Raises:
        ValueError: there is no such algorithm, or `task` is not a string.
    """
    return get_algorithm(algorithm).checked_preset(None, find_task(task))
