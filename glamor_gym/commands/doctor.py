"""``glamor-gym doctor``: what this machine can run, what is missing, and the fix.

In: :class:`~glamor_gym.commands.options.Doctor`, and the machine. Out: a line for each finding on
the terminal, and exit code 1 if one of them is a failure.

The libraries are looked at first, by what is known of them without importing any; each is
imported only where its turn comes, since what is broken must not break the doctor.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from rich.text import Text

from glamor_gym.commands.errors import InputError
from glamor_gym.commands.options import Doctor
from glamor_gym.commands.tables import terminal
from glamor_gym.tasks import TASKS

Status = Literal["ok", "warn", "fail"]

DISTRIBUTION = "glamor-gym"

FRAME_BYTES = 80 * 104 + 8
"""What the replay keeps of a step: a frame of the paper's size, and an action."""

MEMORY_TABLE = Path("/proc/meminfo")
"""Where Linux tells how much memory is free."""

DRAW_A_PICTURE = (
    "import glamor_gym, gymnasium; gymnasium.make('glamor/pendulum-swingup-v0').reset(seed=0)"
)
DRAWING_SECONDS = 120
OPENGL_FIX = "unset MUJOCO_GL, or set it to egl or osmesa"

_COLOURS: Mapping[Status, str] = MappingProxyType({"ok": "green", "warn": "yellow", "fail": "red"})
_GB = 1e9


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        status: ``"ok"``; ``"warn"``: it works, but not well; ``"fail"``: something cannot work.
        subject: what was looked at.
        detail: what was found.
        fix: what to do about it; empty where there is nothing to do.
    """

    status: Status
    subject: str
    detail: str
    fix: str = ""


def examine(options: Doctor) -> int:
    """Print what was found; return 1 if something cannot work, else 0.

    Raises:
        InputError: the size of the replay is not positive.
    """
    if options.buffer_size < 1:
        raise InputError(f"--buffer-size must be at least 1, got {options.buffer_size}")
    console = terminal()
    failed = False
    for finding in findings(options.buffer_size):
        failed = failed or finding.status == "fail"
        fix = f" → {finding.fix}" if finding.fix else ""
        status = (f"{finding.status:5}", _COLOURS[finding.status])
        line = Text.assemble(status, f"{finding.subject}: {finding.detail}{fix}")
        console.print(line, soft_wrap=True)
    return 1 if failed else 0


def findings(buffer_size: int) -> Iterator[Finding]:
    """Look at everything; where libraries are missing, at nothing that needs them."""
    about = metadata.metadata(DISTRIBUTION)
    yield check_python(platform.python_version(), about["Requires-Python"])
    libraries = list(check_libraries(metadata.requires(DISTRIBUTION) or []))
    yield from libraries
    yield check_memory(buffer_size, available_memory())
    yield check_disk(buffer_size, shutil.disk_usage(Path.cwd()).free)
    if any(finding.status == "fail" for finding in libraries):
        return
    yield check_opengl()
    yield check_roms()
    yield check_goals()
    yield check_processor()
    yield check_cuda()


def check_python(version: str, supported: str) -> Finding:
    """Compare Python's version with those that are supported, e.g. ``">=3.10"``."""
    if SpecifierSet(supported).contains(version):
        return Finding("ok", "Python", version)
    return Finding("fail", "Python", version, f"install Python {supported}")


def check_libraries(requirements: Iterable[str]) -> Iterator[Finding]:
    """Compare the installed versions with the required ones; those of extras are left out."""
    for requirement in map(Requirement, requirements):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        fix = f"pip install '{requirement}'"
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield Finding("fail", requirement.name, "not installed", fix)
            continue
        if requirement.specifier.contains(version, prereleases=True):
            yield Finding("ok", requirement.name, version)
        else:
            wanted = f"{version}, supported is {requirement.specifier}"
            yield Finding("fail", requirement.name, wanted, fix)


def check_memory(buffer_size: int, available: int | None) -> Finding:
    """Compare what a full replay takes with the memory that is free, in bytes."""
    needed = buffer_size * FRAME_BYTES
    detail = f"a replay of {buffer_size:,} frames takes {needed / _GB:.1f} GB"
    if available is None:
        return Finding("warn", "memory", f"{detail}; how much is free cannot be told here")
    detail += f", {available / _GB:.1f} GB are free"
    if needed < available:
        return Finding("ok", "memory", detail)
    fitting = int(0.8 * available / FRAME_BYTES)
    return Finding("warn", "memory", detail, f"train with --set buffer_size={fitting}")


