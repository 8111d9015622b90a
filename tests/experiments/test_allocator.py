"""Freed memory stays with the process once it was told to keep it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from glamor_gym.experiments import allocator

LIBC = tuple(int(part) for part in platform.libc_ver()[1].split(".")[:2] if part.isdigit())

PROGRAM = """
import resource, runpy, sys

file, how = sys.argv[1:3]
SIZES = [int(size) for size in sys.argv[3:]]  # in MiB

if how == "keep":
    # The module alone: PyTorch, which the package imports, takes seconds.
    assert runpy.run_path(file)["keep_freed_memory"]()

def work():
    blocks = [b"x" * (size * 2**20) for size in SIZES]  # freed in one go

for _ in range(3):  # until the heap has found its size
    work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

SIZES = (
    (16,) * 12,
    # More than glibc keeps by itself however often it is freed; 2.36 is known to take the setting.
    pytest.param(
        (106, 53, 53),
        marks=pytest.mark.skipif(
            LIBC < (2, 36), reason="older versions keep no blocks above 32 MiB"
        ),
    ),
)


def page_faults(how: str, sizes: tuple[int, ...]) -> int:
    # Large blocks are mapped and unmapped one by one, as glibc begins: what it comes to later by
    # itself depends on where the heap ended.
    environ = {**os.environ, "GLIBC_TUNABLES": f"glibc.malloc.mmap_threshold={128 * 2**10}"}
    program = [sys.executable, "-c", PROGRAM, allocator.__file__, how, *map(str, sizes)]
    done = subprocess.run(program, check=True, capture_output=True, text=True, env=environ)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator is meant")
@pytest.mark.parametrize("sizes", SIZES)
def test_freed_memory_is_taken_again_without_page_faults(sizes: tuple[int, ...]) -> None:
    n_pages = 4 * sum(sizes) * 2**20 // 4096  # that the program takes while it counts
    assert page_faults("keep", sizes) < 0.1 * n_pages
    assert page_faults("leave", sizes) > 0.9 * n_pages
