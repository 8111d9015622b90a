"""``glamor-gym doctor``: what this machine can run, what is missing, and how to fix it.

In: :class:`~glamor_gym.commands.options.Doctor`, and the machine. Out: one line per finding on the
terminal, and exit code 1 if a finding is a failure.

Library versions are checked first, from package metadata alone. Each library is imported only in
the check that needs it, so that a broken installation can still be diagnosed.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from packaging.requirements import Requirement
from rich.text import Text

from glamor_gym.commands.console import terminal
from glamor_gym.commands.errors import InputError
from glamor_gym.commands.options import Doctor
from glamor_gym.tasks import TASKS

Status = Literal["ok", "warn", "fail"]

DISTRIBUTION = "glamor-gym"

FRAME_BYTES = 80 * 104 + 8
"""Replay memory per step: a frame of the paper's size, and an action."""

MEMORY_TABLE = Path("/proc/meminfo")
"""Linux file that states the available memory."""

MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""Linux file that states how much memory a container may take."""

DRAW_A_PICTURE = (
    "import glamor_gym, gymnasium; gymnasium.make('glamor/pendulum-swingup-v0').reset(seed=0)"
)
DRAWING_SECONDS = 120
OPENGL_FIX = "unset MUJOCO_GL, or set it to egl or osmesa"

_COLOURS: Mapping[Status, str] = MappingProxyType({"ok": "green", "warn": "yellow", "fail": "red"})
_GB = 1e9


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        status: ``"ok"``; ``"warn"`` if something works, but not well; ``"fail"`` if something
            cannot work.
        subject: what was checked.
        detail: what was found.
        fix: what to do about it; empty if there is nothing to do.
    """

    status: Status
    subject: str
    detail: str
    fix: str = ""


