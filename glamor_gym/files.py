"""Atomic file writes, and folders that only one process writes to at a time.

A file is written under a temporary name in its folder, synced, then renamed, so that neither a
killed process nor a power failure leaves a partial file. If the caller passes a binary stream
instead of a path, as SB3 allows, there is no such guarantee.
"""

from __future__ import annotations

import errno
import io
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from glamor_gym.checks import as_path

try:
    import fcntl
except ImportError:  # on Windows, where folders are not locked
    fcntl = None  # type: ignore[assignment]

LOCK_FILE = "lock"
"""Names the process that holds the folder; stays behind, empty, when the folder is released."""


PathOrStream = str | os.PathLike[str] | io.BufferedIOBase
"""The path of a file, what :func:`open` returns in binary mode, or an ``io.BytesIO``."""


_CHUNK = 2**20
"""Bytes read from a stream at a time."""


class FolderInUseError(OSError):
    """Another process holds this folder."""


@contextmanager
def write_atomically(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a binary file that replaces `path` only once it has been written in full.

    Missing folders are created. If the body raises, `path` keeps its previous content, and the
    created folders are removed.

    Raises:
        ValueError: `path` is not a valid path.
        OSError: the file cannot be written, e.g. because the disk is full.
    """
    target = as_path(path, name="path")
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "path is a folder", str(target))
    with _folders_above(target):
        beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        with naming(target, always=True):
            file = beside.open("xb")  # with the permissions of any new file, unlike mkstemp's
        try:
            with naming(target), file:
                if target.exists():  # not so a link that leads nowhere
                    shutil.copymode(target, beside)
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, target)
        except BaseException:
            beside.unlink(missing_ok=True)  # it may have been renamed
            raise
    _sync_folder(target.parent)


@contextmanager
def _folders_above(target: Path) -> Iterator[None]:
    """Create the missing folders above a path, and remove them again if the body raises."""
    missing = [folder for folder in target.parents if not folder.exists()]  # deepest first
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in missing:
            with suppress(OSError):  # another process has put something there meanwhile
                folder.rmdir()
        raise


@contextmanager
def naming(path: str | os.PathLike[str], *, always: bool = False) -> Iterator[None]:
    """Name a file in the system's errors of writing to it, which, unlike those of opening, do not.

    Args:
        path: the file.
        always: whether to replace another name: that of a temporary file, of which the caller
            never heard.

    Raises:
        OSError: the one raised inside; ``filename`` is `path` if it was None, or `always`.
    """
    try:
        yield
    except OSError as error:
        if always or (error.errno is not None and error.filename is None):
            error.filename = os.fspath(path)
        raise


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file in UTF-8 as :func:`write_atomically` does.

    Raises:
        ValueError: `path` is not a valid path.
        OSError: the file cannot be written, e.g. because the disk is full.
    """
    with write_atomically(path) as file:
        file.write(text.encode())


def check_writable(folder: str | os.PathLike[str]) -> None:
    """Check that files can be created in a folder, before the work that produces them.

    Leaves nothing behind: a missing folder is not created.

    Raises:
        ValueError: `folder` is not a valid path.
        OSError: files cannot be created there.
    """
    target = as_path(folder, name="folder")
    nearest = next(place for place in (target, *target.absolute().parents) if place.exists())
    if not nearest.is_dir():  # or else the message would name a temporary file in it
        raise NotADirectoryError(errno.ENOTDIR, "a file is in the place of a folder", str(nearest))
    with naming(target, always=True), tempfile.TemporaryFile(dir=nearest):
        pass


@contextmanager
def writing_to(target: PathOrStream) -> Iterator[BinaryIO]:
    """Yield a binary stream unchanged, or open a path as :func:`write_atomically` does.

    Raises:
        TypeError: `target` is neither a path nor a binary stream.
        ValueError: `target` is a stream that is not writable, or not a valid path.
        OSError: the file cannot be written.
    """
    if isinstance(target, io.BufferedIOBase):
        if not target.writable():
            raise ValueError(f"path must be a writable stream, got {target!r}")
        yield cast(BinaryIO, target)
    else:
        with write_atomically(target) as file:
            yield file


def content_of(stream: io.BufferedIOBase, *, max_bytes: int) -> bytes:
    """Read a stream from its current position to its end.

    Raises:
        ValueError: the stream is not readable, or holds more than `max_bytes`.
        OSError: reading failed.
    """
    if not stream.readable():
        raise ValueError(f"path must be a readable stream, got {stream!r}")
    content = bytearray()
    # In chunks, as an open file would allocate all that it might be asked for.
    while chunk := stream.read(min(_CHUNK, max_bytes + 1 - len(content))):
        content += chunk
        if len(content) > max_bytes:
            raise ValueError(f"it is larger than {max_bytes} bytes")
    return bytes(content)


def real_path(path: str | os.PathLike[str]) -> Path:
    """Return a path without links; where links go round, mkdir and open are left to refuse it.

    (Before Python 3.13, ``Path.resolve`` raises RuntimeError for such links.)
    """
    return Path(os.path.realpath(path))


@contextmanager
def lock_folder(path: str | os.PathLike[str]) -> Iterator[None]:
    """Keep other processes from using a folder, which is created if it is missing.

    The system releases the folder when this process ends, however that happens. Blocks within one
    process do not exclude each other; the folder is held until the last of them is left. On
    Windows, nothing is locked.

    Raises:
        FolderInUseError: another process holds the folder; the message names that process.
        OSError: the folder cannot be written to.
    """
    folder = Path(path)
    place = real_path(folder)
    place.mkdir(parents=True, exist_ok=True)  # also where a link leads that leads nowhere yet
    hold = _HOLDS.get(place)
    if hold is None or not hold.stands(folder / LOCK_FILE):
        hold = _HOLDS[place] = _Hold(_locked_file(folder), os.getpid())
    hold.depth += 1
    try:
        yield
    finally:
        hold.depth -= 1
        if not hold.depth:
            if _HOLDS.get(place) is hold:
                del _HOLDS[place]
            if not hold.file.closed:  # as it may be where the process ends
                hold.file.truncate(0)
                hold.file.close()


@dataclass
class _Hold:
    """A folder that this process holds, in `depth` blocks at once.

    The system's lock belongs to the process and the file: closing *any* handle of the file
    releases it. So there is one handle per folder.
    """

    file: TextIO
    process: int
    depth: int = 0

    def stands(self, lock_file: Path) -> bool:
        """Return whether this process, not its parent, holds the lock, on the current lock file."""
        try:
            is_there = os.path.samestat(os.fstat(self.file.fileno()), lock_file.stat())
        except FileNotFoundError:
            return False
        return is_there and self.process == os.getpid()


_HOLDS: dict[Path, _Hold] = {}
"""The folders that this process holds; system locks are per process, too."""


def _locked_file(folder: Path) -> TextIO:
    """Return the folder's lock file, open and locked, with this process's name written to it.

    Raises:
        FolderInUseError: another process holds the folder.
        OSError: the file cannot be written to.
    """
    with naming(folder / LOCK_FILE), ExitStack() as closing:
        file = closing.enter_context((folder / LOCK_FILE).open("a+"))
        if fcntl is not None:
            try:
                # lockf, not flock: a flock belongs to the open file, and workers forked from a
                # process that has died would go on holding it.
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                file.seek(0)
                holder = file.read(200).strip() or "another process"
                raise FolderInUseError(f"{folder} is in use by {holder}") from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        closing.pop_all()  # keep the file open
    return file


def _sync_folder(folder: Path) -> None:
    """Sync the folder's entries to disk, if the system lets us: its files are whole without."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
