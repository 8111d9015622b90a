"""The source of a result: the commit of the checkout that contains the package."""

from __future__ import annotations

import subprocess
from pathlib import Path

import glamor_gym


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
