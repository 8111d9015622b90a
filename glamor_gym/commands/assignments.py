"""Options of the form ``NAME=VALUE``. In: strings. Out: a dictionary."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

REPEATABLE = ("--change", "--env", "--set")
"""The options that take assignments, one at a time."""

PYTHON_LITERALS: Mapping[str, bool | None] = MappingProxyType(
    {"True": True, "False": False, "None": None}
)
"""What Python writes differently from JSON; as strings, all of them would count as true."""

_ASSIGNMENT = re.compile(r"[A-Za-z_][\w.-]*=")  # a name may begin with that of an agent: dqn-her


def one_per_option(words: Iterable[str]) -> list[str]:
    """Repeat an option before each of several assignments.

    ``--set a=1 b=2`` becomes ``--set a=1 --set b=2``, so that both are understood. What does not
    begin with ``NAME=`` ends the assignments, as the path in ``--env a=1 runs/Pong`` does.

    Args:
        words: the arguments of a command line.
    """
    repeated: list[str] = []
    option = None
    for word in words:
        if word.startswith("-"):
            option = word if word in REPEATABLE else None
        elif option is not None and repeated[-1] != option:
            option = option if _ASSIGNMENT.match(word) else None
            repeated += [option] if option else []
        repeated.append(word)
    return repeated


def parse_assignments(option: str, assignments: Iterable[str]) -> dict[str, Any]:
    """Parse assignments into a dictionary; ``a.b=1`` sets key ``b`` of a nested dictionary ``a``.

    A value is parsed as JSON if possible (``200``, ``true``, ``[80, 104]``), and is a string
    otherwise. ``1e5`` is an integer; Python's ``True``, ``False`` and ``None`` mean the same as
    JSON's ``true``, ``false`` and ``null``.

    Args:
        option: name of the option, for error messages.
        assignments: strings ``NAME=VALUE``.

    Raises:
        ValueError: an assignment is not of that form, a number is not finite or has thousands
            of digits, or ``a.b=1`` follows ``a=1``.
        TypeError: an assignment is not a string.
    """
    parsed: dict[str, Any] = {}
    for assignment in assignments:
        if not isinstance(assignment, str):
            raise TypeError(f"assignments must be strings NAME=VALUE, got {assignment!r}")
        name, equals, text = assignment.partition("=")
        if not name or not equals:
            raise ValueError(f"{option} takes NAME=VALUE, got {assignment!r}")
        *groups, last = name.split(".")
        target = parsed
        for group in groups:
            target = target.setdefault(group, {})
            if not isinstance(target, dict):
                raise ValueError(f"{option} {assignment!r}: {group} already has a value")
        try:
            target[last] = _value(text)
        except ValueError as error:
            raise ValueError(f"{option} {name}: {error}") from error
    return parsed


def _value(text: str) -> Any:
    if text in PYTHON_LITERALS:
        return PYTHON_LITERALS[text]
    try:
        return json.loads(text, parse_float=_number, parse_constant=_number)
    except json.JSONDecodeError:
        return text


def _number(text: str) -> int | float:
    """Return a number; an integer if it is written without a point and is a whole one.

    Raises:
        ValueError: it is NaN or infinite, which no setting may be and no JSON file can hold.
    """
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"numbers must be finite, got {text}")
    is_count = "." not in text and number.is_integer() and abs(number) < 2**53
    return int(number) if is_count else number
