"""Execution of the runs of an experiment.

In: :class:`~glamor_gym.commands.options.Workers`, and jobs. Out: the executed jobs, and their
progress on the terminal meanwhile.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from glamor_gym.checks import as_integer
from glamor_gym.commands.console import terminal
from glamor_gym.commands.errors import checking_input
from glamor_gym.commands.options import Workers
from glamor_gym.commands.screen import Screen
from glamor_gym.devices import available_cores, checked_device
from glamor_gym.evaluation import RunFolder
from glamor_gym.experiments.engines import Engine, LocalEngine, NoClusterError
from glamor_gym.experiments.results import run_state
from glamor_gym.experiments.status import Status, read_status
from glamor_gym.experiments.worker import Job
from glamor_gym.interruption import ended_in_order


@dataclass(frozen=True)
class Crew:
    """An engine, and the arguments of its jobs.

    Attributes:
        engine: executes the jobs.
        job_arguments: fields of :class:`~glamor_gym.experiments.worker.Job` that follow from the
            options.
    """

    engine: Engine
    job_arguments: dict[str, Any]

    @classmethod
    def of(cls, options: Workers) -> Crew:
        """Return the crew that the options describe.

        Raises:
            ValueError: an option is invalid, or applies only to the other engine.
        """
        jobs = max(1, available_cores() // 2) if options.jobs is None else options.jobs
        n_jobs = as_integer(jobs, name="--jobs", low=1)
        as_integer(options.retries, name="--retries", low=0)
        engine = _engine(options, n_jobs)
        # At most PyTorch's own default, so that OMP_NUM_THREADS is respected.
        threads = max(1, min(available_cores() // n_jobs, torch.get_num_threads()))
        return cls(engine, {"device": checked_device(options.device), "threads": threads})

    def run_jobs(self, jobs: Sequence[Job]) -> bool:
        """Execute all jobs; return whether Ctrl-C or another signal interrupted them.

        Raises:
            InputError: there is no cluster at the address.
        """
        if not jobs:
            return False
        try:
            # SIGTERM and SIGHUP, too, end the experiment so that its runs do not outlive it.
            with (
                checking_input(NoClusterError),
                ended_in_order(),
                Screen(jobs, terminal()) as screen,
            ):
                self.engine.run_jobs(jobs, screen.update)
        except KeyboardInterrupt:
            with contextlib.suppress(OSError):  # the terminal may be gone
                print("interrupted; repeat the command to continue")
            return True
        return False


def exit_code(jobs: Sequence[Job], interrupted: bool) -> int:
    """Print the unfinished jobs; return 130 if interrupted, 1 if there are any, else 0."""
    looked_at = [(job, _status(job)) for job in jobs]
    left = [(job, status) for job, status in looked_at if status.state != "finished"]
    for job, status in left:
        if status.state == "failed":
            log = job.folder / "log.txt"
            details = f" (see {log})" if log.is_file() else ""  # it may not even have begun
            print(f"{job.name} failed: {status.error}{details}")
        elif status.state == "running":
            print(f"{job.name} is running in process {status.process} on {status.host}")
        elif not interrupted:
            print(f"{job.name} is {status.state}; repeat the command to continue it")
    if interrupted:
        return 130
    return 1 if left else 0


def _status(job: Job) -> Status:
    """Return the status of a job's run; one of an earlier attempt does not count as finished."""
    status = read_status(job.folder)
    if status.state != "finished":
        return status
    return dataclasses.replace(status, state=run_state(RunFolder(job.folder).config(), status))


def _engine(options: Workers, n_jobs: int) -> Engine:
    """Return the engine that the options describe.

    Raises:
        ValueError: an option is invalid, or applies only to the other engine.
    """
    if options.engine == "local":
        for name, given in (("--address", options.address), ("--gpus", options.gpus)):
            if given:
                raise ValueError(f"{name} applies only to --engine ray, got {given}")
        return LocalEngine(n_jobs, retries=options.retries)
    try:
        from glamor_gym.experiments.ray_engine import RayEngine
    except ImportError as error:
        raise ValueError(
            f"--engine ray needs Ray: pip install 'glamor-gym[ray]' ({error})"
        ) from None
    return RayEngine(n_jobs, address=options.address, retries=options.retries, gpus=options.gpus)
