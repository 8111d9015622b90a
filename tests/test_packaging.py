"""What is shipped: the package alone, with its data, importable in one way only."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from glamor_gym.tasks import TASKS

ROOT = Path(__file__).parents[1]


def test_the_wheel_holds_the_package_with_every_goal_set_and_nothing_else(tmp_path):
    # One test, for one build: two processes that build in this folder disturb each other.
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path]
    result = subprocess.run([*command, ROOT], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr + result.stdout
    (path,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        wheel = archive.infolist()
    top = {info.filename.split("/")[0] for info in wheel}
    assert {name for name in top if not name.endswith(".dist-info")} == {"glamor_gym"}
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


def names_compared_in(source: str) -> set[str]:
    """Return the names and ids of tasks that a source compares with, or matches."""
    known = {name for task in TASKS.values() for name in (task.name, task.id)}
    return {
        node.value
        for place in ast.walk(ast.parse(source))
        if isinstance(place, ast.Compare | ast.MatchValue)
        for node in ast.walk(place)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in known
    }


@pytest.mark.parametrize(
    "source",
    [
        "if task.name == 'Pong': pass",
        "skips = 'Pong' != name",
        "late = name in ('MsPacman', \"Pong\")",
        "late = name not in {'glamor/Pong-v0'}",
        "match name:\n    case 'Dice' | 'Pong': pass",
    ],
)
def test_a_game_that_is_asked_for_by_name_is_found(source):
    assert names_compared_in(source) & {"Pong", "glamor/Pong-v0"}


def test_no_file_of_the_package_asks_for_a_game_by_name():
    package = ROOT / "glamor_gym"
    for path in set(package.rglob("*.py")) - {package / "tasks.py"}:
        assert not names_compared_in(path.read_text()), f"{path} treats a task apart"
