"""Reproductions of the paper's tables and figures: one module each, and a table of all.

In: a name, and a folder. Out: in that folder, the data, the figure, and our results next to the
published ones (see :mod:`~glamor_gym.experiments.paper.writing`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from glamor_gym.experiments.paper import (
    appendix_a1,
    figure_2,
    figure_3a,
    figure_3b,
    figure_4,
    figure_6,
    figure_7,
    figure_8,
    figures_11_and_12,
    table_1,
)
from glamor_gym.experiments.paper.reproduction import Comparison, Reproduction, Scale
from glamor_gym.experiments.paper.workshop import CannotReuseError, Workshop
from glamor_gym.experiments.paper.writing import write_outcome

__all__ = [
    "REPRODUCTIONS",
    "CannotReuseError",
    "Comparison",
    "Reproduction",
    "Scale",
    "Workshop",
    "write_outcome",
]

REPRODUCTIONS: Mapping[str, Reproduction] = MappingProxyType(
    {
        row.name: row
        for row in (
            table_1.REPRODUCTION,
            figure_2.REPRODUCTION,
            figure_3a.REPRODUCTION,
            figure_3b.REPRODUCTION,
            figure_4.REPRODUCTION,
            figure_6.REPRODUCTION,
            figure_7.REPRODUCTION,
            figure_8.REPRODUCTION,
            figures_11_and_12.FIGURE_11,
            figures_11_and_12.FIGURE_12,
            appendix_a1.REPRODUCTION,
        )
    }
)
"""Every table and figure that can be reproduced, in the paper's order."""
