"""Reads untrusted files without executing anything or using more memory than allowed.

In: the path (or the bytes) of an ``.npz`` archive or a JSON file, and the maximum size of its
contents. Out: arrays and plain values, or a :class:`DamagedFileError`. The size that an archive
claims is checked against the maximum before anything is decompressed. Or in: a dataclass made of
such values; out: an error if one of them has another type than annotated.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import lzma
import math
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, get_type_hints

import numpy as np
from numpy.typing import NDArray

from glamor_gym.checks import as_integer, as_path

MAX_DIRECTORY_BYTES = 2**20
"""Maximum size of an archive's table of contents: about ten thousand members."""

MAX_JSON_BYTES = 64 * 2**20
"""Maximum and default size of a JSON file."""

_KINDS = "biuf"  # booleans and numbers; objects (which are pickled) and records are refused

# Number of bytes to read at a time. LZMA returns all that a chunk of compressed bytes decompresses
# to, which can be a thousand times as much; the others return no more than was asked for.
_CHUNKS = {zipfile.ZIP_STORED: 2**20, zipfile.ZIP_DEFLATED: 2**20, zipfile.ZIP_LZMA: 2**13}

_DAMAGE = (
    zipfile.BadZipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    MemoryError,
    NotImplementedError,  # an unknown compression method
    OverflowError,
    RuntimeError,  # an encrypted member
    ValueError,  # not an array, or a pickle
)

_type_hints = functools.cache(get_type_hints)  # half of the time of a check


class DamagedFileError(ValueError):
    """A file is damaged, larger than allowed, or not of the expected kind."""


@dataclass(frozen=True)
class ArrayHeader:
    """The shape and dtype that an archive states for one of its arrays."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Size of the array in memory, in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


class NpzReader:
    """The arrays of an open archive, each read on request; see :func:`open_npz`.

    Attributes:
        names: names of the arrays, in the order of the archive.
        claimed_bytes: total size of the members as stated by the archive; no more is ever read.
    """

    def __init__(self, archive: zipfile.ZipFile, file_name: str) -> None:
        self._archive = archive
        self._file_name = file_name
        members = archive.infolist()
        self.names = tuple(_array_name(member.filename) for member in members)
        self.claimed_bytes = sum(member.file_size for member in members)
        if len(set(self.names)) < len(self.names):
            raise ValueError("it has several members with the same name")
        for member in members:
            if member.compress_type not in _CHUNKS:
                raise ValueError(f"{member.filename} has an unknown compression method")

    def header(self, name: str) -> ArrayHeader:
        """Return the shape and dtype of one array without reading it.

        Raises:
            KeyError: there is no such array.
            DamagedFileError: the member is not an array of numbers.
        """
        with self._member(name) as (_, _, header):
            return header

    def read(self, name: str) -> NDArray[Any]:
        """Return one array, as a fresh array.

        Raises:
            KeyError: there is no such array.
            DamagedFileError: the member is not an array of numbers, or its data do not match its
                header.
        """
        with self._member(name) as (stream, chunk_bytes, header):
            array = np.empty(header.shape, header.dtype)
            target = array.reshape(-1).view(np.uint8)
            position = 0
            while chunk := stream.read(chunk_bytes):
                target[position : position + len(chunk)] = np.frombuffer(chunk, np.uint8)
                position += len(chunk)
            if position != header.nbytes:
                raise EOFError(f"it ends after {position} of {header.nbytes} bytes")
        return array

    @contextlib.contextmanager
    def _member(self, name: str) -> Iterator[tuple[Any, int, ArrayHeader]]:
        """Open a member at the start of its data; yield it with its chunk size and header."""
        if name not in self.names:
            raise KeyError(name)
        with _as_damage(f"{self._file_name}: array {name!r} cannot be read"):
            info = self._archive.getinfo(f"{name}.npy")
            with self._archive.open(info.filename) as stream:
                header = _read_header(stream)
                if info.file_size != stream.tell() + header.nbytes:
                    raise ValueError(
                        f"it has {info.file_size} bytes, but its header says "
                        f"{stream.tell()} + {header.nbytes}"
                    )
                yield stream, _CHUNKS[info.compress_type], header


@contextlib.contextmanager
def open_npz(file: str | os.PathLike[str] | bytes, *, max_bytes: int) -> Iterator[NpzReader]:
    """Open an ``.npz`` archive of numbers; a pickled member is refused when it is read.

    Args:
        file: path or content of the archive.
        max_bytes: maximum total size of its members after decompression, in bytes.

    Yields:
        A reader with the names of the arrays and a way to read each of them.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: the file cannot be read.
        DamagedFileError: the file is not such an archive, has members other than arrays, or is
            larger than allowed; or an array that is read is damaged.
    """
    max_bytes = as_integer(max_bytes, name="max_bytes", low=1)
    name = "the archive" if isinstance(file, bytes) else str(file)
    with contextlib.ExitStack() as opened:
        if isinstance(file, bytes):
            raw: BinaryIO = io.BytesIO(file)
        else:
            raw = opened.enter_context(_open(as_path(file, name="file")))
        guarded = _GuardedReader(raw)
        with _as_damage(f"{name} is not an archive of arrays"):
            archive = opened.enter_context(zipfile.ZipFile(guarded))
            reader = NpzReader(archive, name)
        guarded.limit = None
        if reader.claimed_bytes > max_bytes:
            raise DamagedFileError(
                f"{name} claims {reader.claimed_bytes} bytes of arrays, "
                f"more than the maximum of {max_bytes}"
            )
        yield reader


def read_npz(file: str | os.PathLike[str] | bytes, *, max_bytes: int) -> dict[str, NDArray[Any]]:
    """Return every array of an archive; see :func:`open_npz` for the arguments.

    Raises:
        OSError: the file cannot be read.
        DamagedFileError: the file is not such an archive, damaged, or larger than allowed.
        ValueError: `file` is not a valid path, or `max_bytes` is below 1.
    """
    with open_npz(file, max_bytes=max_bytes) as reader:
        return {name: reader.read(name) for name in reader.names}


def read_json(path: str | os.PathLike[str], *, max_bytes: int = MAX_JSON_BYTES) -> Any:
    """Return the content of a JSON file.

    Args:
        path: the file.
        max_bytes: its maximum size, from 1 to :data:`MAX_JSON_BYTES`.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: the file cannot be read.
        DamagedFileError: the file is larger than allowed, or refused by :func:`parse_json`.
        ValueError: `max_bytes` is out of range, or `path` is not a valid path.
    """
    max_bytes = as_integer(max_bytes, name="max_bytes", low=1, high=MAX_JSON_BYTES)
    return parse_json(read_file(path, max_bytes=max_bytes), name=str(path))


def read_file(path: str | os.PathLike[str], *, max_bytes: int) -> bytes:
    """Return the content of a regular file (not a pipe or a device).

    Raises:
        FileNotFoundError: there is no such file.
        OSError: the file cannot be read.
        DamagedFileError: the file is not a regular file, or larger than allowed.
        ValueError: `path` is not a valid path.
    """
    with _open(as_path(path, name="path")) as file:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise DamagedFileError(f"{path} is larger than {max_bytes} bytes")
        return file.read(size)


def parse_json(text: str | bytes, *, name: str) -> Any:
    """Return the value of a JSON text; all numbers must be finite, as the standard requires.

    Args:
        text: a string, or UTF-8.
        name: name of the text in error messages.

    Raises:
        DamagedFileError: `text` is not valid JSON, nested too deeply, or contains NaN or an
            infinity.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{name} holds no readable JSON: {error}") from error


