"""The console that commands print on.

In: standard output. Out: a console as wide as the terminal, or of fixed width if output goes to a
file. Only rich is imported, so that ``glamor-gym doctor`` can print whatever else is missing.
"""

from __future__ import annotations

from rich.console import Console

FILE_WIDTH = 160
"""Width in columns of output to a file or a pipe, which has no width of its own."""


def terminal() -> Console:
    """Return the console of standard output."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = FILE_WIDTH
    return console
