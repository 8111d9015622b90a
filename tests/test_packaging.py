"""What is shipped: the package alone, with its data, importable in one way only."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from glamor_gym.tasks import TASKS

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> list[zipfile.ZipInfo]:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    result = subprocess.run([*command, str(ROOT)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr + result.stdout
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return archive.infolist()


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    top = {info.filename.split("/")[0] for info in wheel}
    assert {name for name in top if not name.endswith(".dist-info")} == {"glamor_gym"}


def test_the_wheel_holds_every_goal_set_and_stays_small(wheel):
    sizes = {info.filename: info.file_size for info in wheel}
    for name in TASKS:
        assert f"glamor_gym/goals/data/{name}.npz" in sizes
    goal_sets = [size for name, size in sizes.items() if name.endswith(".npz")]
    assert sum(goal_sets) < 25e6
    for name in ("py.typed", "report/table1.csv", "report/page.html.jinja"):
        assert f"glamor_gym/{name}" in sizes


def test_the_links_at_the_root_lead_into_the_package():
    for name in ("wrappers", "agents"):
        assert (ROOT / name).is_symlink()
        assert (ROOT / name).resolve() == ROOT / "glamor_gym" / name


@pytest.mark.parametrize("line", ["import wrappers", "from agents import GlamorAgent"])
def test_lint_refuses_imports_through_the_links(line, tmp_path):
    file = tmp_path / "module.py"
    file.write_text(f'"""A module."""\n\n{line}  # noqa: F401\n')
    config = str(ROOT / "pyproject.toml")
    command = [sys.executable, "-m", "ruff", "check", "--config", config, str(file)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "TID251" in result.stdout


def test_importing_the_package_is_quick_and_loads_no_engine():
    code = (
        "import sys, glamor_gym; "
        "print([m for m in ('torch', 'dm_control', 'mujoco', 'ale_py') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_no_file_of_the_package_asks_for_a_game_by_name():
    for path in (ROOT / "glamor_gym").rglob("*.py"):
        if path.name == "tasks.py":
            continue
        text = path.read_text()
        for name in TASKS:
            for comparison in (f'== "{name}"', f"== '{name}'"):
                assert comparison not in text, f"{path} treats {name} apart"
