"""The file format of goal sets.

In: the description of a set and its arrays. Out: an ``.npz`` file; and back, everything checked.

A file is an ordinary ``.npz`` (``numpy.load`` reads it) without pickles. Its member ``header`` is
JSON and contains the names, dtypes, shapes and SHA-256 digests of all members that the hash
covers. Screens are stored as differences from a background picture, and the archive is compressed
with LZMA, so that a thousand full-size Atari screens take a few hundred kilobytes. Before a member
is decompressed, its size is checked against that stated in the (small) header.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glamor_gym.files import write_atomically
from glamor_gym.goals.goal_list import GoalList, GoalSetError, LazyContent
from glamor_gym.types import GoalKind
from glamor_gym.untrusted import DamagedFileError, open_npz, parse_json, read_file

FORMAT = 1
"""Version of the file format; files with another version are refused."""

_SPLITS = ("evaluation", "training")
_PARTS = ("content", "labels", "lagged_labels")  # the attributes of a list that are stored
_MAX_FILE_BYTES = 256 * 2**20
_MAX_HEADER_BYTES = 2**20
_MAX_MEMBER_BYTES = 2**30
_MAX_ARCHIVE_BYTES = 2**31
_DAMAGE = (
    AttributeError,  # a list where a mapping is expected
    KeyError,  # a member is missing
    TypeError,  # JSON with another structure
    ValueError,  # not an archive of arrays, or not JSON
)


def describe(members: Mapping[str, NDArray[Any]], **description: Any) -> dict[str, Any]:
    """Return the header of a set: its description, with a digest of each array."""
    return {
        "format": FORMAT,
        **description,
        "members": {
            name: {
                "dtype": array.dtype.str,
                "shape": list(array.shape),
                "sha256": hashlib.sha256(array.data).hexdigest(),
            }
            for name, array in members.items()
        },
    }


def hash_of(header: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a header without its own hash, in hexadecimal."""
    covered = {key: value for key, value in header.items() if key != "hash"}
    return hashlib.sha256(_canonical_json(covered)).hexdigest()


def members_of(**splits: GoalList) -> dict[str, NDArray[Any]]:
    """Return the arrays of each split, by the names that they have in a file."""
    return {
        f"{split}_{part}": getattr(goals, part)
        for split, goals in splits.items()
        for part in _PARTS
    }


def write(
    path: str | os.PathLike[str], header: dict[str, Any], members: dict[str, NDArray[Any]]
) -> None:
    """Write a set; the same set gives the same bytes.

    The file is replaced atomically: a reader sees either the old file or the whole new one.

    Args:
        path: the file.
        header: what :func:`describe` returned.
        members: the arrays that it describes.

    Raises:
        GoalSetError: an array is larger than :class:`GoalFile` accepts.
        OSError: the file cannot be written.
        ValueError: `path` is not a valid path.
    """
    stored = dict(members)
    if packed := _packed(header["kind"]):
        stored["background"] = _background(members["training_content"])
        stored |= {name: members[name] - stored["background"] for name in packed}
    complete = header | {"hash": hash_of(header)}
    stored["header"] = np.frombuffer(_canonical_json(complete), np.uint8)
    for name, array in stored.items():
        _check_size(name, array.nbytes)
    with write_atomically(path) as stream, zipfile.ZipFile(stream, "w") as archive:
        for name, array in sorted(stored.items()):
            # A fixed date, so that equal sets give equal files.
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_LZMA
            info.external_attr = 0o644 << 16
            with archive.open(info, "w") as member:
                np.lib.format.write_array(
                    member, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False
                )


@dataclass(frozen=True)
class GoalFile:
    """The compressed bytes of a file; returns its header and goals, checked.

    Attributes:
        path: path of the file, for error messages.
        data: content of the file.
    """

    path: str
    data: bytes

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> GoalFile:
        """Read a file, still compressed.

        Raises:
            GoalSetError: it is not a regular file, or too large.
            OSError: the file cannot be read.
            ValueError: `path` is not a valid path.
        """
        try:
            return cls(str(path), read_file(path, max_bytes=_MAX_FILE_BYTES))
        except DamagedFileError as error:
            raise GoalSetError(f"{path}: not a readable goal set: {error}") from error

    @contextlib.contextmanager
    def naming_the_file(self) -> Iterator[None]:
        """Turn any error caused by a damaged file into one that names the file."""
        try:
            yield
        except _DAMAGE as error:
            raise GoalSetError(f"{self.path}: not a readable goal set: {error}") from error

    @functools.cached_property
    def header(self) -> dict[str, Any]:
        """The description of the set and of each array, checked against its own hash."""
        stored = self._read("header", "|u1", None)
        header: dict[str, Any] = parse_json(stored.tobytes(), name="its header")
        if header["format"] != FORMAT:
            raise GoalSetError(f"its format is {header['format']}, this version reads {FORMAT}")
        if header["hash"] != hash_of(header):
            raise GoalSetError("its header does not have the hash that the header states")
        return header

    def goals(self, split: str) -> GoalList:
        """Return the goals of one split; their contents are read when they are first accessed."""
        content = self.header["members"][f"{split}_content"]
        return GoalList(
            self.header["kind"],
            self.header["labels"],
            content=LazyContent(
                content["dtype"],
                tuple(content["shape"]),
                functools.partial(self._content, split),
            ),
            labels=self._member(f"{split}_labels"),
            lagged_labels=self._member(f"{split}_lagged_labels"),
        )

    def _content(self, split: str) -> NDArray[Any]:
        with self.naming_the_file():
            return self._member(f"{split}_content")

    def _member(self, name: str) -> NDArray[Any]:
        """Return one array, unpacked and compared with what the header says about it."""
        described = self.header["members"][name]
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


def _background(screens: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the median of each pixel, from which the pictures differ least."""
    middle = len(screens) // 2
    background: NDArray[np.uint8] = np.partition(screens, middle, axis=0)[middle]
    return background


def _canonical_json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
