"""Execution of one run of an experiment in a process of its own.

In: a :class:`Job`. Out: the folder of the run, with its report, its status and all printed output
(``log.txt``). Importing this module does not import PyTorch, so that the number of threads can be
set first.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from glamor_gym.experiments.spec import RunSpec
from glamor_gym.experiments.status import attempt
from glamor_gym.files import FolderInUseError, lock_folder


@dataclass(frozen=True)
class Job:
    """One run, with everything that a process needs to execute it.

    Attributes:
        spec: the run.
        folder: absolute path of the run's folder; shared by workers on other machines.
        command: the command line as typed, for the record.
        device: device of the networks: ``"cpu"``, ``"cuda"`` or ``"auto"``.
        threads: number of PyTorch threads.
    """

    spec: RunSpec
    folder: Path
    command: str
    device: str = "auto"
    threads: int = 1

    @property
    def name(self) -> str:
        """Name of the run: that of its folder."""
        return self.folder.name


def run_job(job: Job) -> None:
    """Execute a run, or the rest of it, and record the outcome in its status file.

    If another process is using the folder, the status is that process's and is left unchanged.

    Raises:
        OSError: the folder cannot be written.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = str(job.threads)
    with (
        # An error must get to the status file, whatever characters its message has.
        (job.folder / "log.txt").open("a", encoding="utf-8", errors="replace") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        try:
            with lock_folder(job.folder), attempt(job.folder, job.spec):
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
    if is_finished(job.spec, folder):  # by another process meanwhile, or except for its report
        write_report(folder)
        return
    try:
        train_run(job.spec, folder, command=job.command, device=job.device, verbose=1)
    except TrainingInterrupted:
        if not folder.config().finished:
            raise
    write_report(folder)
