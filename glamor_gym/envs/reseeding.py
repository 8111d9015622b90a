"""Reseeds an Atari console without loading its ROM again, which takes 80 ms.

In: the saved states of a console right after its ROM was loaded, with their seeds. Out: the state
that loading the ROM with any other seed would give.

A seed affects only the generator of the sticky actions (``std::mt19937``), which a saved state
holds as text: 624 words, and how many of them have been used. Replacing that text, and the two
lengths that count its bytes, turns the state for one seed into that for another. It is not taken
for granted that this build of ale-py writes its states in this form: the state computed for the
second seed must equal the one that loading the ROM gives.
"""

from __future__ import annotations

from struct import Struct

import numpy as np

_LENGTH = Struct("<I")
_WHOLE = 24
"""Offset in a saved state of the length of all that the console and its generators wrote."""


class Reseeding:
    """Computes the state of a freshly loaded console for any seed, once it has observed two."""

    def __init__(self) -> None:
        self._seen: tuple[int, bytes] | None = None
        self._is_sure: bool | None = None

    def observe(self, seed: int, state: bytes) -> None:
        """Record the state that loading the ROM with a seed gave."""
        if self._seen is None:
            self._seen = seed, state
        elif self._is_sure is None and seed != self._seen[0]:
            self._is_sure = _reseeded(self._seen[1], self._seen[0], seed) == state

    def state(self, seed: int) -> bytes | None:
        """Return the state that loading the ROM with a seed would give; None if not known."""
        if self._seen is None or not self._is_sure:
            return None
        return _reseeded(self._seen[1], self._seen[0], seed)


def _reseeded(state: bytes, old: int, new: int) -> bytes | None:
    """Return `state` with the generator of another seed; None if not in the expected form."""
    before, after = _generator(old), _generator(new)
    head, found, tail = state.partition(_LENGTH.pack(len(before)) + before)
    if not found or len(head) < _WHOLE + _LENGTH.size:
        return None
    (whole,) = _LENGTH.unpack_from(head, _WHOLE)
    if not 0 <= whole + len(after) - len(before) < 2**32:
        return None
    resized = bytearray(head)
    _LENGTH.pack_into(resized, _WHOLE, whole + len(after) - len(before))
    return bytes(resized) + _LENGTH.pack(len(after)) + after + tail


def _generator(seed: int) -> bytes:
    """Return a freshly seeded ``std::mt19937`` as C++ writes it to a stream."""
    # Only NumPy's legacy generator is seeded in the same way.
    words = np.random.RandomState(seed).get_state(legacy=False)["state"]["key"]
    return " ".join(map(str, [*words.tolist(), len(words)])).encode()
