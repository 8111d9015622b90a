"""Tables in Markdown, for pages that are read on a code host.

In: column names, and rows of text. Out: the table as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with one line per row; in cells, ``|`` is escaped and newlines become spaces.

    Args:
        columns: the column headings.
        rows: rows with one cell per column.

    Raises:
        ValueError: a row has more or fewer cells than there are columns.
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
