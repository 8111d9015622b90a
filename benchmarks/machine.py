"""Description of the command and the machine. In: nothing. Out: a record for the result files."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import torch

CPU_INFO = Path("/proc/cpuinfo")


def describe_machine(device: str = "cpu") -> dict[str, str | int]:
    """Return command, date, processor, cores, threads and versions as JSON-able values.

    Call it before the benchmark, which may change PyTorch's number of threads.

    Args:
        device: if it is a GPU, its name is included.
    """
    gpu = {} if device == "cpu" else {"gpu": torch.cuda.get_device_name(device)}
    return {
        "command": shlex.join(["python", *sys.orig_argv[1:]]),
        "date": date.today().isoformat(),
        **gpu,
        "processor": processor_model(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def machine_lines(machine: Mapping[str, object]) -> str:
    """Return the facts about a machine as Markdown, each on a line of its own."""
    return "".join(f"{key}: {value}  \n" for key, value in machine.items())


def processor_model(cpu_info: Path = CPU_INFO) -> str:
    """Return the CPU model as reported by Linux; elsewhere, what Python reports.

    Args:
        cpu_info: a file of ``key : value`` lines, which need not exist.
    """
    if cpu_info.is_file():
        for line in cpu_info.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
