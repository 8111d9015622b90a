"""Keep freed memory in the process, for faster updates.

In: nothing. Out: a C library that no longer returns freed memory to the operating system.

Every update frees about a hundred megabytes and allocates them again; with the residual encoder, a
gigabyte. glibc returns part of them to the kernel each time, which has to zero the same pages
again: 2000 to 3000 page faults per update, 2 to 10 % of its time (`preset("compact-control")`, one
and two threads). Peak memory stays the same, since every update needs that much. Replays above
256 MB are mapped separately and not affected.
"""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LARGEST_KEPT = (
    256
    * 2**20,  # activations of the residual encoder take up to 213 MB, of 200 pictures in float32
    32 * 2**20,  # the maximum that older versions of glibc accept for M_MMAP_THRESHOLD
)
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Make this process keep the memory that it frees; for processes that train until they end.

    Returns:
        Whether the C library supports it; glibc does.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library, such as musl
        return False
    keeps = any(mallopt(_M_MMAP_THRESHOLD, size) == 1 for size in _LARGEST_KEPT)
    return keeps and mallopt(_M_TRIM_THRESHOLD, _NEVER) == 1
