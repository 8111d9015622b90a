"""Freed memory stays with the process once it was told to keep it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from glamor_gym.experiments.allocator import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()

def work():
    blocks = [b"x" * (16 * 2**20) for _ in range(12)]  # 16 MiB each, freed in one go

for _ in range(5):  # until the heap has found its size
    work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

N_PAGES = 10 * 12 * 16 * 2**20 // 4096  # that the program takes while it counts


def page_faults(how: str) -> int:
    # Large blocks are mapped and unmapped one by one, as glibc begins: what it comes to later by
    # itself depends on where the heap ended.
    environ = {**os.environ, "GLIBC_TUNABLES": f"glibc.malloc.mmap_threshold={128 * 2**10}"}
    program = [sys.executable, "-c", PROGRAM, how]
    done = subprocess.run(program, check=True, capture_output=True, text=True, env=environ)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator is meant")
def test_freed_memory_is_taken_again_without_page_faults() -> None:
    assert page_faults("keep") < 0.1 * N_PAGES
    assert page_faults("leave") > 0.9 * N_PAGES
