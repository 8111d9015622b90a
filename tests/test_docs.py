"""The pages of the reference name modules that exist, and leave out no public folder."""

from __future__ import annotations

import importlib.util
import pkgutil
import re
from pathlib import Path

import pytest

import glamor_gym
from glamor_gym.envs.rendering import choose_backend

ROOT = Path(__file__).parent.parent
PACKAGE = Path(glamor_gym.__file__).parent
NAMED = {
    name
    for page in (ROOT / "docs" / "reference").glob("*.md")
    for name in re.findall(r"automodule:: (\S+)", page.read_text())
}
INTERNAL = {
    "__main__", "checks", "cli", "devices", "files", "interruption", "lazy", "names", "untrusted",
    "envs.rendering", "envs.reseeding", "envs.scene_camera", "goals.goal_file",
    "vector.atari_world", "vector.rows", "vector.vector_state", "vector.worker_process",
    "wrappers.display", "wrappers.goal_screens",
}  # fmt: skip
"""Modules of environments, and beside the folders, that are for the rest of the package only."""

ROLE = r":(?:class|func|meth|attr|data|mod|exc):"
REFERENCE = re.compile(ROLE + r"`(?:[^`<]*<|~)?(glamor_gym\.[\w.]+)")


@pytest.fixture(autouse=True, scope="module")
def backend():
    """OpenGL's, chosen before a module brings dm_control, for the tests that render afterwards."""
    choose_backend()


def test_every_module_of_the_reference_is_there():
    for name in NAMED:
        assert importlib.import_module(name).__doc__, name


def test_every_folder_of_the_package_is_in_the_reference():
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    described = {name.split(".")[1] for name in NAMED}
    assert folders - described == {"commands"}  # the program's help


def test_every_module_of_environments_is_in_the_reference():
    folders = [PACKAGE, *(PACKAGE / name for name in ("envs", "goals", "vector", "wrappers"))]
    files = [file for folder in folders for file in folder.glob("*.py")]
    found = {
        ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
        for file in files
        if file.name != "__init__.py"
    }
    exported = {
        getattr(getattr(home, name), "__module__", None)
        for home in map(importlib.import_module, NAMED)
        for name in getattr(home, "__all__", ())
    }
    internal = {f"glamor_gym.{name}" for name in INTERNAL}
    assert found - NAMED - exported <= internal <= found


def test_what_a_docstring_refers_to_is_there():
    for path in PACKAGE.rglob("*.py"):
        for name in REFERENCE.findall(path.read_text()):
            assert _is_module(name) or _is_in_a_module(name), f"{name}, named in {path}"


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError as error:
        # What is before the last dot is no package; or an optional library is missing.
        return not str(error.name).startswith("glamor_gym")


def _is_in_a_module(name: str) -> bool:
    home, _, own = name.rpartition(".")
    try:
        holder = pkgutil.resolve_name(home)
    except AttributeError:
        return False
    return hasattr(holder, own) or own in getattr(holder, "__annotations__", {})


def test_every_page_is_in_the_table_of_contents():
    index = (ROOT / "docs" / "index.md").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        name = str(page.relative_to(ROOT / "docs").with_suffix(""))
        assert name in {"index", *index.split()}, name
