"""Stretches of a ring as compressed bytes: what a checkpoint writes once and never again.

In: arrays with one row a slot, and a range of slots. Out: bytes; and back into the arrays.

The compression is Zstandard's at a fast level. It finds each picture's likeness in the pictures
before it by itself: differences of pictures, taken beforehand, come out larger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

LEVEL = 3
"""Of the compression: higher ones take several times as long for a few per cent."""


def pack(arrays: Mapping[str, NDArray[Any]], slots: range) -> bytes:
    """Return the rows `slots` of all arrays, compressed.

    Args:
        arrays: name → (capacity, …), contiguous, of any numeric dtype.
        slots: consecutive rows.
    """
    compressor = zstandard.ZstdCompressor(LEVEL).compressobj(size=packed_size(arrays, slots))
    pieces = [compressor.compress(rows.data) for rows in _rows_of(arrays, slots)]
    return b"".join((*pieces, compressor.flush()))


def unpack(data: bytes, arrays: Mapping[str, NDArray[Any]], slots: range) -> None:
    """Write what :func:`pack` packed into the rows `slots` of arrays of the same kind.

    Takes no memory beyond the rows, whatever the data claim.

    Raises:
        ValueError: the data are damaged, or of arrays of another kind; some rows may have been
            written by then.
    """
    try:
        with zstandard.ZstdDecompressor().stream_reader(data) as stream:
            for rows in _rows_of(arrays, slots):
                if stream.readinto(rows) != len(rows):
                    raise ValueError("it ends too early")
            if stream.read(1):
                raise ValueError("it goes on too long")
    except (zstandard.ZstdError, ValueError) as error:
        raise ValueError(f"data is no segment of {slots}: {error}") from error


def packed_size(arrays: Mapping[str, NDArray[Any]], slots: range) -> int:
    """Return how many bytes the rows `slots` of all arrays take uncompressed."""
    return sum(len(rows) for rows in _rows_of(arrays, slots))


def _rows_of(arrays: Mapping[str, NDArray[Any]], slots: range) -> Iterator[NDArray[np.uint8]]:
    """Yield the rows `slots` of each array, in the order of their names, as flat views of bytes."""
    for _, array in sorted(arrays.items()):
        yield array[slots.start : slots.stop].reshape(-1).view(np.uint8)
