"""The curves of a run: Stable-Baselines3 log writers, one of a CSV file that can be resumed.

In: what the logger dumps: named values at an environment step. Out: ``metrics.csv``, one row per
dump and one column per name, ``step`` first; a value that was not logged is an empty cell.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Any

import pandas as pd
from stable_baselines3.common.logger import KVWriter, TensorBoardOutputFormat

from glamor_gym.files import naming, write_text
from glamor_gym.snapshots import Snapshot


class MetricsFile(KVWriter):
    """A CSV log writer that appends to an existing file.

    Stable-Baselines3's own ``CSVOutputFormat`` overwrites it.

    Args:
        path: the file, which may exist.
        resume_at: rows of an existing file after this step are dropped: they were logged after
            the checkpoint from which the run resumes, and will be logged again.
        keep_all: restoring a snapshot does not drop rows.

    Raises:
        OSError: the file cannot be read or written.
        ValueError: the file is damaged.
    """

    def __init__(
        self, path: str | os.PathLike[str], resume_at: int = 0, keep_all: bool = False
    ) -> None:
        self._path = Path(path)
        self._keep_all = keep_all
        rows: list[dict[str, Any]] = []
        self._columns = ["step"]
        if self._path.exists():
            try:
                rows = [row for row in self._read() if int(row["step"]) <= resume_at]
            except (KeyError, ValueError) as error:
                raise ValueError(f"{self._path} is damaged: {error}") from error
        self._rewrite(rows)

    @property
    def snapshot(self) -> Snapshot:
        """The number of rows; setting it drops the rows after them, unless ``keep_all``."""
        return {"rows": self._n_rows}

    @snapshot.setter
    def snapshot(self, snapshot: Mapping[str, Any]) -> None:
        if not self._keep_all:
            self._rewrite(self._read()[: snapshot["rows"]])

    def write(
        self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0
    ) -> None:
        """Append a row with the values that are plain numbers."""
        row: dict[str, Any] = {"step": step}
        for name, value in key_values.items():
            if isinstance(value, Real) and "csv" not in (key_excluded[name] or ()):
                row[name] = value
        if new := [name for name in row if name not in self._columns]:
            rows = self._read()
            self._columns += sorted(new)
            self._rewrite(rows)
        with naming(self._path), self._path.open("a", newline="") as file:
            csv.DictWriter(file, self._columns).writerow(row)
            file.flush()
            os.fsync(file.fileno())  # a checkpoint counts on these rows
        self._n_rows += 1

    def close(self) -> None:
        """Do nothing: the file is open only while a row is written."""

    def _read(self) -> list[dict[str, Any]]:
        reader = csv.DictReader(whole_lines(self._path))
        rows: list[dict[str, Any]] = list(reader)
        if any(None in row for row in rows):
            raise ValueError("a row is longer than the header")
        self._columns = list(reader.fieldnames or self._columns)
        return rows

    def _rewrite(self, rows: list[dict[str, Any]]) -> None:
        """Rewrite the whole file, as a new column requires."""
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, self._columns)
        writer.writeheader()
        writer.writerows(rows)
        write_text(self._path, table.getvalue())
        self._n_rows = len(rows)


_EVALUATIONS = {
    "step": "step",
    "eval/success_rate": "rate",
    "eval/success_low": "low",
    "eval/success_high": "high",
}
"""Columns of a run's curves that an evaluation logs, and what :func:`evaluations_in` calls them."""


def evaluations_in(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the evaluations in the curves of a run: ``step``, ``rate``, ``low`` and ``high``.

    Args:
        metrics: the curves, as in ``metrics.csv``.

    Returns:
        One row per evaluation: the success rate with the bounds of its interval. None if no
        evaluation was logged.
    """
    evaluated = metrics.reindex(columns=list(_EVALUATIONS)).rename(columns=_EVALUATIONS)
    return evaluated.dropna(subset="rate")


def whole_lines(path: Path) -> list[str]:
    """Return the lines of a table; one that was cut short when a process ended is left out.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not UTF-8.
    """
    with path.open(newline="", encoding="utf-8") as file:
        return [line for line in file if line.endswith("\n")]


class EventFile(TensorBoardOutputFormat):
    """SB3's log writer for TensorBoard, whose errors name the folder.

    Args:
        folder: where the event file is written.

    Raises:
        OSError: the folder cannot be written.
    """

    def write(
        self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0
    ) -> None:
        """Append the values; an error may be one of an earlier call, as a thread writes them."""
        with naming(self.writer.log_dir):
            super().write(key_values, key_excluded, step)
