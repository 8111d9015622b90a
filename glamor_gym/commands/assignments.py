"""Options of the form ``NAME=VALUE``: text in, a dictionary out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any


def parse_assignments(option: str, assignments: Iterable[str]) -> dict[str, Any]:
    """Return what was assigned; ``a.b=1`` assigns within a dictionary `a`.

    A value is JSON if it can be read as such (``200``, ``true``, ``[80, 104]``), else text.

    Args:
        option: what the message calls the option.
        assignments: each ``NAME=VALUE``.

    Raises:
        ValueError: one of them is not of that form, or assigns within something else.
    """
    parsed: dict[str, Any] = {}
    for assignment in assignments:
        if not isinstance(assignment, str):
            raise TypeError(f"assignments must be texts NAME=VALUE, got {assignment!r}")
        name, equals, text = assignment.partition("=")
        if not name or not equals:
            raise ValueError(f"{option} takes NAME=VALUE, got {assignment!r}")
        *groups, last = name.split(".")
        target = parsed
        for group in groups:
            target = target.setdefault(group, {})
            if not isinstance(target, dict):
                raise ValueError(f"{option} {assignment!r}: {group} was given a value already")
        target[last] = _value(text)
    return parsed


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
