"""What to tell somebody who typed a name that there is not.

In: the name, and the names that there are. Out: the nearest ones, in words.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST = 3
"""How many near names are told."""


def nearest_names(name: str, known: Iterable[str]) -> str:
    """Return ``"did you mean A or B?"``; where nothing is near, ``"known: A, B, C"``.

    Args:
        name: what was typed; upper and lower case count as the same.
        known: every name that there is, at least one.
    """
    by_lower_case = {entry.lower(): entry for entry in known}
    near = difflib.get_close_matches(name.lower(), by_lower_case, n=MOST, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(by_lower_case[match] for match in near)}?"
    return f"known: {', '.join(by_lower_case.values())}"
