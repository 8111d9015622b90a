"""The table of algorithms that can be run on a task, one row per algorithm.

In: a name, or ``"MODULE:CLASS"`` for an agent's class of one's own. Out: the row, see
:mod:`~glamor_gym.experiments.algorithm_kinds`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pkgutil import resolve_name
from types import MappingProxyType
from typing import Any

from glamor_gym.experiments.algorithm_kinds import (
    NO_PRESET,
    Algorithm,
    ImageGoalAlgorithm,
    LibraryAlgorithm,
    Player,
)
from glamor_gym.names import nearest_names, without_module
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

    Args:
        name: one in :data:`ALGORITHMS`; or ``"MODULE:CLASS"`` for a subclass of one of this
            library's agents, which has that agent's presets unless it defines its own, or of an
            algorithm of Stable-Baselines3. The module is imported.

    Raises:
        ValueError: there is no such algorithm (the message suggests similar names), or the class
            cannot be imported or is no such subclass.
    """
    row = find_algorithm(name)
    return _of_class(name) if row is None else row


def find_algorithm(name: str) -> Algorithm | None:
    """Return the row of a name; None for ``"MODULE:CLASS"``, which is not imported.

    Raises:
        ValueError: there is no such algorithm; the message suggests similar names.
    """
    if not isinstance(name, str):
        raise ValueError(f"agent must be a name such as 'glamor', got {type(name).__name__}")
    if name not in ALGORITHMS and ":" not in name:
        raise ValueError(f"unknown agent {name!r}; {nearest_names(name, ALGORITHMS)}")
    return ALGORITHMS.get(name)


@cache
def _of_class(home: str) -> Algorithm:
    """Return the row of a class that is not in the table.

    Raises:
        ValueError: it cannot be imported, or is no agent's class.
    """
    from stable_baselines3.common.base_class import BaseAlgorithm  # imports PyTorch

    from glamor_gym.agents.base import ImageGoalAgent

    try:
        agent_class = resolve_name(home)
    except (AttributeError, ImportError, ValueError) as error:
        raise ValueError(f"agent {home!r} cannot be imported: {error}") from error
    title = without_module(home)
    if not (isinstance(agent_class, type) and issubclass(agent_class, BaseAlgorithm)):
        raise ValueError(
            f"agent {home!r} must be a subclass of one of this library's agents or of an algorithm "
            f"of Stable-Baselines3, got {agent_class!r}"
        )
    if not issubclass(agent_class, ImageGoalAgent):
        return LibraryAlgorithm(home, title, home)
    own = ImageGoalAlgorithm(home, title, home, tuple(agent_class.presets) or (NO_PRESET,))
    for row in _ROWS:
        if isinstance(row, ImageGoalAlgorithm) and issubclass(agent_class, row.agent_class()):
            inherited = agent_class.presets is row.agent_class().presets
            presets = row.presets if inherited else own.presets
            return replace(row, name=home, title=title, home=home, presets=presets)
    return own


def title_of(name: str) -> str:
    """Return the name of an algorithm in reports, also of one that is unknown here."""
    return ALGORITHMS[name].title if name in ALGORITHMS else without_module(name)


def is_trained(name: str) -> bool:
    """Return whether an algorithm learns, as every class of one's own does."""
    return name not in ALGORITHMS or ALGORITHMS[name].learns


def preset_for(task: str, algorithm: str = "glamor") -> str:
    """Return the name of the preset that the commands choose for a task.

    Args:
        task: name or id of a task, or id of another goal environment.
        algorithm: see :func:`get_algorithm`.

    Returns:
        For this library's agents ``"compact"``, ``"compact-control"`` for control tasks (for GLAMOR
        also games in which nothing moves by itself, such as Bowling), or ``"small"`` for the small
        worlds, whose observations are vectors. An environment that is no task gets ``"compact"``:
        name ``"small"`` yourself if it has vectors.

    Raises:
        ValueError: there is no such algorithm, or `task` is not a string.
    """
    return get_algorithm(algorithm).checked_preset(None, find_task(task))
