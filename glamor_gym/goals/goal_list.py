"""Goals of one kind, kept as arrays.

In: contents (pictures or physics states) and tables of labels. Out: a :class:`GoalList`, a sequence
of :class:`~glamor_gym.types.Goal` records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


class GoalList(Sequence[Goal]):
    """Goals of one kind, stored as arrays; a :class:`Goal` is created when it is accessed.

    Args:
        kind: kind of the contents.
        label_names: names of the L labels, in the order of the columns.
        content: (n, …), one entry per goal, with the dtype that `kind` requires; or a function
            that returns it, called when a content is first needed.
        labels: (n, L) float64, at the moment of the picture.
        lagged_labels: (n, L) float64, one environment step later.

    Raises:
        GoalSetError: shapes, dtypes or lengths do not fit; if `content` is a function, it is
            checked at the first use.
        TypeError: `content` is neither an array nor a function.
    """

    def __init__(
        self,
        kind: GoalKind,
        label_names: Sequence[str],
        content: NDArray[Any] | Callable[[], NDArray[Any]],
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
        self._content = (
            content
            if callable(content) and not isinstance(content, type)
            else self._checked(as_instance(content, np.ndarray, name="content"))
        )

    @property
    def content(self) -> NDArray[Any]:
        """All contents, (n, …), read-only."""
        if callable(self._content):
            self._content = self._checked(self._content())
        return self._content

    @property
    def entry(self) -> tuple[str, tuple[int, ...]] | None:
        """Dtype and shape of one content; None if the contents have not been loaded yet."""
        if callable(self._content):
            return None
        return self._content.dtype.str, self._content.shape[1:]

    def _checked(self, content: NDArray[Any]) -> NDArray[Any]:
        if content.dtype.str not in CONTENT_DTYPES[self.kind]:
            raise GoalSetError(
                f"content of kind {self.kind!r} must have a dtype in "
                f"{CONTENT_DTYPES[self.kind]}, got {content.dtype.str!r}"
            )
        entries = len(content) if content.ndim else "a number"
        if entries != len(self):
            raise GoalSetError(f"content must have {len(self)} entries, got {entries}")
        return _read_only(content)

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
