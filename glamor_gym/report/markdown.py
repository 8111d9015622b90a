"""Tables in Markdown, for pages that are read on a code host.

In: the names of the columns and rows of text. Out: the table as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with a line a row; a ``|`` within a cell stays a ``|``, a new line is a space.

    Args:
        columns: what stands at their heads.
        rows: of as many cells as there are columns.

    Raises:
        ValueError: a row has more or fewer cells.
    """
    lines = [_line(columns), "|" + "---|" * len(columns)]
    for row in rows:
        if len(row) != len(columns):
            raise ValueError(f"rows must have {len(columns)} cells, got {len(row)}: {row}")
        lines.append(_line(row))
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    escaped = (" ".join(cell.split("\n")).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"
