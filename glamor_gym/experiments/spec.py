"""What is to be run, as data: an :class:`AlgorithmSpec` on a task, which makes a :class:`RunSpec`.

In: names, settings and numbers. Out: the same, checked when they are put together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from glamor_gym.checks import as_choice
from glamor_gym.experiments.algorithms import get_algorithm
from glamor_gym.tasks import get_task
from glamor_gym.vector import CollectorKind

EVALUATIONS = 5
"""How many evaluations a run has where `eval_every` is not given."""


@dataclass(frozen=True)
class AlgorithmSpec:
    """An algorithm with the settings that it is to have, whatever the task and the seed.

    Attributes:
        algorithm: a name in :data:`~glamor_gym.experiments.ALGORITHMS`.
        preset: of the algorithm; None for its usual one.
        overrides: settings of the agent that differ from the preset's; ``policy_kwargs`` is a
            mapping of its own.
        variant: what tells it from others of the same algorithm, part of the names of folders;
            empty where there are none.
    """

    algorithm: str
    preset: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    variant: str = ""

    def on(self, task: str, seed: int, **budget: Any) -> RunSpec:
        """Return the run of this algorithm on a task.

        Args:
            task: name or id.
            seed: of everything.
            **budget: the other fields of :class:`RunSpec`.

        Raises:
            ValueError: there is no such task, algorithm or preset, or a number is out of range.
        """
        return RunSpec(
            task=task,
            algorithm=self.algorithm,
            preset=self.preset,
            overrides=dict(self.overrides),
            variant=self.variant,
            seed=seed,
            **budget,
        )


@dataclass(frozen=True)
class RunSpec:
    """One algorithm on one task with one seed.

    Attributes:
        task: name or id of a task.
        algorithm: a name in :data:`~glamor_gym.experiments.ALGORITHMS`.
        preset: of the algorithm; None for its usual one for such a task.
        overrides: settings of the agent that differ from the preset's; ``policy_kwargs`` is a
            mapping of its own.
        seed: of everything: networks, exploration, environments, evaluation.
        steps: environment steps in all, over all environments.
        n_envs: environments that collect data side by side.
        eval_every: environment steps between two evaluations; None for a fifth of `steps`.
        env_kwargs: keyword arguments of ``gym.make``.
        episodes_per_goal: how often each goal is tried in the last evaluation; once before it.
        minutes: of wall-clock time after which the training ends, however often it was broken off
            on the way; None for no limit.
        checkpoint_minutes: wall-clock time from one checkpoint to the next, of an algorithm whose
            runs can go on from one.
        collect: where environments are stepped, a kind of
            :func:`~glamor_gym.vector.collector.make_collector`; the episodes are the same.
        variant: see :class:`AlgorithmSpec`.
        goals: by which the agent is evaluated, as in :func:`~glamor_gym.evaluate`.
        trained_in: folder of a finished run, beside this one's, whose agent is evaluated here
            instead of training one; empty: nowhere else.
        planner: how that agent is to plan, where it differs: fields of
            :class:`~glamor_gym.planners.PlannerSettings`.

    Raises:
        ValueError: there is no such task, algorithm or preset, a number is out of its range, or
            `planner` is given for an agent that is yet to be trained.
    """

    task: str
    algorithm: str = "glamor"
    preset: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    steps: int = 500_000
    n_envs: int = 8
    eval_every: int | None = None
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    episodes_per_goal: int = 2
    minutes: float | None = None
    checkpoint_minutes: float = 2.0
    collect: CollectorKind = "auto"
    variant: str = ""
    goals: str = "eval"
    trained_in: str = ""
    planner: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        get_task(self.task)
        get_algorithm(self.algorithm).checked_preset(self.preset)
        for name, least in (
            ("seed", 0),
            ("steps", 1),
            ("n_envs", 1),
            ("eval_every", 1),
            ("episodes_per_goal", 1),
        ):
            number = getattr(self, name)
            if number is not None and number < least:
                raise ValueError(f"{name} must be at least {least}, got {number}")
        as_choice(self.collect, get_args(CollectorKind), name="collect")
        if "goals" in self.env_kwargs:
            raise ValueError(
                "env_kwargs must leave out goals, by which every run is judged alike; got "
                f"goals={self.env_kwargs['goals']!r}"
            )
        for name in ("minutes", "checkpoint_minutes"):
            number = getattr(self, name)
            if number is not None and not 0 < number < math.inf:
                raise ValueError(f"{name} must be more than 0 and finite, got {number}")
        if self.planner and not self.trained_in:
            raise ValueError(
                f"planner is for the agent of another run, and trained_in names none; "
                f"got {dict(self.planner)}"
            )

    @property
    def chosen_preset(self) -> str:
        """Name of the preset: `preset`, or where that is None the usual one for the task."""
        return get_algorithm(self.algorithm).checked_preset(self.preset, get_task(self.task).suite)

    @property
    def evaluation_interval(self) -> int:
        """Environment steps between two evaluations."""
        return self.eval_every or max(1, self.steps // EVALUATIONS)
