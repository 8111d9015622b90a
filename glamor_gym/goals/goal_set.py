"""The fixed goals of one task.

In: the goals chosen by :mod:`glamor_gym.goals.build`, or a file of the format of
:mod:`glamor_gym.goals.goal_file`. Out: a :class:`GoalSet`, the evaluation and training goals with
the ranges of their labels.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from importlib import resources
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glamor_gym.checks import as_instance, as_number
from glamor_gym.goals import goal_file
from glamor_gym.goals.goal_file import GoalFile
from glamor_gym.goals.goal_list import GoalList, GoalSetError
from glamor_gym.tasks import get_task
from glamor_gym.types import Goal, GoalKind

HELD_OUT_SEED = 20201204
"""Seed that draws the held-out goals, which are therefore always the same."""


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class GoalSet:
    """The evaluation and training goals of one task, with the ranges of its labels. Immutable.

    Attributes:
        task: name of the task, e.g. ``"Pong"``; may be given by position.
        evaluation: the goals that agents are evaluated on (30 in the sets of this package).
        training: the goals that agents are trained with (1000 in the sets of this package).
        bounds: label → (low, high) that random play reaches.
        provenance: how the set was made; must be JSON-serialisable.
        version: version of the set, increased when its goals change.

    Raises:
        GoalSetError: the two lists disagree with each other or with `bounds`, or are empty.
        TypeError: an argument has the wrong type, or `provenance` is not JSON-serialisable.
    """

    task: str = field(kw_only=False)
    evaluation: GoalList
    training: GoalList
    bounds: Mapping[str, tuple[float, float]]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1

    def __post_init__(self) -> None:
        as_instance(self.task, str, name="task")
        as_instance(self.evaluation, GoalList, name="evaluation")
        as_instance(self.training, GoalList, name="training")
        as_instance(self.bounds, Mapping, name="bounds")  # type: ignore[type-abstract]
        as_instance(self.provenance, Mapping, name="provenance")  # type: ignore[type-abstract]
        as_instance(self.version, int, name="version")
        if (self.kind, self.label_names) != (self.training.kind, self.training.label_names):
            raise GoalSetError("evaluation and training goals must have the same kind and labels")
        splits = {"evaluation": self.evaluation, "training": self.training}
        if self.evaluation.entry != self.training.entry:
            raise GoalSetError(
                "evaluation and training goals must have contents of the same dtype and shape, "
                f"got {self.evaluation.entry} and {self.training.entry}"
            )
        if set(self.bounds) != set(self.label_names):
            raise GoalSetError(
                f"bounds must name the labels {self.label_names}, got {tuple(self.bounds)}"
            )
        for split, goals in splits.items():
            if not len(goals):
                raise GoalSetError(f"{split} must hold at least one goal")
        bounds = {name: _pair(self.bounds[name], name) for name in self.label_names}
        object.__setattr__(self, "bounds", MappingProxyType(bounds))
        try:
            # A round trip through JSON makes the set equal before saving and after loading.
            provenance = json.loads(json.dumps(dict(self.provenance), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise TypeError(f"provenance must be JSON-serialisable: {error}") from error
        object.__setattr__(self, "provenance", MappingProxyType(provenance))

    def __reduce__(self) -> tuple[Callable[[], GoalSet], tuple[()]]:
        """Return how to make the set again: its read-only mappings cannot be pickled."""
        arguments = {each.name: getattr(self, each.name) for each in fields(self)}
        arguments |= {"bounds": dict(self.bounds), "provenance": dict(self.provenance)}
        return functools.partial(GoalSet, **arguments), ()

    @functools.cached_property
    def held_out(self) -> tuple[Goal, ...]:
        """As many distinct training goals as there are evaluation goals, and none of the latter.

        They show whether a design that was chosen on the evaluation goals holds for other goals.
        The goals and their order are drawn with a fixed seed, so they are always the same. Their
        pictures are among the goals of training, but agents never see their labels. Small worlds
        may have fewer of them.

        Raises:
            GoalSetError: every training goal is also an evaluation goal.
        """
        known = {content.tobytes() for content in self.evaluation.content}
        chosen: list[Goal] = []
        for position in np.random.default_rng(HELD_OUT_SEED).permutation(len(self.training)):
            goal = self.training[int(position)]
            content = goal.content.tobytes()
            if content in known:
                continue
            known.add(content)
            chosen.append(goal)
            if len(chosen) == len(self.evaluation):
                break
        if not chosen:
            raise GoalSetError(f"{self.task} has no training goal that is not an evaluation goal")
        return tuple(chosen)

    @property
    def kind(self) -> GoalKind:
        """How the goals are stored."""
        return self.evaluation.kind

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the labels, in the order of the columns of ``evaluation.labels``."""
        return self.evaluation.label_names

    @property
    def ranges(self) -> dict[str, float]:
        """Label → feasible range, ``high - low`` of its bounds (§4.4)."""
        return {name: high - low for name, (low, high) in self.bounds.items()}

    @functools.cached_property
    def hash(self) -> str:
        """SHA-256 of the set's whole content, in hexadecimal."""
        return goal_file.hash_of(self._header())

    def __repr__(self) -> str:
        return (
            f"GoalSet(task={self.task!r}, version={self.version}, kind={self.kind!r}, "
            f"evaluation={len(self.evaluation)}, training={len(self.training)})"
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the set to `path`; the same set gives the same bytes.

        The file is replaced atomically: a reader sees either the old file or the whole new one.

        Raises:
            GoalSetError: a part of the set is larger than :meth:`load` accepts.
            OSError: the file cannot be written.
            ValueError: `path` is not a valid path.
        """
        goal_file.write(path, self._header(), self._members())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> GoalSet:
        """Read a set and check it against its hash.

        The contents of the training goals are read and checked when they are first accessed.

        Raises:
            GoalSetError: the file is damaged, or not a goal set.
            OSError: the file cannot be read.
            ValueError: `path` is not a valid path.
        """
        return cls._from_file(GoalFile.read(path))

    @classmethod
    def _from_file(cls, file: GoalFile) -> GoalSet:
        with file.naming_the_file():
            header = file.header
            goal_set = cls(
                header["task"],
                evaluation=file.goals("evaluation"),
                training=file.goals("training"),
                bounds=header["bounds"],
                provenance=header["provenance"],
                version=header["version"],
            )
        _ = goal_set.evaluation.content  # few goals: read and checked now
        # The header has a digest of every member, so this is the hash of what was or will be read.
        goal_set.__dict__["hash"] = header["hash"]
        return goal_set

    def _members(self) -> dict[str, NDArray[Any]]:
        return goal_file.members_of(evaluation=self.evaluation, training=self.training)

    def _header(self) -> dict[str, Any]:
        """Return everything that the hash covers, with arrays represented by their digests."""
        return goal_file.describe(
            self._members(),
            task=self.task,
            version=self.version,
            kind=self.kind,
            labels=list(self.label_names),
            bounds={name: list(bounds) for name, bounds in self.bounds.items()},
            provenance=dict(self.provenance),
        )


def load_goal_set(name: str | os.PathLike[str]) -> GoalSet:
    """Return the packaged goal set of a task, or that of a file.

    Packaged sets are read once per process.

    Args:
        name: a task's name or id (``"Pong"``, ``"glamor/Pong-v0"``), or the path of an ``.npz``.

    Raises:
        ValueError: there is no such task.
        GoalSetError: the file is damaged or not a goal set, or the package has no set for the task.
        OSError: the file cannot be read.
    """
    if isinstance(name, os.PathLike) or (isinstance(name, str) and name.endswith(".npz")):
        return GoalSet.load(name)
    try:
        task = get_task(name)
    except ValueError as error:
        raise ValueError(f"{error} (the name of a file must end in .npz)") from error
    return _packaged(task.name)


@functools.cache
def _packaged(name: str) -> GoalSet:
    file = resources.files(__package__).joinpath("data", f"{name}.npz")
    if not file.is_file():
        raise GoalSetError(
            f"the package has no goals for {name}; build them with "
            f"`glamor-gym goals build {name} --out {file}`"
        )
    return GoalSet._from_file(GoalFile(str(file), file.read_bytes()))


def _pair(bounds: Any, name: str) -> tuple[float, float]:
    try:
        low, high = (as_number(bound, name=name) for bound in bounds)
    except (TypeError, ValueError):
        raise GoalSetError(f"bounds[{name!r}] must be (low, high), got {bounds!r}") from None
    if low > high:
        raise GoalSetError(f"bounds[{name!r}] must have low ≤ high, got ({low}, {high})")
    return low, high
