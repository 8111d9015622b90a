"""Goals of one kind, kept as arrays.

In: contents (pictures or physics states) and tables of labels. Out: a :class:`GoalList`, a sequence
of :class:`~glamor_gym.types.Goal` records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from glamor_gym.checks import as_instance
from glamor_gym.types import Goal, GoalKind, Labels

CONTENT_DTYPES: Mapping[GoalKind, tuple[str, ...]] = {
    "screen": ("|u1",),
    "state": ("<f8",),
    "frame": ("|u1", "<f4"),
}
"""The dtypes that contents may have, by their kind."""


class GoalSetError(ValueError):
    """A goal set is inconsistent, or its file is damaged or not a goal set."""


@dataclass(frozen=True)
class LazyContent:
    """Contents that are read when they are first needed.

    Attributes:
        dtype: their dtype, as ``dtype.str``.
        shape: their shape, (n, …).
        read: returns them, with that dtype and shape.
    """

    dtype: str
    shape: tuple[int, ...]
    read: Callable[[], NDArray[Any]]


class GoalList(Sequence[Goal]):
    """Goals of one kind, stored as arrays; a :class:`Goal` is created when it is accessed.

    Args:
        kind: kind of the contents.
        label_names: names of the L labels, in the order of the columns.
        content: (n, …), one entry per goal, with the dtype that `kind` requires.
        labels: (n, L) float64, at the moment of the picture.
        lagged_labels: (n, L) float64, one environment step later.

    Attributes:
        entry: dtype and shape of one content.

    Raises:
        GoalSetError: shapes, dtypes or lengths do not fit.
        TypeError: `content` is not an array.
    """

    def __init__(
        self,
        kind: GoalKind,
        label_names: Sequence[str],
        content: NDArray[Any] | LazyContent,
        labels: NDArray[np.float64],
        lagged_labels: NDArray[np.float64],
    ) -> None:
        if kind not in CONTENT_DTYPES:
            raise GoalSetError(f"kind must be one of {tuple(CONTENT_DTYPES)}, got {kind!r}")
        self.kind = kind
        self.label_names = tuple(label_names)
        named = {name for name in self.label_names if isinstance(name, str)}
        if len(named) < len(self.label_names):
            raise GoalSetError(f"label_names must be distinct strings, got {self.label_names}")
        self.labels = _table("labels", labels)
        self.lagged_labels = _table("lagged_labels", lagged_labels)
        expected = (len(self.labels), len(self.label_names))
        for name, table in (("labels", self.labels), ("lagged_labels", self.lagged_labels)):
            if table.shape != expected:
                raise GoalSetError(f"{name} must have shape {expected}, got {table.shape}")
        if isinstance(content, LazyContent):
            dtype = content.dtype
        else:
            dtype = as_instance(content, np.ndarray, name="content").dtype.str
            content = _read_only(content)
        if dtype not in CONTENT_DTYPES[kind]:
            raise GoalSetError(
                f"content of kind {kind!r} must have a dtype in {CONTENT_DTYPES[kind]}, "
                f"got {dtype!r}"
            )
        entries = content.shape[0] if content.shape else "a number"
        if entries != len(self):
            raise GoalSetError(f"content must have {len(self)} entries, got {entries}")
        self.entry = dtype, content.shape[1:]
        self._content = content

    @property
    def content(self) -> NDArray[Any]:
        """All contents, (n, …), read-only."""
        if isinstance(self._content, LazyContent):
            self._content = _read_only(self._content.read())
        return self._content

    def __len__(self) -> int:
        return len(self.labels)

    @overload
    def __getitem__(self, index: int) -> Goal: ...

    @overload
    def __getitem__(self, index: slice) -> list[Goal]: ...

    def __getitem__(self, index: int | slice) -> Goal | list[Goal]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        position = range(len(self))[index]
        return Goal(
            content=self.content[position],
            kind=self.kind,
            labels=self._named(self.labels[position]),
            lagged_labels=self._named(self.lagged_labels[position]),
            index=position,
        )

    def _named(self, row: NDArray[np.float64]) -> Labels:
        return dict(zip(self.label_names, row.tolist(), strict=True))


def _table(name: str, labels: Any) -> NDArray[np.float64]:
    try:
        return _read_only(np.asarray(labels, np.float64))
    except (TypeError, ValueError) as error:
        raise GoalSetError(f"{name} must be an array of numbers, got {labels!r}") from error


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only array: a copy if `array` is writable."""
    own = array.copy() if array.flags.writeable else np.ascontiguousarray(array)
    own.setflags(write=False)
    return own
