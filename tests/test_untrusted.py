"""Files from elsewhere: what is whole is read, and nothing in a file runs or fills the memory."""

from __future__ import annotations

import io
import os
import pickle
import struct
import subprocess
import sys
import textwrap
import tracemalloc
import zipfile
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from glamor_gym.untrusted import (
    DamagedFileError,
    check_fields,
    open_npz,
    parse_json,
    read_file,
    read_json,
    read_npz,
)

MIB = 2**20


class Canary:
    """Touches a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


def npy(array, **header):
    """Return an array as an ``.npy`` stream, with entries of its header replaced."""
    stream = io.BytesIO()
    described = {
        "descr": np.lib.format.dtype_to_descr(array.dtype),
        "fortran_order": False,
        "shape": array.shape,
    }
    np.lib.format.write_array_header_1_0(stream, described | header)
    return stream.getvalue() + array.tobytes()


def archive(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


DTYPES = st.sampled_from([np.uint8, np.int64, np.float32, np.float64, np.bool_])


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.text("abc_0", min_size=1, max_size=4),
        npst.arrays(DTYPES, npst.array_shapes(min_dims=0, max_dims=3, min_side=0)),
    ),
    st.sampled_from([np.savez, np.savez_compressed]),
)
def test_what_numpy_wrote_is_read(arrays, save):
    stream = io.BytesIO()
    save(stream, **arrays)
    found = read_npz(stream.getvalue(), max_bytes=MIB)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_LZMA])
def test_arrays_larger_than_a_chunk_are_read_from_a_path(tmp_path, compression):
    array = np.random.default_rng(0).integers(0, 256, (3, MIB), np.uint8)
    path = archive(tmp_path / "a.npz", {"x.npy": npy(array)}, compression)
    np.testing.assert_array_equal(read_npz(path, max_bytes=4 * MIB)["x"], array)


def test_headers_are_known_before_anything_is_read(tmp_path):
    path = archive(tmp_path / "a.npz", {"x.npy": npy(np.zeros((64, MIB), np.bool_))})
    tracemalloc.start()
    with open_npz(path, max_bytes=2**30) as reader:
        assert reader.header("x").shape == (64, MIB)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * MIB


def test_a_pickle_is_not_executed(tmp_path):
    canary = tmp_path / "executed"
    objects = np.array([Canary(canary)], dtype=object)
    np.savez(tmp_path / "objects.npz", x=objects)
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps(Canary(canary)))
    archive(tmp_path / "member.npz", {"x.npy": pickle.dumps(Canary(canary))})
    for name in ("objects", "pickle", "member"):
        with pytest.raises(DamagedFileError):
            read_npz(tmp_path / f"{name}.npz", max_bytes=MIB)
    assert not canary.exists()
    np.load(tmp_path / "objects.npz", allow_pickle=True)["x"]
    assert canary.exists()  # the canary sings where somebody lets it


@pytest.mark.parametrize(
    ("member", "content"),
    [
        ("../x.npy", npy(np.zeros(2))),
        ("/etc/x.npy", npy(np.zeros(2))),
        ("a\\x.npy", npy(np.zeros(2))),
        ("x.txt", npy(np.zeros(2))),
        (".npy", npy(np.zeros(2))),
        ("x.npy", b""),
        ("x.npy", b"\x93NUMPY\x09\x00" + b"\0" * 64),
        ("x.npy", npy(np.zeros(2))[:-1]),
        ("x.npy", npy(np.zeros(2)) + b"\0"),
        ("x.npy", npy(np.zeros(2), shape=(10**13,))),
        ("x.npy", npy(np.zeros(2), shape=(-2,))),
        ("x.npy", npy(np.zeros(2), shape=(-1, -2))),
        ("x.npy", npy(np.zeros(2), fortran_order=True)),
        ("x.npy", npy(np.zeros(2), descr="|O")),
        ("x.npy", npy(np.zeros(2), descr="<U2")),
        ("x.npy", npy(np.zeros(2), descr=[("a", "<f8")])),
        ("x.npy", npy(np.zeros(2), descr="__import__('os')")),
        ("x.npy", struct.pack("<6sBBH", b"\x93NUMPY", 1, 0, 60000) + b"(" * 60000),
    ],
)
def test_what_is_no_array_is_refused(tmp_path, member, content):
    path = archive(tmp_path / "a.npz", {member: content})
    with pytest.raises(DamagedFileError, match=r"a\.npz"):
        read_npz(path, max_bytes=2**50)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.npz"]


def test_two_members_of_one_name_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a", "w") as file:
        file.writestr("x.npy", npy(np.zeros(1)))
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("x.npy", npy(np.ones(1)))
    with pytest.raises(DamagedFileError, match="the same name"):
        read_npz(tmp_path / "a", max_bytes=MIB)


def test_data_that_end_early_are_refused(tmp_path):
    # The archive says 800 bytes and has 8, with a checksum that fits the 8.
    path = archive(tmp_path / "a.npz", {"x.npy": npy(np.zeros(1), shape=(100,))})
    data = bytearray(path.read_bytes())
    size = struct.pack("<I", 128 + 8)
    assert data.count(size) == 2
    path.write_bytes(bytes(data).replace(size, struct.pack("<I", 128 + 800)))
    with pytest.raises(DamagedFileError, match="ends after"):
        read_npz(path, max_bytes=MIB)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_flipped_bytes_give_the_error_or_the_array(data):
    stream = io.BytesIO()
    np.savez_compressed(stream, x=np.arange(50), y=np.zeros((2, 3), np.uint8))
    content = bytearray(stream.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        arrays = read_npz(bytes(content), max_bytes=MIB)
    except DamagedFileError:
        return
    assert sum(array.nbytes for array in arrays.values()) <= MIB


@pytest.mark.parametrize(
    ("compression", "size", "most"),
    # LZMA gives all that is in a few thousand bytes at once.
    [(zipfile.ZIP_DEFLATED, 64, 8), (zipfile.ZIP_LZMA, 160, 80)],
)
def test_a_bomb_is_refused_before_memory_is_taken(tmp_path, compression, size, most):
    bomb = {"x.npy": npy(np.zeros((size, MIB), np.uint8))}
    path = archive(tmp_path / "bomb.npz", bomb, compression)
    tracemalloc.start()
    with pytest.raises(DamagedFileError, match="more than"):
        read_npz(path, max_bytes=MIB)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < most * MIB


def test_many_members_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "many.npz", "w") as file:
        for index in range(30_000):
            file.writestr(f"{index}.npy", b"")
    with pytest.raises(DamagedFileError, match="table of contents"):
        read_npz(tmp_path / "many.npz", max_bytes=MIB)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_rather_than_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for read in (read_json, lambda path: read_npz(path, max_bytes=1)):
        with pytest.raises(DamagedFileError, match="not a regular file"):
            read(tmp_path / "pipe")


def test_json_is_read(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": [1, 2.5, null, "é"]}', encoding="utf-8")
    assert read_json(path) == {"a": [1, 2.5, None, "é"]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "NaN",
        "[-Infinity]",
        "1e999",
        "[" * 100_000,
        '{"a":' * 100_000,
        "9" * 10_000,
        b"\xff",
    ],
)
def test_json_that_is_none_is_refused(text):
    with pytest.raises(DamagedFileError, match="a file holds no readable JSON"):
        parse_json(text, name="a file")


def test_json_that_is_too_long_is_refused(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(" " * 100)
    with pytest.raises(DamagedFileError, match="larger than 99 bytes"):
        read_json(path, max_bytes=99)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "hole"
    with path.open("wb") as file:
        file.truncate(2 * MIB)
    tracemalloc.start()
    with pytest.raises(DamagedFileError, match="larger than 1048576 bytes"):
        read_file(path, max_bytes=MIB)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MIB / 2


def test_memory_stays_bounded_in_a_process_that_has_little(tmp_path):
    """A claimed terabyte, and a table of contents of 100 MB, in 400 MB of address space more."""
    claims = archive(tmp_path / "claims.npz", {"x.npy": npy(np.zeros(1), shape=(10**12,))})
    directory = tmp_path / "directory.npz"
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0)
    entries = (entry + b"xxxx.npy") * 2_000_000
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, len(entries), 0, 0)
    directory.write_bytes(entries + end)
    code = f"""
        import resource
        from glamor_gym.untrusted import DamagedFileError, read_npz
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 400 * 2**20,) * 2)
        for path in ({str(claims)!r}, {str(directory)!r}):
            try:
                read_npz(path, max_bytes=2**62)
            except DamagedFileError as error:
                print("refused")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split() == ["refused", "refused"], done.stderr


