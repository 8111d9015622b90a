"""The fixed goals of one task.

In: the goals chosen by :mod:`glamor_gym.goals.build`, or a file of the format of
:mod:`glamor_gym.goals.goal_file`. Out: a :class:`GoalSet`, the evaluation and training goals with
the ranges of their labels.
"""

from __future__ import annotations

import copy
import functools
import json
import os
from collections.abc import Mapping
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


class GoalSet:
    """The evaluation and training goals of one task, with the ranges of its labels. Immutable.

    Args:
        task: name of the task, e.g. ``"Pong"``.
        evaluation: the goals that agents are evaluated on (30 in the sets of this package).
        training: the goals that agents are trained with (1000 in the sets of this package).
        bounds: label → (low, high) that random play reaches.
        provenance: how the set was made; must be JSON-serialisable.
        version: version of the set, increased when its goals change.

    Raises:
        GoalSetError: the two lists disagree with each other or with `bounds`, or are empty.
        TypeError: an argument has the wrong type, or `provenance` is not JSON-serialisable.
    """

    def __init__(
        self,
        task: str,
        *,
        evaluation: GoalList,
        training: GoalList,
        bounds: Mapping[str, tuple[float, float]],
        provenance: Mapping[str, Any] | None = None,
        version: int = 1,
    ) -> None:
        as_instance(evaluation, GoalList, name="evaluation")
        as_instance(training, GoalList, name="training")
        if not isinstance(provenance, Mapping | None):
            raise TypeError(f"provenance must be a dict, got {type(provenance).__name__}")
        as_instance(bounds, Mapping, name="bounds")  # type: ignore[type-abstract]
        if (evaluation.kind, evaluation.label_names) != (training.kind, training.label_names):
            raise GoalSetError("evaluation and training goals must have the same kind and labels")
        entries = {goals.entry for goals in (evaluation, training) if goals.entry is not None}
        if len(entries) > 1:
            raise GoalSetError(
                "evaluation and training goals must have contents of the same dtype and shape, "
                f"got {sorted(entries)}"
            )
        if set(bounds) != set(evaluation.label_names):
            raise GoalSetError(
                f"bounds must name the labels {evaluation.label_names}, got {tuple(bounds)}"
            )
        self._bounds = {name: _pair(bounds[name], name) for name in evaluation.label_names}
        for split, goals in (("evaluation", evaluation), ("training", training)):
            if not len(goals):
                raise GoalSetError(f"{split} must hold at least one goal")
        self._task = as_instance(task, str, name="task")
        self._version = as_instance(version, int, name="version")
        self._evaluation = evaluation
        self._training = training
        try:
            # A round trip through JSON makes the set equal before saving and after loading.
            written = json.dumps(dict(provenance or {}), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise TypeError(f"provenance must be JSON-serialisable: {error}") from error
        self._provenance: dict[str, Any] = json.loads(written)

    @property
    def task(self) -> str:
        """Name of the task, e.g. ``"Pong"``."""
        return self._task

    @property
    def version(self) -> int:
        """Version of the set, increased when its goals change."""
        return self._version

    @property
    def evaluation(self) -> GoalList:
        """The goals that agents are evaluated on."""
        return self._evaluation

    @property
    def training(self) -> GoalList:
        """The goals that agents are trained with."""
        return self._training

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
        return self._evaluation.kind

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the labels, in the order of the columns of ``evaluation.labels``."""
        return self._evaluation.label_names

    @property
    def bounds(self) -> Mapping[str, tuple[float, float]]:
        """Label → (low, high) that random play reaches, as measured."""
        return MappingProxyType(self._bounds)

    @property
    def ranges(self) -> Mapping[str, float]:
        """Label → feasible range, ``high - low`` of its bounds (§4.4)."""
        return MappingProxyType({name: high - low for name, (low, high) in self._bounds.items()})

    @property
    def provenance(self) -> dict[str, Any]:
        """How the set was made (a copy)."""
        return copy.deepcopy(self._provenance)

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
                bounds={name: (low, high) for name, (low, high) in header["bounds"].items()},
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
            provenance=self._provenance,
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
    return _packaged(get_task(name).name)


@functools.cache
def _packaged(name: str) -> GoalSet:
    file = resources.files(__package__).joinpath("data", f"{name}.npz")
    if not file.is_file():
        raise GoalSetError(
            f"the package has no goals for {name}; build them with `glamor-gym goals build {name}`"
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
