"""Which source a result came from: the commit of the checkout that the package lies in."""

from __future__ import annotations

import subprocess
from pathlib import Path

import glamor_gym


def source_commit() -> str:
    """Return ``git describe`` of the package's checkout, ``-dirty`` where it has changes.

    Returns:
        E.g. ``"v0.1.0-12-g8ffec82"``; empty for an installed package, and without git.
    """
    root = Path(glamor_gym.__file__).resolve().parents[1]
    if not (root / ".git").exists():  # the package may lie within somebody else's checkout
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
