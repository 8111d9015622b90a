"""The folder of an experiment: its runs, and which of them are still to be executed.

In: specs of runs. Out: the folders of the runs, and jobs for those to be executed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from glamor_gym.evaluation import RunFolder
from glamor_gym.experiments.run_config import check_checkpoint, is_finished
from glamor_gym.experiments.spec import RunSpec
from glamor_gym.experiments.worker import Job
from glamor_gym.files import write_text
from glamor_gym.names import without_module
from glamor_gym.tasks import file_name
from glamor_gym.untrusted import read_json

RECORD_FILES: Mapping[str, str] = MappingProxyType(
    {
        "a run": "config.json",
        "a benchmark": "benchmark.json",
        "an ablation": "ablation.json",
        "a reproduction": "reproduction.json",
    }
)
"""What a folder can hold → the file that says so."""


class ExperimentFolder:
    """The folder of an experiment, and the paths of its files.

    Args:
        path: the folder, which need not exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.runs = self.path / "runs"
        self.results_file = self.path / "results.csv"
        self.report_file = self.path / "report.html"

    def run(self, spec: RunSpec) -> RunFolder:
        """Return the folder of a run."""
        return RunFolder(self.runs / run_name(spec))

    def run_folders(self) -> list[RunFolder]:
        """Return the folders of all runs that were started, sorted by name."""
        if not self.runs.is_dir():
            return []
        return [RunFolder(path) for path in sorted(self.runs.iterdir()) if path.is_dir()]


def run_name(spec: RunSpec) -> str:
    """Return the name of a run within its experiment: the name of its folder."""
    agent = spec.variant or without_module(spec.algorithm)
    name = f"{file_name(spec.task)}-{agent}-{spec.seed}"
    return name if spec.goals == "eval" else f"{name}-{spec.goals}"


def jobs_to_do(specs: Sequence[RunSpec], folder: ExperimentFolder, **arguments: Any) -> list[Job]:
    """Return a job for each run that is not finished or has no report.

    Args:
        specs: specs of all runs.
        folder: folder of the experiment.
        **arguments: the other fields of :class:`~glamor_gym.experiments.worker.Job`.

    Raises:
        ValueError: an existing run differs from the requested one, or would have to go on but has
            lost its checkpoint.
    """
    jobs = []
    for spec in specs:
        run = folder.run(spec)
        finished = is_finished(spec, run)
        if not finished:
            check_checkpoint(run)
        if not (finished and run.report_file.is_file()):
            jobs.append(Job(spec, run.path.resolve(), **arguments))
    return jobs


def recorded_commands(file: Path) -> list[str]:
    """Return the command lines in a record, as typed.

    Args:
        file: a file that :func:`record_command` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged.
    """
    try:
        commands = read_json(file)["commands"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{file} is damaged: {error!r}") from error
    if not (isinstance(commands, list) and all(isinstance(each, str) for each in commands)):
        raise ValueError(f"{file} is damaged: commands must be strings, got {commands!r}")
    return commands


def record_command(file: Path, command: str) -> None:
    """Append a command line to a record, which need not exist.

    Raises:
        ValueError: the existing file is damaged.
        OSError: the file cannot be written.
    """
    before = recorded_commands(file) if file.is_file() else []
    write_text(file, json.dumps({"commands": [*before, command]}, indent=2))


def check_holds_no_other(option: str, path: Path, kind: str) -> None:
    """Check that a path is no file, nor a folder with results that would be overwritten.

    Args:
        option: name of the option that names the folder, for the error message.
        path: the folder, which need not exist.
        kind: what may be in the folder: a key of :data:`RECORD_FILES`.

    Raises:
        ValueError: it is a file, or the folder holds something else.
    """
    if path.exists() and not path.is_dir():
        raise ValueError(f"{option} must be a folder, and {path} is a file")
    for other, file in RECORD_FILES.items():
        if other != kind and (path / file).is_file():
            raise ValueError(
                f"{option} must be a new folder or that of {kind}, and {path} holds {other} "
                f"({file}), whose results would be overwritten"
            )
