"""What to tell somebody who typed a name that there is not.

In: the name, and the names that there are; or a function whose arguments they are. Out: the
nearest ones, in words.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

MOST = 3
"""How many near names are told."""


def nearest_names(name: str, known: Iterable[str]) -> str:
    """Return ``"did you mean A or B?"``; where nothing is near, ``"known: A, B, C"``.

    Args:
        name: what was typed; upper and lower case count as the same.
        known: every name that there is, at least one; of ``A.B``, B alone is near as well.
    """
    by_spelling: dict[str, str] = {}
    for entry in known:
        for spelling in (entry.lower(), entry.lower().rpartition(".")[2]):
            by_spelling.setdefault(spelling, entry)
    near = difflib.get_close_matches(name.lower(), by_spelling, n=MOST, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(dict.fromkeys(map(by_spelling.__getitem__, near)))}?"
    return f"known: {', '.join(dict.fromkeys(by_spelling.values()))}"


def naming_options(function: Callable[P, R]) -> Callable[P, R]:
    """Have a function that gets an option that it does not take tell the nearest that it takes.

    Raises:
        TypeError: from each call with such a keyword argument; a ``TypeError`` as from Python.
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
                raise TypeError(f"there is no option {name!r}; {nearest_names(name, options)}")
        return function(*args, **kwargs)

    return checked