def examine(options: Doctor, _command: str) -> int:
    """Print all findings; return 1 if one is a failure, else 0.

    Raises:
        InputError: ``--buffer-size`` is not positive.
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
    """Yield all findings; if libraries are missing, skip the checks that need them."""
    yield Finding("ok", "Python", platform.python_version())  # pip refuses older ones
    libraries = list(check_libraries(metadata.requires(DISTRIBUTION) or []))
    yield from libraries
    yield check_memory(buffer_size, available_memory())
    yield check_disk(buffer_size, shutil.disk_usage(Path.cwd()).free)
    if any(finding.status == "fail" for finding in libraries):
        return
    checks = {
        "OpenGL": check_opengl,
        "Atari ROMs": check_roms,
        "goals": check_goals,
        "processor": check_processor,
        "CUDA": check_cuda,
    }
    for subject, check in checks.items():
        try:
            finding = check()
        except ImportError as error:  # installed, but broken
            fix = f"reinstall {error.name or DISTRIBUTION}"
            finding = Finding("fail", subject, f"a library cannot be imported: {error}", fix)
        yield finding


def check_libraries(requirements: Iterable[str]) -> Iterator[Finding]:
    """Compare installed versions with required ones; requirements of extras are skipped."""
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
            wanted = f"{version} is installed, {requirement.specifier} is required"
            yield Finding("fail", requirement.name, wanted, fix)


def check_memory(buffer_size: int, available: int | None) -> Finding:
    """Compare the size of a full replay with the available memory, in bytes."""
    needed = buffer_size * FRAME_BYTES
    detail = f"a replay of {buffer_size:,} frames needs {needed / _GB:.1f} GB"
    if available is None:
        return Finding("warn", "memory", f"{detail}; free memory cannot be read on this system")
    detail += f", {available / _GB:.1f} GB are free"
    if needed < available:
        return Finding("ok", "memory", detail)
    fitting = int(0.8 * available / FRAME_BYTES)
    return Finding("warn", "memory", detail, f"train with --set buffer_size={fitting}")


def check_disk(buffer_size: int, free: int) -> Finding:
    """Compare the largest size of a full replay in a checkpoint with the free disk, in bytes."""
    needed = buffer_size * FRAME_BYTES
    detail = f"a checkpoint needs up to {needed / _GB:.1f} GB, {free / _GB:.1f} GB are free here"
    if needed < free:
        return Finding("ok", "disk", detail)
    return Finding("warn", "disk", detail, "choose another --run-dir or a smaller buffer_size")


def available_memory() -> int | None:
    """Return the available memory in bytes; None if the system does not state it.

    Within a container, whose limit the system does not take into account, it is at most that.
    """
    if not MEMORY_TABLE.is_file():
        return None
    rows = dict(line.split(":", 1) for line in MEMORY_TABLE.read_text().splitlines())
    free = int(rows["MemAvailable"].split()[0]) * 1024
    with contextlib.suppress(OSError, ValueError):  # in no container, or no limit: "max"
        free = min(free, int(MEMORY_LIMIT.read_text()))
    return free


def check_opengl() -> Finding:
    """Find an OpenGL backend for the control tasks, and render a picture with it.

    The picture is rendered in a subprocess, because a broken OpenGL may abort the process. Where
    pip leaves dm_control out (Python 3.13), it is not among the libraries and is looked for here.
    """
    from glamor_gym.envs import DM_CONTROL_FIX
    from glamor_gym.envs.rendering import RenderingError, choose_backend

    if find_spec("dm_control") is None:
        return Finding("warn", "OpenGL", "control tasks need dm_control", DM_CONTROL_FIX)
    try:
        backend = choose_backend()
    except RenderingError as error:
        return Finding("fail", "OpenGL", "control tasks cannot be rendered", str(error))
    name = backend or f"chosen by dm_control on {sys.platform}"
    drawing = [sys.executable, "-c", DRAW_A_PICTURE]
    try:
        drawn = subprocess.run(drawing, capture_output=True, text=True, timeout=DRAWING_SECONDS)
    except subprocess.TimeoutExpired:
        return Finding("fail", "OpenGL", f"{name}: no picture in {DRAWING_SECONDS} s", OPENGL_FIX)
    if drawn.returncode:
        kind, _, message = drawn.stderr.strip().rpartition("\n")[2].partition(": ")
        reason = message or kind or f"exit code {drawn.returncode}"
        return Finding("fail", "OpenGL", f"{name} fails to render: {reason}", OPENGL_FIX)
    return Finding("ok", "OpenGL", name)


def check_roms() -> Finding:
    """Check that the ROM of every Atari task is installed."""
    from ale_py import roms

    games = [task for task in TASKS.values() if task.suite == "atari"]
    missing = [task.name for task in games if roms.get_rom_path(task.source) is None]
    if missing:
        fix = "pip install --force-reinstall ale-py, which includes them"
        return Finding("fail", "Atari ROMs", f"missing: {', '.join(missing)}", fix)
    return Finding("ok", "Atari ROMs", f"all {len(games)}")


def check_goals() -> Finding:
    """Load every goal set, which compares it with its hash."""
    from glamor_gym.goals import GoalSetError, load_goal_set

    faults = []
    for name in TASKS:
        try:
            _ = load_goal_set(name).training.content  # loaded and checked on access
        except GoalSetError:
            faults.append(name)
    if faults:
        detail = f"missing or damaged: {', '.join(faults)}"
        return Finding("fail", "goals", detail, "reinstall glamor-gym; `glamor-gym goals verify`")
    return Finding("ok", "goals", f"all {len(TASKS)} goal sets match their hashes")


def check_processor() -> Finding:
    """Compare PyTorch's threads with the processor's cores, and look for bfloat16."""
    import torch

    from glamor_gym.agents.model_policy import multiplies_bfloat16
    from glamor_gym.devices import available_cores

    threads, cores = torch.get_num_threads(), available_cores()
    bfloat16 = "with" if multiplies_bfloat16(torch.device("cpu")) else "without"
    detail = f"{cores} cores {bfloat16} bfloat16 instructions, PyTorch uses {threads} threads"
    if threads > cores:
        return Finding("warn", "processor", detail, f"set OMP_NUM_THREADS={cores}")
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if threads > 1 and busy + threads > (os.cpu_count() or 1) + 0.5:
        # The threads of a run wait for each other: one on a shared core slows down all of them.
        detail += f", and {busy:.1f} are busy"
        return Finding("warn", "processor", detail, "set OMP_NUM_THREADS=1 while others run")
    return Finding("ok", "processor", detail)


def check_cuda() -> Finding:
    """Check for a GPU that PyTorch can use."""
    import torch

    if not torch.cuda.is_available():
        return Finding("ok", "CUDA", "none; agents train on the CPU")
    bfloat16 = "with" if torch.cuda.is_bf16_supported(including_emulation=False) else "without"
    return Finding("ok", "CUDA", f"{torch.cuda.get_device_name()}, {bfloat16} bfloat16")
