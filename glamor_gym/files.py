"""Files that are either whole or not there, and folders that one process at a time writes to.

A file is written beside its place, synced, then renamed, so that neither the end of the process
nor that of the machine leaves half of it. Where a caller may give a binary stream instead of a
path, as with SB3, what is in it is its owner's affair.
"""

from __future__ import annotations

import errno
import io
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from glamor_gym.checks import as_path

try:
    import fcntl
except ImportError:  # Windows: folders are not locked there
    fcntl = None  # type: ignore[assignment]

LOCK_FILE = "lock"
"""Its content tells who holds a folder; it stays behind, empty, when the folder is let go."""


PathOrStream = str | os.PathLike[str] | io.BufferedIOBase
"""A file by its path, or what :func:`open` returns in binary mode, or an ``io.BytesIO``."""


class FolderInUseError(OSError):
    """Another process writes to this folder."""


@contextmanager
def write_atomically(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a binary file that takes the place of `path` only once it was written in full.

    Missing folders are made. If the body raises, `path` keeps what it held before, and folders
    that were made go again.

    Raises:
        ValueError: `path` is no path.
        OSError: it cannot be written: the disk is full, the folder cannot be written to.
    """
    target = as_path(path, name="path")
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "path is a folder", str(target))
    missing = [folder for folder in target.parents if not folder.exists()]  # the deepest first
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, beside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield cast(BinaryIO, file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, _mode_of(target))  # mkstemp makes files that only their owner can read
        os.replace(beside, target)
    except BaseException:
        with suppress(FileNotFoundError):  # it was renamed already
            os.unlink(beside)
        for folder in missing:
            with suppress(OSError):  # others have put something there by now
                folder.rmdir()
        raise
    _sync_folder(target.parent)


def check_writable(folder: str | os.PathLike[str]) -> None:
    """Find out whether files can be put into a folder, before the work that makes them.

    Nothing is left there: a folder that is missing still is.

    Raises:
        ValueError: `folder` is no path.
        OSError: they cannot be.
    """
    target = as_path(folder, name="folder")
    nearest = next(place for place in (target, *target.absolute().parents) if place.exists())
    with tempfile.TemporaryFile(dir=nearest):
        pass


@contextmanager
def writing_to(target: PathOrStream) -> Iterator[BinaryIO]:
    """Give a binary stream as it is, or open a path as :func:`write_atomically` does.

    Raises:
        TypeError: `target` is neither.
        ValueError: it is a stream that cannot be written to, or a path that no file can have.
        OSError: it cannot be written.
    """
    if isinstance(target, io.BufferedIOBase):
        if not target.writable():
            raise ValueError(f"path must be writable, got {target!r}")
        yield cast(BinaryIO, target)
    else:
        with write_atomically(target) as file:
            yield file


def content_of(stream: io.BufferedIOBase, *, max_bytes: int) -> bytes:
    """Read a stream from where it stands to its end.

    Raises:
        ValueError: it cannot be read, or holds more than `max_bytes`.
        OSError: reading failed.
    """
    if not stream.readable():
        raise ValueError(f"path must be readable, got {stream!r}")
    content = stream.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f"it is larger than {max_bytes} bytes")
    return content


@contextmanager
def lock_folder(path: str | os.PathLike[str]) -> Iterator[None]:
    """Keep other processes from using a folder, which is made if it is missing.

    The system lets go of it when this process ends, however that happens. Within one process
    nothing is kept out, and the folder is held until the last of the blocks is left.

    Raises:
        FolderInUseError: another process holds it; the message names that process.
        OSError: the folder cannot be written to.
    """
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    place = folder.resolve()
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
            hold.file.truncate(0)
            hold.file.close()


@dataclass
class _Hold:
    """A folder that this process holds, by `depth` blocks at once.

    The system's lock is one of the process and the file: it is gone once *any* handle of that file
    is closed. So there is one handle a folder.
    """

    file: TextIO
    process: int
    depth: int = 0

    def stands(self, lock_file: Path) -> bool:
        """Return whether it is this process's own, no fork's, and of the file that is there."""
        try:
            is_there = os.path.samestat(os.fstat(self.file.fileno()), lock_file.stat())
        except FileNotFoundError:
            return False
        return is_there and self.process == os.getpid()


_HOLDS: dict[Path, _Hold] = {}
"""What this process holds, as the system's locks are: a process's own."""


def _locked_file(folder: Path) -> TextIO:
    """Return the folder's lock file, open, locked and telling by whom.

    Raises:
        FolderInUseError: another process holds it.
        OSError: it cannot be written to.
    """
    with ExitStack() as closing:
        file = closing.enter_context((folder / LOCK_FILE).open("a+"))
        if fcntl is not None:
            try:
                # A lock of the process, not of the open file: workers that were forked from a
                # dead process would go on holding that one.
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                file.seek(0)
                holder = file.read(200).strip() or "another process"
                raise FolderInUseError(f"{folder} is in use by {holder}") from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        closing.pop_all()  # it stays open
    return file


def _mode_of(target: Path) -> int:
    """Return the permissions of a file that is written anew: its own, or those of a new one."""
    if target.exists():
        return stat.S_IMODE(target.stat().st_mode)
    umask = os.umask(0)  # there is no way to look at it but to set it
    os.umask(umask)
    return 0o666 & ~umask


def _sync_folder(folder: Path) -> None:
    """Have the system remember the folder's new names too, where it can be asked to."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
