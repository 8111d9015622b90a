"""One run of a benchmark, in a process of its own.

In: a :class:`Job`. Out: the folder of the run, with its page, its status and all that was printed
(``log.txt``). Importing this does not start PyTorch, so that the process can say beforehand how
many threads it is to have.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from glamor_gym.experiments.spec import RunSpec
from glamor_gym.experiments.status import Attempt
from glamor_gym.files import FolderInUseError, lock_folder


@dataclass(frozen=True)
class Job:
    """What a process is to do.

    Attributes:
        spec: what is to be run.
        folder: where; an absolute path, which workers on other machines have to share.
        command: what was typed, for the record.
        device: where networks are: ``"cpu"``, ``"cuda"`` or ``"auto"``.
        threads: of PyTorch.
    """

    spec: RunSpec
    folder: Path
    command: str
    device: str = "auto"
    threads: int = 1

    @property
    def name(self) -> str:
        """Name of the run, and of its folder."""
        return self.folder.name


def carry_out(job: Job) -> None:
    """Carry out a run, or what is left of it; its status tells what came of it.

    Where another process is at work in the folder, the status is that one's, and stays as it is.

    Raises:
        OSError: the folder cannot be written.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = str(job.threads)
    with (
        (job.folder / "log.txt").open("a") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        try:
            with lock_folder(job.folder), Attempt(job.folder, job.spec):
                _run(job)
        except FolderInUseError as error:
            print(error)


def _run(job: Job) -> None:
    import torch

    from glamor_gym.agents import TrainingInterrupted
    from glamor_gym.evaluation import RunFolder
    from glamor_gym.experiments.run_config import is_finished
    from glamor_gym.experiments.runs import train_run
    from glamor_gym.report import write_report

    torch.set_num_threads(job.threads)
    folder = RunFolder(job.folder)
    if is_finished(job.spec, folder):  # by another process since then, or all but its page
        write_report(folder)
        return
    try:
        train_run(job.spec, folder, command=job.command, device=job.device, verbose=1)
    except TrainingInterrupted:
        if not folder.config().finished:
            raise
    write_report(folder)
