"""Files from elsewhere, read so that they execute nothing and take no more memory than allowed.

In: the path (or the bytes) of an ``.npz`` archive or a JSON file, and how large its contents may
be. Out: arrays and plain values, or a :class:`DamagedFileError`. What a file says about its size
is looked at, and compared with what is allowed, before any of it is decompressed.
"""

from __future__ import annotations

import contextlib
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
from typing import Any, BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from glamor_gym.checks import as_integer, as_path

MAX_DIRECTORY_BYTES = 2**20
"""Largest table of contents of an archive: some ten thousand members."""

MAX_JSON_BYTES = 64 * 2**20
"""Largest JSON file that is read where nothing else is said."""

_KINDS = "biuf"  # booleans and numbers; objects (which are pickles) and records are refused

# How many compressed bytes are taken at a time. LZMA gives all that is in them at once, up to
# some thousand times as much; the others give no more than was asked for.
_CHUNKS = {zipfile.ZIP_STORED: 2**20, zipfile.ZIP_DEFLATED: 2**20, zipfile.ZIP_LZMA: 2**13}

_DAMAGE = (
    zipfile.BadZipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    MemoryError,
    NotImplementedError,  # an unknown compression
    OverflowError,
    RuntimeError,  # an encrypted member
    ValueError,  # not an array, or a pickle
)


class DamagedFileError(ValueError):
    """A file is damaged, larger than allowed, or something else than what was expected."""


@dataclass(frozen=True)
class ArrayHeader:
    """What an archive says about one of its arrays."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Bytes that the array takes in memory."""
        return math.prod(self.shape) * self.dtype.itemsize


class NpzReader:
    """The arrays of an open archive, each read when it is asked for; see :func:`open_npz`.

    Attributes:
        names: of the arrays, in their order.
        claimed_bytes: how many bytes the archive says that its members have together; no more
            are ever read.
    """

    def __init__(self, archive: zipfile.ZipFile, file_name: str) -> None:
        self._archive = archive
        self._file_name = file_name
        members = archive.infolist()
        self.names = tuple(_array_name(member.filename) for member in members)
        self.claimed_bytes = sum(member.file_size for member in members)
        if len(set(self.names)) < len(self.names):
            raise ValueError("it has several members of one name")
        for member in members:
            if member.compress_type not in _CHUNKS:
                raise ValueError(f"{member.filename} has an unknown compression")

    def header(self, name: str) -> ArrayHeader:
        """Return shape and dtype of one array, which is not read.

        Raises:
            KeyError: there is no such array.
            DamagedFileError: it is something else than an array of numbers.
        """
        with self._member(name) as (_, _, header):
            return header

    def read(self, name: str) -> NDArray[Any]:
        """Return one array, in memory of its own.

        Raises:
            KeyError: there is no such array.
            DamagedFileError: it is no array of numbers, or its data are not what its header says.
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
        """Open a member at its data; give it with the size of a chunk and its header."""
        if name not in self.names:
            raise KeyError(name)
        with _as_damage(f"{self._file_name}: array {name!r} cannot be read"):
            info = self._archive.getinfo(f"{name}.npy")
            with self._archive.open(info.filename) as stream:
                header = _read_header(stream)
                if info.file_size != stream.tell() + header.nbytes:
                    raise ValueError(
                        f"it has {info.file_size} bytes, its header says "
                        f"{stream.tell()} + {header.nbytes}"
                    )
                yield stream, _CHUNKS[info.compress_type], header


@contextlib.contextmanager
def open_npz(file: str | os.PathLike[str] | bytes, *, max_bytes: int) -> Iterator[NpzReader]:
    """Open an ``.npz`` archive of numbers; a member that is a pickle is refused when it is read.

    Args:
        file: its path, or its content.
        max_bytes: how many bytes all of its members may have together, decompressed.

    Yields:
        The names of the arrays, and a way to read each.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read.
        DamagedFileError: it is no such archive, has members other than arrays, or is larger than
            allowed; or so is an array that was asked for.
    """
    max_bytes = as_integer(max_bytes, name="max_bytes", low=1)
    name = "the archive" if isinstance(file, bytes) else str(file)
    with contextlib.ExitStack() as opened:
        if isinstance(file, bytes):
            raw: BinaryIO = io.BytesIO(file)
        else:
            raw = opened.enter_context(_open(as_path(file, name="file")))
        guarded = _GuardedReader(raw)
        with _as_damage(f"{name} is no archive of arrays"):
            archive = opened.enter_context(zipfile.ZipFile(guarded))
            reader = NpzReader(archive, name)
        guarded.limit = None
        if reader.claimed_bytes > max_bytes:
            raise DamagedFileError(
                f"{name} claims {reader.claimed_bytes} bytes of arrays, more than {max_bytes}"
            )
        yield reader


def read_npz(file: str | os.PathLike[str] | bytes, *, max_bytes: int) -> dict[str, NDArray[Any]]:
    """Return every array of an archive; see :func:`open_npz` for the arguments.

    Raises:
        OSError: it cannot be read.
        DamagedFileError: it is no such archive, damaged, or larger than allowed.
        ValueError: `file` is no path, or `max_bytes` below 1.
    """
    with open_npz(file, max_bytes=max_bytes) as reader:
        return {name: reader.read(name) for name in reader.names}


def read_json(path: str | os.PathLike[str], *, max_bytes: int = MAX_JSON_BYTES) -> Any:
    """Return what a JSON file holds.

    Args:
        path: the file.
        max_bytes: its largest size, from 1 to :data:`MAX_JSON_BYTES`.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read.
        DamagedFileError: as for :func:`parse_json`, or it is larger than allowed.
        ValueError: `max_bytes` is out of range, or `path` no path.
    """
    max_bytes = as_integer(max_bytes, name="max_bytes", low=1, high=MAX_JSON_BYTES)
    return parse_json(read_file(path, max_bytes=max_bytes), name=str(path))


def read_file(path: str | os.PathLike[str], *, max_bytes: int) -> bytes:
    """Return what a file holds, which is no pipe and no device.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read.
        DamagedFileError: it is no regular file, or larger than allowed.
        ValueError: `path` is no path.
    """
    with _open(as_path(path, name="path")) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise DamagedFileError(f"{path} is larger than {max_bytes} bytes")
    return content


def parse_json(text: str | bytes, *, name: str) -> Any:
    """Return what a JSON text says; numbers are finite, as the standard has it.

    Args:
        text: UTF-8.
        name: what the message calls it.

    Raises:
        DamagedFileError: it is no JSON, nested too deeply, or holds NaN or an infinity.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{name} is no readable JSON: {error}") from error


