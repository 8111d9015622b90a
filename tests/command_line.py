"""The command line as a person uses it."""

from __future__ import annotations

from typing import Any

import pytest

from glamor_gym.cli import main


def run(capsys: pytest.CaptureFixture[str], *words: Any) -> tuple[Any, str, str]:
    """Return the exit code, and what was written to stdout and stderr."""
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code, *capsys.readouterr()
