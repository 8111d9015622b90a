"""Records that describe the reproduction of a table or figure of the paper.

A :class:`Reproduction` says what is trained, measured, drawn and compared with the paper; a
:class:`Scale`, how much of it; a :class:`Comparison`, one result next to the paper's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
from matplotlib.figure import Figure

from glamor_gym.experiments.algorithms import get_algorithm
from glamor_gym.names import counted

if TYPE_CHECKING:
    from glamor_gym.experiments.paper.workshop import Workshop

Agreement = Literal["yes", "no", "undecided", ""]
"""Whether a result agrees with the paper; empty if there is nothing to decide."""

DECISION_NOTE = (
    "A comparison is decided by three seeds of each or more, where both 95 % intervals of the "
    "difference say the same: Newcombe's of episodes, and one of seeds: Welch's, or where the same "
    "agents act in two ways, Student's of the difference of each."
)
"""When :func:`~glamor_gym.experiments.estimates.rates_verdict` decides a comparison."""

RATES_NOTE = (
    "In brackets: the 95 % Wilson interval of the episodes for one seed, one standard deviation "
    "to each side for several."
)
"""What the brackets after a rate mean."""

NAMED = 6
"""Up to this many tasks are named in the description of a budget; of more, only the number."""


@dataclass(frozen=True)
class Scale:
    """How much is trained and measured.

    Attributes:
        tasks: names of the tasks.
        steps: environment steps per training run.
        seeds: random seeds, one training run each.
        agents: names in :data:`~glamor_gym.experiments.ALGORITHMS`; empty if the experiment does
            not compare algorithms.
        preset: preset of the agents; None for each task's default.
        settings: settings that differ from the preset.
        env_kwargs: keyword arguments of ``gym.make``, in training and evaluation.
        looks: number of evenly spaced measurements during training, including the one at the end.
        episodes_per_goal: episodes per goal in a measurement.
        n_envs: number of environments in which data is collected.
    """

    tasks: tuple[str, ...]
    steps: int
    seeds: tuple[int, ...] = (0,)
    agents: tuple[str, ...] = ()
    preset: str | None = "paper"
    settings: Mapping[str, Any] = field(default_factory=dict)
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    looks: int = 1
    episodes_per_goal: int = 1
    n_envs: int = 8

    @property
    def look_steps(self) -> tuple[int, ...]:
        """The environment steps at which agents are measured."""
        return tuple(round(self.steps * (look + 1) / self.looks) for look in range(self.looks))

    def over(self, *tasks: str) -> Scale:
        """Return a copy with other tasks."""
        return dataclasses.replace(self, tasks=tasks)

    def but(self, **changes: Any) -> Scale:
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def described(self) -> str:
        """Return a description of the budget."""
        tasks = ", ".join(self.tasks) if len(self.tasks) <= NAMED else f"{len(self.tasks)} tasks"
        preset = "the presets that suit them" if self.preset is None else f"preset {self.preset}"
        return (
            f"{self.steps:,} steps, {counted(len(self.seeds), 'seed')}, {preset}, "
            f"{counted(self.episodes_per_goal, 'episode')} a goal, {tasks}"
        )


@dataclass(frozen=True)
class Comparison:
    """One statement of the paper next to our result.

    Attributes:
        statement: what is compared, e.g. ``"Pong: goals reached by GLAMOR"``.
        ours: our result, with its interval.
        published: the paper's number, or its claim if it gives no number.
        agrees: whether our result agrees with the paper's, if the intervals decide it.
    """

    statement: str
    ours: str
    published: str
    agrees: Agreement = ""


@dataclass(frozen=True)
class Reproduction:
    """One table or figure of the paper.

    Attributes:
        name: name on the command line.
        title: title in one line.
        shows: what the paper shows with it.
        quick: a scale that takes minutes on two cores.
        published: the paper's scale.
        caveat: what the quick scale cannot show.
        collect: trains and measures; returns one row per measurement.
        draw: draws the figure from those rows.
        compare: compares those rows with the statements of the paper.
        notes: how to read its numbers.
        only_task: whether it makes sense only on the task of its scales.
        one_seed: whether it shows a single agent per task.
        any_agent: whether it compares agents only by their final evaluation. Nothing else is kept
            of other libraries' agents and of those that do not learn.
        least_steps: smallest number of steps at which there is something to measure.
        trainings: number of agents trained per task and seed, if the scale does not list them; 0
            if none takes more than minutes.
        words: returns the description of a scale, if :meth:`Scale.described` does not fit.
    """

    name: str
    title: str
    shows: str
    quick: Scale
    published: Scale
    caveat: str
    collect: Callable[[Scale, Workshop], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Figure]
    compare: Callable[[pd.DataFrame], Sequence[Comparison]]
    notes: str = f"{RATES_NOTE} {DECISION_NOTE}"
    only_task: bool = False
    one_seed: bool = False
    any_agent: bool = False
    least_steps: int = 1
    trainings: int = 1
    words: Callable[[Scale], str] = Scale.described

    def n_trainings(self, scale: Scale) -> int:
        """Return the number of training runs at a scale; agents that do not learn need none."""
        learning = [name for name in scale.agents if get_algorithm(name).learns]
        per_seed = len(learning) if scale.agents else self.trainings
        return len(scale.tasks) * (1 if self.one_seed else len(scale.seeds)) * per_seed