def check_fields(record: Any) -> None:
    """Check the fields of a dataclass against their annotations, and all that collections hold.

    An int may stand for a float, but a field that is a bool must be annotated so.

    Raises:
        ValueError: a field has another type; the message names it.
    """
    import typeguard  # 0.3 s

    for name, kind in _type_hints(record.__class__).items():
        value = getattr(record, name)
        try:
            if isinstance(value, bool) and kind is not bool:
                raise typeguard.TypeCheckError("it is a bool")
            every = typeguard.CollectionCheckStrategy.ALL_ITEMS
            typeguard.check_type(value, kind, collection_check_strategy=every)
        except typeguard.TypeCheckError as error:
            raise ValueError(f"{name} is of another type: {error}") from error


class _GuardedReader(io.BufferedIOBase):
    """A binary file that refuses to return more than `limit` bytes at once; None lifts the limit.

    Needed because ``zipfile`` reads an archive's table of contents in one piece, of whatever size
    the archive states, and makes an object for each entry.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, io.SEEK_END)
        self.limit: int | None = MAX_DIRECTORY_BYTES

    def seekable(self) -> bool:
        """Return True: archives are read from their end."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position in the file and return it."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position in the file."""
        return self._file.tell()

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next `size` bytes, or all that are left if `size` is negative or None.

        Raises:
            ValueError: these are more than `limit` bytes.
        """
        left = self._size - self.tell()
        wanted = left if size is None or size < 0 else min(size, left)
        if self.limit is not None and wanted > self.limit:
            raise ValueError(f"its table of contents is larger than {self.limit} bytes")
        return self._file.read(wanted)


def _open(path: Path) -> BinaryIO:
    """Open a regular file; a pipe or a device, which may never end, is refused.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: the file cannot be read.
        DamagedFileError: the file is not a regular file.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise DamagedFileError(f"{path} is not a regular file")
    return path.open("rb")


def _array_name(member: str) -> str:
    """Return the array name of a member ``NAME.npy``; paths and hidden files are refused."""
    name = member.removesuffix(".npy")
    if name == member or not name or set(name) & set("/\\:\0") or name.startswith("."):
        raise ValueError(f"its member {member[:80]!r} is not an array")
    return name


def _read_header(stream: Any) -> ArrayHeader:
    """Read the header of an ``.npy`` stream and leave the stream at the start of the data."""
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("an array is not in version 1.0 of the .npy format")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.kind not in _KINDS or dtype.shape or fortran_order:
        raise ValueError(
            f"an array of dtype {dtype} is refused: only plain numbers in C order are allowed"
        )
    if any(length < 0 for length in shape):
        raise ValueError(f"an array has the invalid shape {shape}")
    return ArrayHeader(shape, dtype)


@contextlib.contextmanager
def _as_damage(what: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise DamagedFileError(f"{what}: {error or type(error).__name__}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large")
    return number
