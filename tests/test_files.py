"""Files are whole or not there."""

from __future__ import annotations

import errno
import io
import os
import resource
import signal
import stat
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import pytest

from glamor_gym import files
from glamor_gym.files import (
    LOCK_FILE,
    FolderInUseError,
    check_writable,
    content_of,
    lock_folder,
    write_atomically,
    write_text,
    writing_to,
)
from tests.lock_holder import held_elsewhere


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "folder" / "file"
    with write_atomically(path) as file:
        file.write(b"old")
    with pytest.raises(TypeError), write_atomically(path) as file:
        file.writelines([b"half of the new", "then something goes wrong"])
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_no_folder_that_it_made_unless_others_use_it(tmp_path):
    def fail(folder, *, shared):
        with write_atomically(folder / "deep" / "file"):
            if shared:
                (folder / "theirs").write_text("kept")
            raise RuntimeError

    for name in ("alone", "shared"):
        with pytest.raises(RuntimeError):
            fail(tmp_path / name, shared=name == "shared")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["shared", "theirs"]


def test_a_file_that_cannot_be_begun_leaves_no_folder_either(tmp_path):
    with (
        pytest.raises(OSError, match="name too long"),
        write_atomically(tmp_path / "a" / ("x" * 250)),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_a_text_is_written_in_utf_8_with_the_ends_of_its_lines(tmp_path):
    write_text(tmp_path / "new" / "file", "π\n\r\n")
    assert (tmp_path / "new" / "file").read_bytes() == b"\xcf\x80\n\r\n"
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "new" / "file", "\ud800")
    assert (tmp_path / "new" / "file").read_bytes() == b"\xcf\x80\n\r\n"


def test_a_stream_is_written_to_as_it_is_and_a_path_beside(tmp_path):
    stream = io.BytesIO()
    for target in (stream, tmp_path / "file"):
        with writing_to(target) as file:
            file.write(b"content")
    assert stream.getvalue() == (tmp_path / "file").read_bytes() == b"content"
    with (
        (tmp_path / "file").open("rb") as read_only,
        pytest.raises(ValueError, match="writable"),
        writing_to(read_only),
    ):
        pass


def test_a_stream_is_read_no_further_than_allowed(tmp_path):
    (tmp_path / "short").write_bytes(b"12345")
    with (tmp_path / "short").open("rb") as file:
        assert content_of(file, max_bytes=2**50) == b"12345"  # which nobody can allocate
    assert content_of(io.BytesIO(b"12345"), max_bytes=5) == b"12345"
    stream = io.BytesIO(b"1234567890")
    with pytest.raises(ValueError, match="larger than 5 bytes"):
        content_of(stream, max_bytes=5)
    assert stream.tell() == 6
    with (tmp_path / "file").open("wb") as file, pytest.raises(ValueError, match="readable"):
        content_of(file, max_bytes=5)


def test_a_folder_is_locked_against_other_processes_until_the_holder_is_gone(tmp_path):
    with (
        held_elsewhere(tmp_path / "run") as holder,
        pytest.raises(FolderInUseError, match=rf"run is in use by process {holder} on "),
        lock_folder(tmp_path / "run"),
    ):
        pass
    with lock_folder(tmp_path / "run"):
        assert f"process {os.getpid()}" in (tmp_path / "run" / LOCK_FILE).read_text()
    assert (tmp_path / "run" / LOCK_FILE).read_text() == ""


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"), lock_folder(tmp_path / "file"):
        pass


@contextmanager
def _files_of_at_most(n_bytes):
    """Let files grow no further, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_full_disk_leaves_the_old_file_and_is_told_with_the_name_of_the_new(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with (
        _files_of_at_most(1000),
        pytest.raises(OSError, match=rf"File too large: '{path}'$"),
        write_atomically(path) as file,
    ):
        file.write(bytes(2000))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_to_which_a_link_leads_is_made(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with lock_folder(tmp_path / "link"):
        assert (tmp_path / "elsewhere" / LOCK_FILE).is_file()


def test_a_folder_to_which_no_link_ever_leads_is_refused(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(OSError, match=r"loop'$"), lock_folder(tmp_path / "loop"):
        pass


def test_a_full_disk_is_told_with_the_name_of_the_lock(tmp_path):
    with (
        _files_of_at_most(0),
        pytest.raises(OSError, match=rf"File too large: '{tmp_path / LOCK_FILE}'$"),
        lock_folder(tmp_path),
    ):
        pass


def test_it_is_found_out_whether_a_folder_can_be_written_to(tmp_path):
    check_writable(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(NotADirectoryError, match=r"place of a folder: '\S+/file'$"):
        check_writable(tmp_path / "file" / "b")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder without files of ours")
def test_what_cannot_be_written_is_named_and_not_a_temporary_file():
    for write in (lambda path: write_text(path, ""), check_writable):
        with pytest.raises(OSError, match=r": '/proc/self/agent'$"):
            write("/proc/self/agent")


def test_a_folder_held_twice_is_let_go_with_the_second(tmp_path):
    program = (
        "import sys; from glamor_gym.files import lock_folder\nwith lock_folder(sys.argv[1]): pass"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with lock_folder(tmp_path):
        with lock_folder(tmp_path):
            pass
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
        assert f"is in use by process {os.getpid()} on " in refused.stderr
    subprocess.run(command, check=True)


def test_a_folder_that_was_made_anew_is_locked_anew(tmp_path):
    with ExitStack() as held:
        held.enter_context(lock_folder(tmp_path / "run"))
        (tmp_path / "run" / LOCK_FILE).unlink()
        with lock_folder(tmp_path / "run"):
            assert f"process {os.getpid()}" in (tmp_path / "run" / LOCK_FILE).read_text()


def test_the_umask_is_not_touched_for_other_threads_make_files_too(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask was set"))
    write_text(tmp_path / "file", "whole")
    assert (tmp_path / "file").read_text() == "whole"


def test_what_replaces_a_private_file_is_private_from_the_beginning(tmp_path):
    private = tmp_path / "file"
    private.touch(0o600)
    with write_atomically(private):
        (beside,) = set(tmp_path.iterdir()) - {private}
        assert stat.S_IMODE(beside.stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_synced_holds_the_whole_file(tmp_path, monkeypatch):
    fsync = os.fsync

    def sync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    write_text(tmp_path / "file", "whole")
    assert (tmp_path / "file").read_text() == "whole"


def test_a_file_has_the_permissions_of_the_one_before_it_or_of_any_new_one(tmp_path):
    umask = os.umask(0o027)
    try:
        with write_atomically(tmp_path / "new") as file:
            file.write(b"1")
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
        (tmp_path / "new").chmod(0o600)
        with write_atomically(tmp_path / "new") as file:
            file.write(b"2")
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(umask)


def test_a_lock_whose_file_was_closed_first_is_let_go_of_in_silence(tmp_path):
    """As Python does it at the end of a process that an error has ended."""
    held = lock_folder(tmp_path)
    held.__enter__()
    files._HOLDS[tmp_path].file.close()
    held.__exit__(None, None, None)
    assert tmp_path not in files._HOLDS
