"""Chunks of a ring as compressed bytes, which a checkpoint writes once and never again.

In: arrays with one row per slot, and the range of slots that makes up a chunk. Out: bytes; and
back into the arrays.

The compression is Zstandard's at a fast level. It finds the similarity of each picture to earlier
ones by itself: taking differences of pictures beforehand makes chunks larger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

LEVEL = 3
"""Level of the compression; higher ones take several times as long and save a few per cent."""


def compress(arrays: Mapping[str, NDArray[Any]], slots: range) -> bytes:
    """Return the rows `slots` of all arrays, compressed.

    Args:
        arrays: name → (capacity, …), contiguous, of any numeric dtype.
        slots: consecutive rows.
    """
    compressor = zstandard.ZstdCompressor(LEVEL).compressobj(size=size_of(arrays, slots))
    pieces = [compressor.compress(rows.data) for rows in _rows_of(arrays, slots)]
    return b"".join((*pieces, compressor.flush()))


def decompress(data: bytes, arrays: Mapping[str, NDArray[Any]], slots: range) -> None:
    """Write a chunk from :func:`compress` into the rows `slots` of `arrays`.

    Uses no memory beyond the rows, whatever size the data claim.

    Args:
        data: the chunk.
        arrays: arrays with the same names, dtypes and shapes of a row as those compressed.
        slots: consecutive rows, as many as were compressed.

    Raises:
        ValueError: `data` is damaged, or not of the size of these rows; some of them may have been
            overwritten by then.
    """
    try:
        with zstandard.ZstdDecompressor().stream_reader(data) as stream:
            for rows in _rows_of(arrays, slots):
                if stream.readinto(rows) != len(rows):
                    raise ValueError("it is too short")
            if stream.read(1):
                raise ValueError("it is too long")
    except (zstandard.ZstdError, ValueError) as error:
        raise ValueError(
            f"data is not a chunk of slots {slots.start} to {slots.stop - 1}: {error}"
        ) from error


def size_of(arrays: Mapping[str, NDArray[Any]], slots: range) -> int:
    """Return the number of bytes of the rows `slots` of all arrays, uncompressed."""
    return sum(len(rows) for rows in _rows_of(arrays, slots))


def _rows_of(arrays: Mapping[str, NDArray[Any]], slots: range) -> Iterator[NDArray[np.uint8]]:
    """Yield the rows `slots` of each array, in the order of their names, as flat views of bytes."""
    for _, array in sorted(arrays.items()):
        yield array[slots.start : slots.stop].reshape(-1).view(np.uint8)