class _GuardedReader(io.BufferedIOBase):
    """A binary file that refuses to hand out much at once until `limit` is lifted.

    ``zipfile`` reads an archive's table of contents in one piece, as large as the archive says,
    and makes an object of each entry.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, io.SEEK_END)
        self.limit: int | None = MAX_DIRECTORY_BYTES

    def seekable(self) -> bool:
        """Return True: archives are read from their end."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in the file and return it."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place in the file."""
        return self._file.tell()

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next `size` bytes, or all that are left.

        Raises:
            ValueError: they are more than `limit`.
        """
        left = self._size - self.tell()
        wanted = left if size is None or size < 0 else min(size, left)
        if self.limit is not None and wanted > self.limit:
            raise ValueError(f"its table of contents is larger than {self.limit} bytes")
        return self._file.read(wanted)


def _open(path: Path) -> BinaryIO:
    """Open a file; a pipe or a device, which may never end, is refused.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read.
        DamagedFileError: it is no regular file.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise DamagedFileError(f"{path} is no regular file")
    return path.open("rb")


def _array_name(member: str) -> str:
    """Return the array's name of ``NAME.npy``; archives are not unpacked, so paths are foreign."""
    name = member.removesuffix(".npy")
    if name == member or not name or set(name) & set("/\\:\0") or name.startswith("."):
        raise ValueError(f"its member {member[:80]!r} is no array")
    return name


def _read_header(stream: Any) -> ArrayHeader:
    """Read the header of an ``.npy`` stream, which stands at its data afterwards."""
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("an array is not of version 1.0")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.kind not in _KINDS or dtype.shape or fortran_order:
        raise ValueError(f"an array of dtype {dtype} is refused: only plain numbers, in C order")
    if any(length < 0 for length in shape):
        raise ValueError(f"an array has the shape {shape}")
    return ArrayHeader(shape, dtype)


@contextlib.contextmanager
def _as_damage(what: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise DamagedFileError(f"{what}: {error or type(error).__name__}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large")
    return number
