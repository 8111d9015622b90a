"""The status file of a run in an experiment, written by the process that executes the run.

In: a status. Out: ``status.json`` in the run's folder, and the status read back, for example by the
progress display or on another machine that shares the folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import socket
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from glamor_gym.experiments.spec import RunSpec
from glamor_gym.files import write_text
from glamor_gym.tasks import short_name
from glamor_gym.untrusted import check_fields, read_json

State = Literal["waiting", "running", "finished", "failed", "interrupted"]


@dataclass(frozen=True)
class Status:
    """The status of a run.

    Attributes:
        state: ``"waiting"`` to be started, ``"running"``, ``"finished"``, ``"failed"`` with an
            error, or ``"interrupted"`` by a signal.
        attempts: number of times that the run was started or resumed.
        host: name of the machine that executed it last; empty if it was not started.
        process: process id on that machine.
        error: error message in one line; empty if there is none.
        task: name of the run's task; empty if it was not started.
        agent: name of its algorithm.
        seed: its seed.
    """

    state: State = "waiting"
    attempts: int = 0
    host: str = ""
    process: int = 0
    error: str = ""
    task: str = ""
    agent: str = ""
    seed: int = 0


def has_status(folder: Path) -> bool:
    """Return whether the run in a folder was ever started."""
    return _file(folder).is_file()


def read_status(folder: Path) -> Status:
    """Return the status of the run in a folder; "waiting" if it was not started.

    A damaged file counts as a failed run, with the damage as its error; the next attempt replaces
    the file.
    """
    file = _file(folder)
    if not file.is_file():
        return Status()
    try:
        status = Status(**read_json(file))
        check_fields(status)
    except (TypeError, ValueError) as error:
        return Status("failed", error=f"{file} is damaged: {error}")
    return status


def write_status(folder: Path, status: Status) -> None:
    """Write the status of the run in a folder.

    Raises:
        OSError: the file cannot be written.
    """
    write_text(_file(folder), json.dumps(dataclasses.asdict(status), indent=2))


@contextlib.contextmanager
def attempt(folder: Path, spec: RunSpec) -> Iterator[None]:
    """Record one attempt at a run in its status file: that it is running, then the outcome.

    Errors and Ctrl-C are suppressed when the context exits; read the status file for the outcome.

    Args:
        folder: folder of the run.
        spec: the run.
    """
    status = Status(
        "running",
        attempts=read_status(folder).attempts + 1,
        host=socket.gethostname(),
        process=os.getpid(),
        task=short_name(spec.task),
        agent=spec.algorithm,
        seed=spec.seed,
    )
    write_status(folder, status)
    state: State = "finished"
    message = ""
    try:
        yield
    except BaseException as error:  # noqa: BLE001
        traceback.print_exception(error)
        state = "failed" if isinstance(error, Exception) else "interrupted"
        message = f"{type(error).__name__}: {error}".splitlines()[0]
    write_status(folder, dataclasses.replace(status, state=state, error=message))


def _file(folder: Path) -> Path:
    return folder / "status.json"
