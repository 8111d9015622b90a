"""How a run of a benchmark stands: a small file in its folder, written by whoever works on it.

In: a state. Out: ``status.json``; and the state again, for whoever wants to know, such as the
screen of the benchmark or a machine that shares the folder.
"""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, get_args

from glamor_gym.experiments.spec import RunSpec
from glamor_gym.files import write_atomically
from glamor_gym.tasks import get_task
from glamor_gym.untrusted import read_json

State = Literal["waiting", "running", "finished", "failed", "interrupted"]


@dataclass(frozen=True)
class Status:
    """How a run stands.

    Attributes:
        state: ``"waiting"`` for its turn, ``"running"``, ``"finished"``, ``"failed"`` with an
            error, or ``"interrupted"`` by a person.
        attempts: how often it was begun or taken up.
        host: name of the machine that worked on it last; empty before.
        process: number of the process there.
        error: what went wrong, in one line; empty where nothing did.
        task: name of the run's task; empty where nobody has begun it.
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
    """Return whether somebody has begun the run in a folder."""
    return _file(folder).is_file()


def read_status(folder: Path) -> Status:
    """Return how the run in a folder stands; waiting, where nobody has begun it.

    A damaged file counts as a run that failed, with what is wrong as its error: the next attempt
    writes it anew.
    """
    file = _file(folder)
    if not file.is_file():
        return Status()
    try:
        return _checked(Status(**read_json(file)))
    except (TypeError, ValueError) as error:
        return Status("failed", error=f"{file} is damaged: {error}")


def _checked(status: Status) -> Status:
    """Return a status whose fields are all of their types.

    Raises:
        ValueError: one is not, or there is no such state.
    """
    kinds = {field: type(getattr(Status(), field)) for field in Status.__annotations__}
    if status.state not in get_args(State) or any(
        type(getattr(status, field)) is not kind for field, kind in kinds.items()
    ):
        raise ValueError(str(status))
    return status


def write_status(folder: Path, status: Status) -> None:
    """Write how the run in a folder stands.

    Raises:
        OSError: the file cannot be written.
    """
    with write_atomically(_file(folder)) as file:
        file.write(json.dumps(dataclasses.asdict(status), indent=2).encode())


class Attempt:
    """A context in which a run is worked on; its status tells how that ends.

    Neither an error nor Ctrl-C leaves the context: whoever began the attempt reads the status.

    Args:
        folder: of the run.
        spec: what is run.
    """

    def __init__(self, folder: Path, spec: RunSpec) -> None:
        self._folder = folder
        self._status = Status(
            "running",
            attempts=read_status(folder).attempts + 1,
            host=socket.gethostname(),
            process=os.getpid(),
            task=get_task(spec.task).name,
            agent=spec.algorithm,
            seed=spec.seed,
        )

    def __enter__(self) -> Self:
        write_status(self._folder, self._status)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        state: State = "finished"
        message = ""
        if kind is not None:
            traceback.print_exception(kind, error, trace)
            state = "failed" if issubclass(kind, Exception) else "interrupted"
            message = f"{kind.__name__}: {error}".splitlines()[0]
        write_status(self._folder, dataclasses.replace(self._status, state=state, error=message))
        return True


def _file(folder: Path) -> Path:
    return folder / "status.json"
