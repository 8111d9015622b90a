"""The pages of the reference name modules that exist, and leave out no public folder."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import glamor_gym

ROOT = Path(__file__).parent.parent
NAMED = {
    name
    for page in (ROOT / "docs" / "reference").glob("*.md")
    for name in re.findall(r"automodule:: (\S+)", page.read_text())
}


def test_every_module_of_the_reference_is_there():
    for name in NAMED:
        assert importlib.import_module(name).__doc__, name


def test_every_folder_of_the_package_is_in_the_reference():
    package = Path(glamor_gym.__file__).parent
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    described = {name.split(".")[1] for name in NAMED}
    assert folders - described == {"commands", "envs"}  # the program's help; gym.make


def test_every_page_is_in_the_table_of_contents():
    index = (ROOT / "docs" / "index.md").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        name = str(page.relative_to(ROOT / "docs").with_suffix(""))
        assert name in {"index", *index.split()}, name