def check_disk(buffer_size: int, free: int) -> Finding:
    """Compare what a full replay takes in a checkpoint, at most, with the free disk, in bytes."""
    needed = buffer_size * FRAME_BYTES
    detail = f"a checkpoint takes up to {needed / _GB:.1f} GB, {free / _GB:.1f} GB are free here"
    if needed < free:
        return Finding("ok", "disk", detail)
    return Finding("warn", "disk", detail, "choose another --run-dir, or a smaller buffer_size")


def available_memory() -> int | None:
    """Return the bytes that programs can still take; None where the system does not tell."""
    if not MEMORY_TABLE.is_file():
        return None
    rows = dict(line.split(":", 1) for line in MEMORY_TABLE.read_text().splitlines())
    return int(rows["MemAvailable"].split()[0]) * 1024


def check_opengl() -> Finding:
    """Find an OpenGL backend for the control tasks, and draw a picture with it.

    In a process of its own: where OpenGL is broken, drawing may abort the process.
    """
    from glamor_gym.envs.rendering import RenderingError, choose_backend

    try:
        backend = choose_backend()
    except RenderingError as error:
        return Finding("fail", "OpenGL", "control tasks cannot be drawn", str(error))
    name = backend or f"left to dm_control on {sys.platform}"
    drawing = [sys.executable, "-c", DRAW_A_PICTURE]
    try:
        drawn = subprocess.run(drawing, capture_output=True, text=True, timeout=DRAWING_SECONDS)
    except subprocess.TimeoutExpired:
        return Finding("fail", "OpenGL", f"{name}: no picture in {DRAWING_SECONDS} s", OPENGL_FIX)
    if drawn.returncode:
        kind, _, message = drawn.stderr.strip().rpartition("\n")[2].partition(": ")
        reason = message or kind or f"exit code {drawn.returncode}"
        return Finding("fail", "OpenGL", f"{name} draws nothing: {reason}", OPENGL_FIX)
    return Finding("ok", "OpenGL", name)


def check_roms() -> Finding:
    """Look for the ROM of every Atari task."""
    from ale_py import roms

    games = [task for task in TASKS.values() if task.suite == "atari"]
    missing = [task.name for task in games if roms.get_rom_path(task.source) is None]
    if missing:
        fix = "pip install --force-reinstall ale-py, which brings them"
        return Finding("fail", "Atari ROMs", f"missing: {', '.join(missing)}", fix)
    return Finding("ok", "Atari ROMs", f"all {len(games)}")


def check_goals() -> Finding:
    """Read every goal set, which checks it against its hash."""
    from glamor_gym.goals import GoalSetError, load_goal_set

    faults = []
    for name in TASKS:
        try:
            _ = load_goal_set(name).training.content  # is read, and checked, when it is asked for
        except GoalSetError:
            faults.append(name)
    if faults:
        detail = f"missing or damaged: {', '.join(faults)}"
        return Finding("fail", "goals", detail, "reinstall glamor-gym; `glamor-gym goals verify`")
    return Finding("ok", "goals", f"all {len(TASKS)} sets have the hash they state")


def check_processor() -> Finding:
    """Compare PyTorch's threads with the processor's cores, and look for bfloat16."""
    import torch

    threads, cores = torch.get_num_threads(), os.cpu_count() or 1
    # PyTorch tells what the processor can do since 2.6; not on every platform.
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    bfloat16 = "with" if capabilities.get("avx512_bf16") else "without"
    detail = f"{cores} cores {bfloat16} bfloat16 instructions, PyTorch takes {threads} threads"
    if threads > cores:
        return Finding("warn", "processor", detail, f"set OMP_NUM_THREADS={cores}")
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if threads > 1 and busy + threads > cores + 0.5:
        # Threads of one run wait for each other: for the one that shares its core, all of them.
        detail += f", and {busy:.1f} are busy"
        return Finding("warn", "processor", detail, "set OMP_NUM_THREADS=1 while others work here")
    return Finding("ok", "processor", detail)


def check_cuda() -> Finding:
    """Look for a graphics card that PyTorch can compute with."""
    import torch

    if not torch.cuda.is_available():
        return Finding("ok", "CUDA", "none; agents learn on the processor")
    bfloat16 = "with" if torch.cuda.is_bf16_supported(including_emulation=False) else "without"
    return Finding("ok", "CUDA", f"{torch.cuda.get_device_name()}, {bfloat16} bfloat16")
