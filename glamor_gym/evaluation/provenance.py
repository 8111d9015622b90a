"""The source of a result: the commit of the package's checkout, and the versions of libraries."""

from __future__ import annotations

import contextlib
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import glamor_gym

LIBRARIES = (
    "glamor-gym",
    "gymnasium",
    "stable-baselines3",
    "ale-py",
    "dm-control",
    "mujoco",
    "shimmy",
    "torch",
    "numpy",
)
"""The libraries on whose versions the results of a run depend."""


def source_commit() -> str:
    """Return ``git describe`` of the package's checkout, with ``-dirty`` if it has changes.

    Returns:
        E.g. ``"v0.1.0-12-g8ffec82"``; empty if the package is not in a checkout or git fails.
    """
    root = Path(glamor_gym.__file__).resolve().parents[1]
    if not (root / ".git").exists():  # the package may be inside another project's checkout
        return ""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--tags"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def versions() -> dict[str, str]:
    """Return the versions of Python and of those of :data:`LIBRARIES` that are installed."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):  # dm-control, on Python 3.13
            found[library] = metadata.version(library)
    return found
