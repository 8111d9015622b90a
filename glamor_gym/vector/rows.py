"""Batches of observations: what they can hold, and one environment's part of them.

In: the observations of a vector environment, a dict of arrays or an array. Out: one row, as views.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gymnasium import spaces
from numpy.typing import NDArray


def check_arrays(space: spaces.Space[Any], *, name: str) -> None:
    """Check that observations are arrays or dicts of arrays, which vectors of SB3 can hold.

    Args:
        space: the space of an environment's observations.
        name: what error messages call the environment.

    Raises:
        ValueError: they are not, but e.g. texts, tuples, or dicts in a dict.
    """
    parts = space.spaces if isinstance(space, spaces.Dict) else {"observation": space}
    for key, part in parts.items():
        if part.shape is None:
            raise ValueError(
                f"{name} must show an array or a dict of arrays, got {part} for {key!r}; "
                "gymnasium.wrappers.FilterObservation can leave an entry out"
            )


def row_of(batch: Mapping[str, NDArray[Any]] | NDArray[Any], index: int) -> Any:
    """Return one row: that of the array, or a dict with that of each array."""
    if isinstance(batch, Mapping):
        return {key: value[index] for key, value in batch.items()}
    return batch[index]
