"""Freed memory stays with the process once it was told to keep it."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import torch
from glamor_gym.experiments.allocator import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()

def work():
    blocks = [torch.ones(16 * 2**20 // 4) for _ in range(12)]  # 16 MiB each, freed in one go

work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    program = [sys.executable, "-c", PROGRAM, how]
    return int(subprocess.run(program, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator is meant")
def test_freed_memory_is_taken_again_without_page_faults() -> None:
    n_pages = 10 * 12 * 16 * 2**20 // 4096
    assert page_faults("keep") < 0.01 * n_pages
    assert page_faults("leave") > 0.1 * n_pages
