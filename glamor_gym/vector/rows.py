"""One environment's part of a batch of observations.

In: what a vector environment shows, a dict of arrays or an array. Out: one row of it, in views.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray


def row_of(batch: Mapping[str, NDArray[Any]] | NDArray[Any], index: int) -> Any:
    """Return one row: a dict of the rows of all arrays, or that of the array."""
    if isinstance(batch, Mapping):
        return {key: value[index] for key, value in batch.items()}
    return batch[index]
