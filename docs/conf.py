"""Sphinx's settings: the README and a reference from the docstrings (``make docs``)."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

from sphinx.application import Sphinx

project = "glamor_gym"
author = "the authors of glamor_gym"
version = release = importlib.metadata.version("glamor-gym")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
source_suffix = [".md"]
exclude_patterns = ["build"]
html_theme = "furo"
html_title = f"{project} {version}"

default_role = "code"  # `x` in a docstring is code, as in Markdown
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_numpy_docstring = False
napoleon_use_ivar = True
myst_heading_anchors = 3
# The README links to files of the repository that are no pages here; they are shown as text.
suppress_warnings = ["myst.xref_missing"]
myst_fence_as_directive = ["eval-rst"]

COMMANDS = Path(__file__).parent / "reference" / "commands.txt"


def _write_help(_: Sphinx) -> None:
    """Write the help of every command, for the page that shows it."""
    from glamor_gym.cli import COMMANDS as NAMES
    from glamor_gym.cli import PROGRAM

    texts = []
    goals = (["goals", name] for name in ("build", "show", "verify", "report"))
    for words in ([], *([name] for name in NAMES), *goals):
        command = [sys.executable, "-m", "glamor_gym", *words, "--help"]
        environment = os.environ | {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        texts.append(f"$ {' '.join([PROGRAM, *words, '--help'])}\n{done.stdout}")
    COMMANDS.write_text("\n".join(texts))


def setup(app: Sphinx) -> None:
    """Have the commands' help written before any page is read."""
    app.connect("builder-inited", _write_help)
