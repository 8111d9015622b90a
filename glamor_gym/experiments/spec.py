"""The specification of a run: an algorithm on a task with a seed and a budget of steps.

In: names, settings and numbers. Out: the same as a record, validated on construction. Experiments
with many runs check by :func:`distinct` and :func:`check_agent` what they make their specs of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from glamor_gym.checks import as_choice, as_integer, as_number
from glamor_gym.experiments.algorithm_kinds import Algorithm, ImageGoalAlgorithm
from glamor_gym.experiments.algorithms import get_algorithm, preset_for
from glamor_gym.registration import find_env_id, name_of_env
from glamor_gym.tasks import find_task
from glamor_gym.vector import CollectorKind

EVALUATIONS = 5
"""Number of evaluations of a run if `eval_every` is None."""


@dataclass(frozen=True)
class RunSpec:
    """One algorithm on one task with one seed.

    Attributes:
        task: name or id of a task, or id of another goal environment, ``"MODULE:ID"`` if importing
            a module registers it.
        algorithm: a name in :data:`~glamor_gym.experiments.ALGORITHMS`.
        preset: preset of the algorithm; None for the default for this task.
        overrides: settings of the agent that differ from the preset's; ``policy_kwargs`` is a
            nested mapping.
        seed: random seed of networks, exploration, environments and evaluation.
        steps: total environment steps, over all environments.
        n_envs: number of environments in which data is collected.
        eval_every: environment steps between two evaluations; None for a fifth of `steps`.
        env_kwargs: keyword arguments of ``gym.make``.
        episodes_per_goal: episodes per goal in the final evaluation; earlier ones have one.
        minutes: limit on wall-clock minutes of training, summed over interruptions; None for no
            limit.
        checkpoint_minutes: wall-clock minutes between checkpoints, for algorithms whose runs can
            resume.
        collect: where environments are stepped, a `kind` of
            :func:`~glamor_gym.vector.collector.make_collector`; the episodes do not depend on it.
        variant: name in run folders that distinguishes variants of one algorithm; empty for the
            algorithm's own name.
        goals: goals for evaluation, as in :func:`~glamor_gym.evaluate`.
        trained_in: name of a sibling folder with a finished run, whose agent is evaluated instead
            of training one; empty to train one.
        planner: planner settings of that agent that are changed for evaluation: fields of
            :class:`~glamor_gym.planners.PlannerSettings`.

    Raises:
        ValueError: there is no such task, algorithm or preset, a number is out of range,
            `env_kwargs` contains ``goals`` or ``render_mode``, or `planner` is given without
            `trained_in`.
        TypeError: `env_kwargs` contains an argument that the environments of tasks do not take.
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
        find_env_id(self.task)
        get_algorithm(self.algorithm).checked_preset(self.preset)
        for name, least in (
            ("seed", 0),
            ("steps", 1),
            ("n_envs", 1),
            ("eval_every", 1),
            ("episodes_per_goal", 1),
        ):
            if getattr(self, name) is not None:
                as_integer(getattr(self, name), name=name, low=least)
        as_choice(self.collect, get_args(CollectorKind), name="collect")
        for name, reason in (
            ("goals", "all runs use the same ones"),
            ("render_mode", "runs are not shown"),
        ):
            if name in self.env_kwargs:
                raise ValueError(
                    f"env_kwargs must not contain {name}, since {reason}; got "
                    f"{name}={self.env_kwargs[name]!r}"
                )
        if self.env_kwargs and find_task(self.task) is not None:
            from glamor_gym.factory import check_option_names  # imports the wrappers

            check_option_names(self.env_kwargs)
        for name in ("minutes", "checkpoint_minutes"):
            if getattr(self, name) is not None:
                as_number(getattr(self, name), name=name, above=0)
        if self.planner and not self.trained_in:
            raise ValueError(
                "planner must be empty unless trained_in names another run, "
                f"got {dict(self.planner)}"
            )

    @property
    def chosen_preset(self) -> str:
        """Name of the preset: `preset`, or if that is None, the default for the task."""
        return preset_for(self.task, self.algorithm) if self.preset is None else self.preset

    @property
    def env_id(self) -> str:
        """The full id of a task, or that of another environment, after its module if given."""
        task = find_task(self.task)
        return name_of_env(self.task) if task is None else task.id

    @property
    def evaluation_interval(self) -> int:
        """Environment steps between two evaluations."""
        return self.eval_every or max(1, self.steps // EVALUATIONS)


def check_agent(
    algorithm: Algorithm, arguments: Mapping[str, Any], steps: int, n_envs: int
) -> None:
    """Check the arguments of an agent of this library, and that its run makes at least one update.

    Agents of other libraries check theirs when they are made. A ``replay_ratio`` of 0 asks for no
    updates.

    Args:
        algorithm: the algorithm.
        arguments: return value of :meth:`~glamor_gym.experiments.Algorithm.arguments`.
        steps: environment steps of the run.
        n_envs: number of its environments.

    Raises:
        ValueError: an argument is out of range, or all steps are taken before the first update.
        TypeError: an argument is of the wrong type.
    """
    if not isinstance(algorithm, ImageGoalAlgorithm):
        return
    settings = algorithm.checked_settings(arguments)
    taken = -(-steps // n_envs) * n_envs  # all environments step at once
    if settings.replay_ratio and not settings.updates_due(taken):
        raise ValueError(
            f"{algorithm.name} would learn nothing: its first update comes after "
            f"learning_starts={settings.learning_starts} + batch_size / replay_ratio = "
            f"{settings.first_update:g} steps, got --steps {steps}; give more steps, or set a "
            "smaller learning_starts"
        )


def distinct(name: str, values: Iterable[Any]) -> list[Any]:
    """Return the values as a list after checking that there is at least one and none is repeated.

    Raises:
        ValueError: there is none, or one is repeated.
    """
    listed = list(values)
    if not listed:
        raise ValueError(f"{name} must not be empty")
    if len(set(listed)) < len(listed):
        raise ValueError(f"{name} must differ, got {', '.join(map(str, listed))}")
    return listed
