"""Variants of an ablation's base: one change each, checked before anything is trained.

In: a change, as arguments of :class:`~glamor_gym.GlamorAgent` and settings of its planner. Out: a
:class:`Variant`, with a name for tables and one for folders.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from glamor_gym.agents.planning import planner_of
from glamor_gym.agents.settings import GlamorSettings
from glamor_gym.experiments.algorithms import get_algorithm
from glamor_gym.planners import PlannerSettings

ALGORITHM = "glamor"
"""The algorithm that is varied."""

BASE = "base"
"""Name of the variant that changes nothing."""

LONGEST_NAME = 80
"""Largest number of characters of a variant's name that is used in folder names."""


@dataclass(frozen=True)
class Variant:
    """The base with one thing changed.

    Attributes:
        settings: arguments of :class:`~glamor_gym.GlamorAgent` that differ from the base's;
            ``policy_kwargs`` is a nested mapping.
        planner: planner settings that are changed at evaluation only: fields of
            :class:`~glamor_gym.planners.PlannerSettings`.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    planner: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, change: Mapping[str, Any]) -> Variant:
        """Return the variant with a given change.

        Args:
            change: arguments of the agent; under the key ``planner``, settings of its planner.

        Raises:
            ValueError: a setting does not exist, or its value is out of range or of the wrong type.
        """
        get_algorithm(ALGORITHM).check_names("setting", flat(change), _changeable())
        settings = dict(change)
        planner = settings.pop("planner", {})
        GlamorSettings(
            **{name: value for name, value in settings.items() if name in GlamorSettings.names()}
        )
        PlannerSettings(**planner)
        return cls(settings, planner)

    @property
    def name(self) -> str:
        """The changed settings as text, e.g. ``"gamma=0.9"``."""
        change = {**self.settings, **({"planner": self.planner} if self.planner else {})}
        words = [f"{name}={_in_words(value)}" for name, value in flat(change).items()]
        return ", ".join(words) or BASE

    @property
    def trained(self) -> Variant:
        """The variant whose agents this one evaluates: itself, unless it changes the planner."""
        return Variant(self.settings)


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return settings by dotted names, as on the command line: ``policy_kwargs.token_size``."""
    named: dict[str, Any] = {}
    for name, value in settings.items():
        within = isinstance(value, Mapping)
        named |= flat(value, f"{prefix}{name}.") if within else {prefix + name: value}
    return named


def folder_name(variant: str) -> str:
    """Return a variant's name in a form that is valid and unique in file names."""
    plain = re.sub(r"[^\w.=+-]+", "_", variant)[:LONGEST_NAME]
    if plain == variant:
        return plain
    return f"{plain}-{hashlib.sha256(variant.encode()).hexdigest()[:6]}"


def changes_nothing(variant: Variant, arguments: Mapping[str, Any]) -> bool:
    """Return whether the variant leaves training and planning with these arguments unchanged."""
    if merged(arguments, variant.settings) != arguments:
        return False
    own = {name: value for name, value in arguments.items() if name in GlamorSettings.names()}
    planner = planner_of(GlamorSettings(**own))
    return dataclasses.replace(planner, **variant.planner) == planner


def merged(arguments: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with changes applied; ``policy_kwargs`` are merged entry by entry."""
    policy_kwargs = {**arguments["policy_kwargs"], **changes.get("policy_kwargs", {})}
    return {**arguments, **changes, "policy_kwargs": policy_kwargs}


def _changeable() -> list[str]:
    """Return the dotted names of all settings that a variant can change."""
    algorithm = get_algorithm(ALGORITHM)
    return [
        *(name for name in algorithm.argument_names() if name != "policy_kwargs"),
        *(f"policy_kwargs.{name}" for name in algorithm.policy_argument_names()),
        *(f"planner.{setting.name}" for setting in dataclasses.fields(PlannerSettings)),
    ]


def _in_words(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
