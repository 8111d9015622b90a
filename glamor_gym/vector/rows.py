"""One environment's part of a batch of observations.

In: the observations of a vector environment, a dict of arrays or an array. Out: one row, as views.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray


def row_of(batch: Mapping[str, NDArray[Any]] | NDArray[Any], index: int) -> Any:
    """Return one row: that of the array, or a dict with that of each array."""
    if isinstance(batch, Mapping):
        return {key: value[index] for key, value in batch.items()}
    return batch[index]
