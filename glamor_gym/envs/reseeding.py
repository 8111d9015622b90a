"""Another seed for an Atari console without loading its ROM again, which takes 80 ms.

In: the saved states of a console right after its ROM was loaded, with their seeds. Out: the state
that loading it with any other seed would come to.

A seed only settles the generator of the sticky actions (``std::mt19937``), which a saved state
holds as text: 624 words and how many of them were used. So one state becomes another by replacing
that text, and the two lengths that count its bytes. Whether this build of ale-py writes its states
so is found out, not believed: the second load has to come to the state that was worked out for it.
"""

from __future__ import annotations

from struct import Struct

import numpy as np

_LENGTH = Struct("<I")
_WHOLE = 24
"""Where in a saved state the length of all that the console and its generators wrote stands."""


class Reseeding:
    """Works out the state of a freshly loaded console for a seed, once it has seen two."""

    def __init__(self) -> None:
        self._seen: tuple[int, bytes] | None = None
        self._is_sure: bool | None = None

    def observe(self, seed: int, state: bytes) -> None:
        """Take note of the state that loading the ROM with a seed came to."""
        if self._seen is None:
            self._seen = seed, state
        elif self._is_sure is None and seed != self._seen[0]:
            self._is_sure = _reseeded(self._seen[1], self._seen[0], seed) == state

    def state(self, seed: int) -> bytes | None:
        """Return the state that loading the ROM with a seed would come to; None if not known."""
        if self._seen is None or not self._is_sure:
            return None
        return _reseeded(self._seen[1], self._seen[0], seed)


def _reseeded(state: bytes, old: int, new: int) -> bytes | None:
    """Return `state` with the generator of another seed; None if it is not written as expected."""
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
    """Return a freshly seeded ``std::mt19937`` as C++ writes it into a stream."""
    # Only NumPy's legacy generator is seeded in the same way.
    words = np.random.RandomState(seed).get_state(legacy=False)["state"]["key"]
    return " ".join(map(str, [*words.tolist(), len(words)])).encode()