@dataclass(frozen=True)
class Record:
    rate: float = 0.5
    count: int = 1
    done: bool = False
    name: str | None = None
    state: Literal["on", "off"] = "on"
    words: list[str] = field(default_factory=lambda: ["a"])
    rates: dict[int, float] = field(default_factory=lambda: {1: 0.5})
    interval: tuple[float, float] = (0.0, 1)
    extra: dict[str, Any] = field(default_factory=dict)


@pytest.mark.parametrize(
    "changes", [{}, {"rate": 1}, {"done": True}, {"name": "x"}, {"extra": {"a": [None, True]}}]
)
def test_fields_that_are_as_annotated_are_accepted(changes):
    check_fields(replace(Record(), **changes))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate", "x"),
        ("rate", True),
        ("rate", None),
        ("count", 1.0),
        ("count", True),
        ("done", 1),
        ("name", 3),
        ("state", "away"),
        ("state", []),
        ("words", "a"),
        ("words", ["a"] * 9 + [1]),
        ("rates", {"1": 0.5}),
        ("rates", {1: 0.5, 2: None}),
        ("interval", (0.5,)),
        ("interval", (0.5, "x")),
        ("extra", [1]),
    ],
)
def test_a_field_of_another_type_is_named(name, value):
    with pytest.raises(ValueError, match=f"^{name} is of another type: "):
        check_fields(replace(Record(), **{name: value}))
