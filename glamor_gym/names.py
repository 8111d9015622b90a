"""Names in messages and tables: suggestions for misspelt ones, lists, order, and counts.

In: a name, and the names that exist; or a function whose arguments they are. Out: the nearest
existing names, as part of an error message.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

MOST = 3
"""Maximum number of names to suggest."""


def in_order_of(table: Iterable[str], names: Iterable[str]) -> list[str]:
    """Return names, each once: first those of a table, in its order, and then all others."""
    given = dict.fromkeys(names)
    return list(dict.fromkeys([*(name for name in table if name in given), *given]))


def nearest_names(name: str, known: Iterable[str]) -> str:
    """Return ``"did you mean A or B?"`` or, if no name is near, ``"known: A, B, C"``.

    If no names exist at all, it is ``"there are none"``.

    Args:
        name: the name that was given; case is ignored.
        known: every existing name; ``A.B`` also matches names near B alone.
    """
    by_spelling: dict[str, str] = {}
    for entry in known:
        for spelling in (entry.lower(), entry.lower().rpartition(".")[2]):
            by_spelling.setdefault(spelling, entry)
    if not by_spelling:
        return "there are none"
    near = difflib.get_close_matches(name.lower(), by_spelling, n=MOST, cutoff=0.65)
    if near:
        return f"did you mean {' or '.join(dict.fromkeys(map(by_spelling.__getitem__, near)))}?"
    return f"known: {', '.join(dict.fromkeys(by_spelling.values()))}"


def without_module(name: str) -> str:
    """Return the ``"NAME"`` of ``"MODULE:NAME"``, or a name without a module itself."""
    return name.rpartition(":")[2]


def listed(values: Mapping[str, Any], equals: str = " = ") -> str:
    """Return names and values on one line, separated by commas."""
    return ", ".join(f"{name}{equals}{value}" for name, value in values.items())


def counted(number: int, noun: str) -> str:
    """Return a number and its noun, e.g. ``"2 seeds"``; the plural is formed by an s."""
    return f"{number} {noun}{'s' if number != 1 else ''}"


def unknown_option(
    name: str, options: Iterable[str], elsewhere: Mapping[str, str] = MappingProxyType({})
) -> TypeError:
    """Return the error for a keyword argument that does not exist, with the nearest that do.

    Args:
        name: the argument that was given.
        options: every argument that may be given.
        elsewhere: options that belong elsewhere, and what to say of each instead.
    """
    hint = elsewhere.get(name) or nearest_names(name, options)
    return TypeError(f"there is no option {name!r}; {hint}")


def naming_options(
    function: Callable[P, R], *, elsewhere: Mapping[str, str] = MappingProxyType({})
) -> Callable[P, R]:
    """Decorate a function to suggest the nearest option for an unknown keyword argument.

    Args:
        function: the function.
        elsewhere: options that belong elsewhere, and what to say of each instead.

    Raises:
        TypeError: by the decorated function, when called with an unknown keyword argument.
    """
    parameters = inspect.signature(function).parameters
    options = [
        name
        for name, value in parameters.items()
        if value.kind is value.KEYWORD_ONLY or value.default is not value.empty
    ]

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name not in parameters:
                raise unknown_option(name, options, elsewhere)
        return function(*args, **kwargs)

    return checked
