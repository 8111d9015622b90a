"""Writes the output of a reproduction: data, figure, comparison, and a page about them.

In: rows, and the reproduction that they belong to. Out, in the reproduction's folder::

    data.csv            the rows
    NAME.png, NAME.svg  the figure
    comparison.csv      our results next to the paper's
    README.md           these, command, budget, what it shows and what it does not

Each file is written atomically.
"""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from glamor_gym.experiments.algorithms import is_trained
from glamor_gym.experiments.paper.reproduction import Comparison, Reproduction, Scale
from glamor_gym.experiments.paper.workshop import Trained
from glamor_gym.files import write_text
from glamor_gym.names import counted
from glamor_gym.report.markdown import markdown_table
from glamor_gym.report.style import SOFT, styled, write_figure

PICTURES = ("goal_picture", "achieved_picture")
"""Columns whose values are pictures; they are drawn, but not written to ``data.csv``."""

FOOTNOTE_LETTERS = 14
"""Number of letters per inch of figure width."""


def write_outcome(
    folder: Path,
    reproduction: Reproduction,
    scale: Scale,
    rows: pd.DataFrame,
    *,
    command: str,
    runs: Sequence[Trained],
) -> Sequence[Comparison]:
    """Write all files listed in the module docstring.

    Args:
        folder: folder of the reproduction; created if missing.
        reproduction: the reproduction.
        scale: the scale that was used.
        rows: rows returned by :attr:`Reproduction.collect`.
        command: the command line as typed.
        runs: the runs behind the rows.

    Returns:
        The comparison with the paper.

    Raises:
        OSError: a file cannot be written.
    """
    table = rows.drop(columns=[column for column in PICTURES if column in rows])
    write_text(folder / "data.csv", table.to_csv(index=False))
    budget = _budget(scale, reproduction)
    with styled():
        figure = reproduction.draw(rows)
        figure.suptitle(reproduction.title, x=0.01, ha="left")
        footnote = textwrap.fill(budget, int(FOOTNOTE_LETTERS * figure.get_figwidth()))
        figure.supxlabel(footnote, fontsize=8, color=SOFT)
        write_figure(figure, folder / reproduction.name)
    comparisons = reproduction.compare(rows)
    columns = [field.name for field in dataclasses.fields(Comparison)]  # also if there are none
    records = pd.DataFrame(map(dataclasses.astuple, comparisons), columns=pd.Index(columns))
    write_text(folder / "comparison.csv", records.to_csv(index=False))
    write_text(folder / "README.md", _page(reproduction, comparisons, scale, command, runs))
    return comparisons


def _budget(scale: Scale, reproduction: Reproduction) -> str:
    """Return a description of the budget and, if it differs, of the paper's."""
    if scale == reproduction.published:
        return f"Published scale: {reproduction.words(scale)}"
    name = "Quick" if scale == reproduction.quick else "Not the published scale"
    published = reproduction.published
    return f"{name}: {reproduction.words(scale)} (published scale: {published.steps:,} steps)"


def _page(
    reproduction: Reproduction,
    comparisons: Sequence[Comparison],
    scale: Scale,
    command: str,
    runs: Sequence[Trained],
) -> str:
    configs = [run.folder.config() for run in runs]
    minutes = sum(config.train_seconds for config in configs) / 60
    n_trained = sum(is_trained(config.algorithm) for config in configs)
    hardware = "; ".join(sorted({config.hardware for config in configs}))
    parts = [
        f"# {reproduction.title}",
        f"![{reproduction.title}]({reproduction.name}.png)",
        f"    {command}",
        f"{_budget(scale, reproduction)}. {counted(n_trained, 'training run')}, "
        f"{minutes:.0f} minutes in all, the evaluations within them included ({hardware}).",
        f"**What the paper shows.** {reproduction.shows}",
        "**What came of it here.**",
        markdown_table(
            ("", "ours", "paper", "agrees"), map(dataclasses.astuple, comparisons)
        ).rstrip(),
        reproduction.notes,
    ]
    if scale != reproduction.published:
        parts.append(f"**What this does not show.** {reproduction.caveat}")
    return "\n\n".join(parts) + "\n"
