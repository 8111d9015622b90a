"""Memory that training gives back a hundred times a second, kept at hand.

In: nothing. Out: a C library that no longer returns what is freed to the system.

Every update frees some hundred megabytes and takes them again. glibc hands part of that back to the
kernel each time, which has to clear the same pages anew: 2000 to 3000 page faults an update, 2 to
10 % of its time (`preset("compact-control")`, one and two threads). What a process holds at its
peak stays what it was, for that is what every update needs; the replay's memory is mapped by itself
and has no part in this.
"""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LARGEST_KEPT = 32 * 2**20  # the most that glibc takes for M_MMAP_THRESHOLD
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let this process keep what it frees; for processes that train until they end.

    Returns:
        Whether the C library can be told so: glibc can.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library, such as musl
        return False
    settings = ((_M_MMAP_THRESHOLD, _LARGEST_KEPT), (_M_TRIM_THRESHOLD, _NEVER))
    return all(mallopt(name, value) == 1 for name, value in settings)
