from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from glamor_gym.commands import doctor
from glamor_gym.commands.doctor import Finding
from glamor_gym.envs.rendering import RenderingError


def test_libraries_are_compared_with_what_is_required():
    findings = list(
        doctor.check_libraries(
            ["numpy>=1", "torch>=99", "no-such-library<2,>=1", 'pytest>=99; extra == "dev"']
        )
    )
    assert [finding.status for finding in findings] == ["ok", "fail", "fail"]
    assert findings[1].fix == "pip install 'torch>=99'"
    assert findings[2].detail == "not installed"


def test_memory_is_compared_with_what_the_replay_takes():
    frames = 1_000_000
    assert doctor.check_memory(frames, 10**10).status == "ok"
    # A frame of 80 × 104 and an action of 8 bytes: 8.328 GB.
    assert "8.3 GB" in doctor.check_memory(frames, 10**10).detail
    scarce = doctor.check_memory(frames, 10**9)
    assert scarce.status == "warn"
    proposed = int(scarce.fix.split("=")[1])
    assert doctor.check_memory(proposed, 10**9).status == "ok"
    assert doctor.check_memory(frames, None).status == "warn"


def test_disk_is_compared_with_what_the_replay_takes():
    assert doctor.check_disk(1000, 10**8).status == "ok"
    assert doctor.check_disk(1000, 10**6).status == "warn"


def test_free_memory_is_what_the_system_tells(tmp_path, monkeypatch):
    table = tmp_path / "meminfo"
    table.write_text("MemTotal:       24576000 kB\nMemAvailable:   1000 kB\n")
    monkeypatch.setattr(doctor, "MEMORY_TABLE", table)
    monkeypatch.setattr(doctor, "MEMORY_LIMIT", tmp_path / "limit")
    assert doctor.available_memory() == 1_024_000
    for limit, free in (("max", 1_024_000), ("1000000", 1_000_000), ("99000000", 1_024_000)):
        (tmp_path / "limit").write_text(f"{limit}\n")
        assert doctor.available_memory() == free
    monkeypatch.setattr(doctor, "MEMORY_TABLE", tmp_path / "none")
    assert doctor.available_memory() is None


def test_opengl_that_is_missing_is_told_with_the_fix(monkeypatch):
    def nothing_works():
        raise RenderingError("install libegl1")

    monkeypatch.setattr("glamor_gym.envs.rendering.choose_backend", nothing_works)
    finding = doctor.check_opengl()
    assert finding.status == "fail"
    assert finding.fix == "install libegl1"


def test_dm_control_that_is_no_requirement_is_told_with_the_fix(monkeypatch):
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    finding = doctor.check_opengl()
    assert finding.status == "warn"
    assert finding.fix.startswith("pip install --no-deps 'dm-control")


def test_a_backend_that_draws_nothing_is_told(monkeypatch):
    working = doctor.check_opengl()
    assert working.status == "ok"
    aborted = subprocess.CompletedProcess([], 1, stderr="Traceback …\nRenderingError: no")
    monkeypatch.setattr(doctor.subprocess, "run", lambda *_, **__: aborted)
    finding = doctor.check_opengl()
    assert (finding.status, finding.fix) == ("fail", doctor.OPENGL_FIX)
    assert finding.detail == f"{working.detail} fails to render: no"


def test_roms_that_are_missing_are_named(monkeypatch):
    assert doctor.check_roms().status == "ok"
    monkeypatch.setattr("ale_py.roms.get_rom_path", lambda name: None if name == "pong" else name)
    finding = doctor.check_roms()
    assert finding.status == "fail"
    assert finding.detail == "missing: Pong"


def test_goal_sets_that_are_damaged_are_named(monkeypatch):
    from glamor_gym import goals

    intact = goals.load_goal_set("Dice")

    def load(name):
        if name == "Pong":
            raise goals.GoalSetError("Pong.npz: damaged")
        return intact

    monkeypatch.setattr(goals, "load_goal_set", load)
    finding = doctor.check_goals()
    assert finding.status == "fail"
    assert finding.detail == "missing or damaged: Pong"


@pytest.mark.parametrize(
    ("threads", "busy", "status"),
    [
        (2, 0.0, "ok"),
        (8, 0.0, "warn"),
        (4, 0.3, "ok"),
        (4, 1.2, "warn"),
        (2, 2, "ok"),
        (1, 9, "ok"),
    ],
)
def test_more_threads_than_there_are_free_cores_are_warned_of(monkeypatch, threads, busy, status):
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    monkeypatch.setattr("glamor_gym.devices.available_cores", lambda: 4)
    monkeypatch.setattr("os.getloadavg", lambda: (busy, 0.0, 0.0))
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    finding = doctor.check_processor()
    assert finding.status == status
    assert "4 cores with" in finding.detail


def test_cores_that_a_process_may_not_use_do_not_count(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr("glamor_gym.devices.available_cores", lambda: 2)
    monkeypatch.setattr("torch.get_num_threads", lambda: 8)
    finding = doctor.check_processor()
    assert (finding.status, finding.fix) == ("warn", "set OMP_NUM_THREADS=2")


def test_a_graphics_card_is_named(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert doctor.check_cuda() == Finding("ok", "CUDA", "none; agents train on the CPU")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "Abacus 9000")
    assert doctor.check_cuda().detail == "Abacus 9000, with bfloat16"


def test_where_a_library_is_missing_nothing_that_needs_it_is_tried(monkeypatch):
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: ["no-such-library"])
    monkeypatch.setattr(doctor, "check_roms", lambda: pytest.fail("needs ale-py"))
    statuses = {finding.subject: finding.status for finding in doctor.findings(1000)}
    assert statuses["no-such-library"] == "fail"
    assert "memory" in statuses
    assert "OpenGL" not in statuses


def test_a_library_that_is_broken_is_a_finding(monkeypatch):
    monkeypatch.setitem(sys.modules, "ale_py", None)
    for name in ("check_opengl", "check_goals", "check_processor", "check_cuda"):
        monkeypatch.setattr(doctor, name, lambda: Finding("ok", "other", "fine"))
    (fault,) = (found for found in doctor.findings(1000) if found.subject == "Atari ROMs")
    assert fault.status == "fail"
    assert "ale_py" in fault.detail
    assert fault.fix.startswith("reinstall ale_py")


NEEDED = {"gymnasium", "numpy", "packaging", "rich", "tyro"}
"""Modules without which the program itself does not start."""


def modules_of_libraries():
    """The modules of the libraries that the package requires, without those in NEEDED."""
    names = {
        canonicalize_name(requirement.name)
        for requirement in map(Requirement, metadata.requires(doctor.DISTRIBUTION))
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    }
    return {
        module
        for module, owners in metadata.packages_distributions().items()
        if names & set(map(canonicalize_name, owners)) and module not in NEEDED
    }


def test_the_doctor_comes_whatever_is_missing():
    blocked = modules_of_libraries()
    assert {"torch", "stable_baselines3", "pandas", "matplotlib", "jinja2", "PIL"} <= blocked
    lines = (
        "import sys",
        "class Blocked:",  # None in sys.modules would do, but tyro looks at what is in there
        "    def find_spec(name, path, target=None):",
        f"        if name in {sorted(blocked)}:",
        "            raise ModuleNotFoundError(f'no {name}', name=name)",
        "sys.meta_path.insert(0, Blocked)",
        "from glamor_gym.cli import main; main(['doctor'])",
    )
    code = "\n".join(lines)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert done.returncode == 1
    assert "CUDA: a library cannot be imported: no torch → reinstall torch" in done.stdout
