"""The published success rates: Table 1 of Paster, McIlraith & Ba (2020), as data.

In: a task. Out: the goal achievement rates of GLAMOR, DISCERN and GCSL after 500k agent steps, mean
and standard deviation over seeds. They are read from ``table1.csv`` next to this file.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import NamedTuple

from glamor_gym.tasks import short_name

SOURCE = (
    "Table 1 of Paster, McIlraith & Ba, “Planning from Pixels using Inverse Dynamics Models” "
    "(2020), arXiv:2012.02419: goal achievement at 500k agent steps, mean (standard deviation) "
    "over seeds"
)

METHODS = ("GLAMOR", "DISCERN", "GCSL")


class Rate(NamedTuple):
    """A published rate: mean and standard deviation over seeds, both in [0, 1]."""

    mean: float
    std: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} ({self.std:.2f})"


def published_rates(task: str) -> Mapping[str, Rate]:
    """Return the rates of the paper's three methods by name; empty if the paper lacks the task.

    Args:
        task: a task's name or id, e.g. ``"Pong"`` or ``"glamor/Pong-v0"``.

    Raises:
        ValueError: `task` is not a string.
    """
    return _table().get(short_name(task), MappingProxyType({}))


@functools.cache
def _table() -> dict[str, Mapping[str, Rate]]:
    text = resources.files(__package__).joinpath("table1.csv").read_text()
    return {
        row["task"]: MappingProxyType(
            {
                method: Rate(
                    float(row[f"{method.lower()}_mean"]), float(row[f"{method.lower()}_std"])
                )
                for method in METHODS
            }
        )
        for row in csv.DictReader(text.splitlines())
    }
