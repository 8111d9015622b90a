"""Another process that holds the lock of a folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAM = (
    "import sys, time; from glamor_gym.files import lock_folder\n"
    "with lock_folder(sys.argv[1]): print('held', flush=True); time.sleep(60)"
)


@contextmanager
def held_elsewhere(folder: Path) -> Iterator[int]:
    """Have another process hold a folder, and yield the number of that process."""
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        try:
            yield holder.pid
        finally:
            holder.kill()
