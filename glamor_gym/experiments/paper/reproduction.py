"""What a table or figure of the paper is, to the command that makes it again.

Here are the records only: a :class:`Reproduction` says what is trained, measured, drawn and held
against the paper; a :class:`Scale` how much of it; a :class:`Comparison` what came of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from pathlib import Path

    from glamor_gym.experiments.paper.workshop import Trained, Workshop

Verdict = Literal["yes", "no", "undecided", ""]
"""Whether a figure of ours agrees with the paper; empty where there is nothing to decide."""

RATES_NOTE = (
    "In brackets: the 95 % Wilson interval of the episodes for one seed, one standard deviation "
    "to each side for several. A comparison is decided by three seeds of each or more, where both "
    "95 % intervals of the difference say the same: Newcombe's of episodes and Welch's of seeds."
)
"""How rates are given, where an experiment says nothing else."""

NAMED = 6
"""How many tasks a budget names; of more it says how many they are."""


@dataclass(frozen=True)
class Scale:
    """How much is trained and measured.

    Attributes:
        tasks: names of the tasks.
        steps: environment steps of each training.
        seeds: each is a training of its own.
        agents: names in :data:`~glamor_gym.experiments.ALGORITHMS`, where an experiment compares
            algorithms.
        preset: of the agents; None for what suits each task.
        settings: an agent's settings that differ from the preset.
        env_kwargs: keyword arguments of ``gym.make``, in training and evaluation.
        looks: how often an agent is measured on its way, evenly, the end included.
        episodes_per_goal: how often each goal is tried in a measurement.
        n_envs: environments that collect data side by side.
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
        """Return the same budget for other tasks."""
        return dataclasses.replace(self, tasks=tasks)

    def but(self, **changes: Any) -> Scale:
        """Return the same budget but for some of its numbers."""
        return dataclasses.replace(self, **changes)

    def described(self) -> str:
        """Return the budget in words."""
        tasks = ", ".join(self.tasks) if len(self.tasks) <= NAMED else f"{len(self.tasks)} tasks"
        preset = "the presets that suit them" if self.preset is None else f"preset {self.preset}"
        return (
            f"{self.steps:,} steps, {_counted(len(self.seeds), 'seed')}, {preset}, "
            f"{_counted(self.episodes_per_goal, 'episode')} a goal, {tasks}"
        )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"


@dataclass(frozen=True)
class Comparison:
    """One statement of the paper beside what was found.

    Attributes:
        statement: what is compared, e.g. ``"Pong: goals reached by GLAMOR"``.
        ours: our figure, with its interval.
        published: the paper's figure, or what it says where it prints none.
        agrees: ``"yes"`` or ``"no"`` where the intervals decide it.
    """

    statement: str
    ours: str
    published: str
    agrees: Verdict = ""


@dataclass(frozen=True)
class Reproduction:
    """One table or figure of the paper.

    Attributes:
        name: as on the command line.
        title: what it is, in a line.
        shows: what the paper shows with it.
        quick: the scale for minutes on two cores.
        published: the paper's scale.
        caveat: what the quick scale cannot show.
        collect: trains and measures; a row a measurement.
        draw: the picture of those rows.
        compare: the statements of the paper, held against those rows.
        notes: how its figures are to be read.
        only_task: whether it has a meaning on the task of its scales alone.
        any_agent: whether it compares agents by their last evaluation alone. Of others' agents, and
            of those that learn nothing, no more is kept.
        least_steps: below which there is nothing to measure.
        words: a budget in words, where :meth:`Scale.described` would not say what is done.
        page: an HTML page about the runs and the command that was typed, to stand in a folder;
            None where there is none.
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
    notes: str = RATES_NOTE
    only_task: bool = False
    any_agent: bool = False
    least_steps: int = 1
    words: Callable[[Scale], str] = Scale.described
    page: Callable[[Sequence[Trained], str, Path], str] | None = None
