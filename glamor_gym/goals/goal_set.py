"""The fixed goals of one task, and their file format.

In: the goals chosen by :mod:`glamor_gym.goals.build`, or an ``.npz`` file. Out: a
:class:`GoalSet` of :class:`~glamor_gym.types.Goal` records.

A file is an ordinary ``.npz`` (``numpy.load`` reads it) without pickles. Its member ``header`` is
JSON and contains the names, dtypes, shapes and SHA-256 digests of all members that the hash
covers. Screens are stored as differences from a background picture, and the archive is compressed
with LZMA, so that a thousand full-size Atari screens take a few hundred kilobytes. Before a member
is decompressed, its size is checked against that stated in the (small) header; the training
pictures are decompressed only when the first of them is accessed.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import os
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Any, cast, overload

import numpy as np
from numpy.typing import NDArray

from glamor_gym.checks import as_instance, as_number
from glamor_gym.files import write_atomically
from glamor_gym.tasks import get_task
from glamor_gym.types import Goal, GoalKind, Labels
from glamor_gym.untrusted import DamagedFileError, open_npz, parse_json, read_file

FORMAT = 1
"""Version of the file format; files with another version are refused."""

HELD_OUT_SEED = 20201204
"""Seed that draws the held-out goals, which are therefore always the same."""

_SPLITS = ("evaluation", "training")
_PARTS = ("content", "labels", "lagged_labels")
_MAX_FILE_BYTES = 256 * 2**20
_MAX_HEADER_BYTES = 2**20
_MAX_MEMBER_BYTES = 2**30
_MAX_ARCHIVE_BYTES = 2**31
_CONTENT_DTYPES: Mapping[GoalKind, tuple[str, ...]] = {
    "screen": ("|u1",),
    "state": ("<f8",),
    "frame": ("|u1", "<f4"),
}
_DAMAGE = (
    AttributeError,  # a list where a mapping is expected
    KeyError,  # a member is missing
    TypeError,  # JSON with another structure
    ValueError,  # not an archive of arrays, or not JSON
)


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
        if kind not in _CONTENT_DTYPES:
            raise GoalSetError(f"kind must be one of {tuple(_CONTENT_DTYPES)}, got {kind!r}")
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
        if content.dtype.str not in _CONTENT_DTYPES[self.kind]:
            raise GoalSetError(
                f"content of kind {self.kind!r} must have a dtype in "
                f"{_CONTENT_DTYPES[self.kind]}, got {content.dtype.str!r}"
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


class GoalSet:
    """The evaluation and training goals of one task, with the ranges of its labels. Immutable.

    Args:
        task: name of the task, e.g. ``"Pong"``.
        evaluation: the goals that agents are evaluated on (30 in the sets of this package).
        training: the goals that agents are trained with (1000 in the sets of this package).
        bounds: label → (low, high) that random play reaches.
        provenance: how the set was made; must be JSON-serialisable.
        version: version of the set, increased when its goals change.

    Raises:
        GoalSetError: the two lists disagree with each other or with `bounds`, or are empty.
        TypeError: an argument has the wrong type, or `provenance` is not JSON-serialisable.
    """

    def __init__(
        self,
        task: str,
        *,
        evaluation: GoalList,
        training: GoalList,
        bounds: Mapping[str, tuple[float, float]],
        provenance: Mapping[str, Any] | None = None,
        version: int = 1,
    ) -> None:
        as_instance(evaluation, GoalList, name="evaluation")
        as_instance(training, GoalList, name="training")
        if not isinstance(provenance, Mapping | None):
            raise TypeError(f"provenance must be a dict, got {type(provenance).__name__}")
        as_instance(bounds, Mapping, name="bounds")  # type: ignore[type-abstract]
        if (evaluation.kind, evaluation.label_names) != (training.kind, training.label_names):
            raise GoalSetError("evaluation and training goals must have the same kind and labels")
        entries = {goals.entry for goals in (evaluation, training) if goals.entry is not None}
        if len(entries) > 1:
            raise GoalSetError(
                "evaluation and training goals must have contents of the same dtype and shape, "
                f"got {sorted(entries)}"
            )
        if set(bounds) != set(evaluation.label_names):
            raise GoalSetError(
                f"bounds must name the labels {evaluation.label_names}, got {tuple(bounds)}"
            )
        self._bounds = {name: _pair(bounds[name], name) for name in evaluation.label_names}
        for split, goals in (("evaluation", evaluation), ("training", training)):
            if not len(goals):
                raise GoalSetError(f"{split} must hold at least one goal")
        self._task = as_instance(task, str, name="task")
        self._version = as_instance(version, int, name="version")
        self._evaluation = evaluation
        self._training = training
        try:
            # A round trip through JSON makes the set equal before saving and after loading.
            written = json.dumps(dict(provenance or {}), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise TypeError(f"provenance must be JSON-serialisable: {error}") from error
        self._provenance: dict[str, Any] = json.loads(written)

    @property
    def task(self) -> str:
        """Name of the task, e.g. ``"Pong"``."""
        return self._task

    @property
    def version(self) -> int:
        """Version of the set, increased when its goals change."""
        return self._version

    @property
    def evaluation(self) -> GoalList:
        """The goals that agents are evaluated on."""
        return self._evaluation

    @property
    def training(self) -> GoalList:
        """The goals that agents are trained with."""
        return self._training

    @functools.cached_property
    def held_out(self) -> tuple[Goal, ...]:
        """As many distinct training goals as there are evaluation goals, and none of the latter.

        They show whether a design that was chosen on the evaluation goals holds for other goals.
        The goals and their order are drawn with a fixed seed, so they are always the same. Their
        pictures are among the goals of training, but agents never see their labels. Small worlds
        may have fewer of them.

        Raises:
            GoalSetError: every training goal is also an evaluation goal.
        """
        known = {content.tobytes() for content in self.evaluation.content}
        chosen: list[Goal] = []
        for position in np.random.default_rng(HELD_OUT_SEED).permutation(len(self.training)):
            goal = self.training[int(position)]
            content = goal.content.tobytes()
            if content in known:
                continue
            known.add(content)
            chosen.append(goal)
            if len(chosen) == len(self.evaluation):
                break
        if not chosen:
            raise GoalSetError(f"{self.task} has no training goal that is not an evaluation goal")
        return tuple(chosen)

    @property
    def kind(self) -> GoalKind:
        """How the goals are stored."""
        return self._evaluation.kind

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the labels, in the order of the columns of ``evaluation.labels``."""
        return self._evaluation.label_names

    @property
    def bounds(self) -> Mapping[str, tuple[float, float]]:
        """Label → (low, high) that random play reaches, as measured."""
        return MappingProxyType(self._bounds)

    @property
    def ranges(self) -> Mapping[str, float]:
        """Label → feasible range, ``high - low`` of its bounds (§4.4)."""
        return MappingProxyType({name: high - low for name, (low, high) in self._bounds.items()})

    @property
    def provenance(self) -> dict[str, Any]:
        """How the set was made (a copy)."""
        return cast(dict[str, Any], json.loads(json.dumps(self._provenance)))

    @functools.cached_property
    def hash(self) -> str:
        """SHA-256 of the set's whole content, in hexadecimal."""
        return _header_hash(self._header())

    def __repr__(self) -> str:
        return (
            f"GoalSet(task={self.task!r}, version={self.version}, kind={self.kind!r}, "
            f"evaluation={len(self.evaluation)}, training={len(self.training)})"
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the set to `path`; the same set gives the same bytes.

        The file is replaced atomically: a reader sees either the old file or the whole new one.

        Raises:
            GoalSetError: a part of the set is larger than :meth:`load` accepts.
            OSError: the file cannot be written.
            ValueError: `path` is not a valid path.
        """
        header = self._header()
        header["hash"] = _header_hash(header)
        members = self._members()
        if packed := _packed(self.kind):
            members["background"] = _background(members["training_content"])
            members |= {name: members[name] - members["background"] for name in packed}
        members["header"] = np.frombuffer(_canonical_json(header), np.uint8)
        for name, array in members.items():
            _check_size(name, array.nbytes)
        with write_atomically(path) as stream:
            _write_npz(stream, members)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> GoalSet:
        """Read a set and check it against its hash.

        The contents of the training goals are read and checked when they are first accessed.

        Raises:
            GoalSetError: the file is damaged, or not a goal set.
            OSError: the file cannot be read.
            ValueError: `path` is not a valid path.
        """
        try:
            data = read_file(path, max_bytes=_MAX_FILE_BYTES)
        except DamagedFileError as error:
            raise GoalSetError(f"{path}: not a readable goal set: {error}") from error
        return cls._from_archive(_Archive(str(path), data))

    @classmethod
    def _from_archive(cls, archive: _Archive) -> GoalSet:
        with archive.naming_the_file():
            header = archive.header
            archive.check_counts()
            goals = {
                split: GoalList(
                    header["kind"],
                    header["labels"],
                    content=functools.partial(archive.content, split),
                    labels=archive.member(f"{split}_labels"),
                    lagged_labels=archive.member(f"{split}_lagged_labels"),
                )
                for split in _SPLITS
            }
            goal_set = cls(
                header["task"],
                evaluation=goals["evaluation"],
                training=goals["training"],
                bounds={name: (low, high) for name, (low, high) in header["bounds"].items()},
                provenance=header["provenance"],
                version=header["version"],
            )
        _ = goal_set.evaluation.content  # few goals: read and checked now
        # The header has a digest of every member, so this is the hash of what was or will be read.
        goal_set.__dict__["hash"] = header["hash"]
        return goal_set

    def _members(self) -> dict[str, NDArray[Any]]:
        return {
            f"{split}_{part}": getattr(getattr(self, split), part)
            for split in _SPLITS
            for part in _PARTS
        }

    def _header(self) -> dict[str, Any]:
        """Return everything that the hash covers, with arrays represented by their digests."""
        return {
            "format": FORMAT,
            "task": self.task,
            "version": self.version,
            "kind": self.kind,
            "labels": list(self.label_names),
            "bounds": {name: list(bounds) for name, bounds in self.bounds.items()},
            "provenance": self._provenance,
            "members": {
                name: {
                    "dtype": array.dtype.str,
                    "shape": list(array.shape),
                    "sha256": hashlib.sha256(array.data).hexdigest(),
                }
                for name, array in self._members().items()
            },
        }


def load_goal_set(name: str | os.PathLike[str]) -> GoalSet:
    """Return the packaged goal set of a task, or that of a file.

    Packaged sets are read once per process.

    Args:
        name: a task's name or id (``"Pong"``, ``"glamor/Pong-v0"``), or the path of an ``.npz``.

    Raises:
        ValueError: there is no such task.
        GoalSetError: the file is damaged or not a goal set, or the package has no set for the task.
        OSError: the file cannot be read.
    """
    if isinstance(name, os.PathLike) or (isinstance(name, str) and name.endswith(".npz")):
        return GoalSet.load(name)
    return _packaged(get_task(name).name)


@functools.cache
def _packaged(name: str) -> GoalSet:
    file = resources.files(__package__).joinpath("data", f"{name}.npz")
    if not file.is_file():
        raise GoalSetError(
            f"the package has no goals for {name}; build them with `glamor-gym goals build {name}`"
        )
    return GoalSet._from_archive(_Archive(str(file), file.read_bytes()))


@dataclass(frozen=True)
class _Archive:
    """The compressed bytes of a file; returns its members one at a time, checked.

    Attributes:
        path: path of the file, for error messages.
        data: content of the file.
    """

    path: str
    data: bytes

    @contextlib.contextmanager
    def naming_the_file(self) -> Iterator[None]:
        """Turn any error caused by a damaged file into one that names the file."""
        try:
            yield
        except _DAMAGE as error:
            raise GoalSetError(f"{self.path}: not a readable goal set: {error}") from error

    @functools.cached_property
    def header(self) -> dict[str, Any]:
        """The file's header, checked against its own hash."""
        stored = self._read("header", "|u1", None)
        header: dict[str, Any] = parse_json(stored.tobytes(), name="its header")
        if header["format"] != FORMAT:
            raise GoalSetError(f"its format is {header['format']}, this version reads {FORMAT}")
        if header["hash"] != _header_hash(header):
            raise GoalSetError("its header does not have the hash that the header states")
        if header["kind"] not in _CONTENT_DTYPES:
            raise GoalSetError(f"unknown kind of goals {header['kind']!r}")
        return header

    def check_counts(self) -> None:
        """Check the shapes and dtypes that the header states.

        Each split must have as many contents as labels, and the contents of both must be of the
        same dtype and shape.

        Raises:
            GoalSetError: they do not match.
        """
        for split in _SPLITS:
            shapes = [self.header["members"][f"{split}_{part}"]["shape"] for part in _PARTS]
            if not all(shape and shape[0] == shapes[0][0] for shape in shapes):
                raise GoalSetError(
                    f"{split} goals have contents and labels of mismatched shapes {shapes}"
                )
        contents = [self.header["members"][f"{split}_content"] for split in _SPLITS]
        kinds = [(described["dtype"], described["shape"][1:]) for described in contents]
        if kinds[0] != kinds[1]:
            raise GoalSetError(
                "evaluation and training goals have contents that differ in dtype or shape: "
                f"{kinds}"
            )

    def content(self, split: str) -> NDArray[Any]:
        """Return the contents of the goals of one split, (n, …)."""
        with self.naming_the_file():
            return self.member(f"{split}_content", _CONTENT_DTYPES[self.header["kind"]])

    def member(self, name: str, dtypes: Collection[str] = ("<f8",)) -> NDArray[Any]:
        """Return one array, unpacked and checked; its dtype must be one of `dtypes`."""
        described = self.header["members"][name]
        if described["dtype"] not in dtypes:
            raise GoalSetError(f"{name} has dtype {described['dtype']}, not one of {dtypes}")
        shape = tuple(described["shape"])
        array = self._read(name, described["dtype"], shape)
        if name in _packed(self.header["kind"]):
            array = array + self._read("background", "|u1", shape[1:])
        if hashlib.sha256(array.data).hexdigest() != described["sha256"]:
            raise GoalSetError(f"{name} does not have the hash that the header states")
        array.setflags(write=False)
        return array

    def _read(self, name: str, dtype: str, shape: tuple[int, ...] | None) -> NDArray[Any]:
        """Decompress one array after checking that its size, dtype and shape are as expected."""
        with open_npz(self.data, max_bytes=_MAX_ARCHIVE_BYTES) as archive:
            stored = archive.header(name)
            _check_size(name, stored.nbytes)
            if stored.dtype.str != dtype:
                raise GoalSetError(
                    f"{name} has dtype {stored.dtype.str}, but the header says {dtype}"
                )
            if shape is not None and stored.shape != shape:
                raise GoalSetError(f"{name} has shape {stored.shape}, but the header says {shape}")
            return archive.read(name)


def _check_size(name: str, n_bytes: int) -> None:
    limit = _MAX_HEADER_BYTES if name == "header" else _MAX_MEMBER_BYTES
    if n_bytes > limit:
        raise GoalSetError(f"{name} has {n_bytes} bytes, more than the maximum of {limit}")


def _packed(kind: GoalKind) -> tuple[str, ...]:
    """Return the members that are stored as differences (modulo 256) from the background."""
    return tuple(f"{split}_content" for split in _SPLITS) if kind == "screen" else ()


def _pair(bounds: Any, name: str) -> tuple[float, float]:
    try:
        low, high = (as_number(bound, name=name) for bound in bounds)
    except (TypeError, ValueError):
        raise GoalSetError(f"bounds[{name!r}] must be (low, high), got {bounds!r}") from None
    if low > high:
        raise GoalSetError(f"bounds[{name!r}] must have low ≤ high, got ({low}, {high})")
    return low, high


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


def _canonical_json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _header_hash(header: Mapping[str, Any]) -> str:
    covered = {key: value for key, value in header.items() if key != "hash"}
    return hashlib.sha256(_canonical_json(covered)).hexdigest()


def _background(screens: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the median of each pixel, from which the pictures differ least."""
    middle = len(screens) // 2
    background: NDArray[np.uint8] = np.partition(screens, middle, axis=0)[middle]
    return background


def _write_npz(stream: io.BufferedWriter | Any, members: Mapping[str, NDArray[Any]]) -> None:
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in sorted(members.items()):
            # A fixed date, so that equal sets give equal files.
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_LZMA
            info.external_attr = 0o644 << 16
            with archive.open(info, "w") as member:
                np.lib.format.write_array(
                    member, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False
                )
