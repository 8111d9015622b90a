"""Engines, which execute the runs of an experiment; here, in processes on this machine.

In: jobs. Out: their folders, each with the status of its run. The engine that uses a Ray cluster is
in :mod:`glamor_gym.experiments.ray_engine`.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

from glamor_gym.checks import as_integer
from glamor_gym.experiments.status import read_status, write_status
from glamor_gym.experiments.worker import Job, run_job
from glamor_gym.interruption import cause_of_end
from glamor_gym.tasks import short_name

TICK_SECONDS = 0.5
"""Longest time in seconds that an engine waits for an event before it calls `tick`."""


class NoClusterError(ConnectionError):
    """There is no cluster of machines at the address given."""


class Engine(Protocol):
    """Executes jobs, several at a time."""

    def run_jobs(self, jobs: Sequence[Job], tick: Callable[[], object]) -> None:
        """Execute all jobs; their outcomes are in their status files.

        Args:
            jobs: the jobs, which are started in this order.
            tick: called about every :data:`TICK_SECONDS`, and when all jobs have ended.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed; running jobs have saved their state.
        """
        ...


class LocalEngine:
    """Executes each job in a process of its own.

    Args:
        jobs: number of jobs at a time, at least 1.
        retries: how often a run is restarted if its process dies. A run that fails with an error
            is not restarted, since it would fail again.

    Raises:
        ValueError: `jobs` is below 1, or `retries` negative.
        TypeError: one of them is not an integer.
    """

    def __init__(self, jobs: int = 1, *, retries: int = 1) -> None:
        self._jobs = as_integer(jobs, name="jobs", low=1)
        self._retries = as_integer(retries, name="retries", low=0)

    def run_jobs(self, jobs: Sequence[Job], tick: Callable[[], object]) -> None:
        """See :meth:`Engine.run_jobs`."""
        context = multiprocessing.get_context("spawn")
        waiting = deque(jobs)
        running: dict[Any, tuple[BaseProcess, Job]] = {}  # by sentinel
        deaths: Counter[Path] = Counter()
        try:
            while waiting or running:
                while waiting and len(running) < self._jobs:
                    job = waiting.popleft()
                    process = context.Process(target=_run_job_apart, args=(job,), name=job.name)
                    process.start()
                    running[process.sentinel] = process, job
                for sentinel in wait(list(running), timeout=TICK_SECONDS):
                    ended, job = running.pop(sentinel)
                    ended.join()
                    if not ended.exitcode:
                        continue
                    deaths[job.folder] += 1
                    if deaths[job.folder] <= self._retries:
                        waiting.appendleft(job)
                    else:
                        mark_dead(job, f"the process died ({cause_of_end(ended.exitcode)})")
                tick()
        finally:
            # Processes are left only after Ctrl-C; they get time to save their state.
            for left, _ in running.values():
                if left.is_alive() and left.pid:
                    os.kill(left.pid, signal.SIGINT)
            for left, _ in running.values():
                left.join()


def mark_dead(job: Job, cause: str) -> None:
    """Record that a job's process died, which the process could not do itself."""
    before = read_status(job.folder)
    status = dataclasses.replace(
        before,
        state="failed",
        error=cause,
        # The process may have died before it wrote these.
        attempts=before.attempts + (before.state != "running"),
        task=short_name(job.spec.task),
        agent=job.spec.algorithm,
        seed=job.spec.seed,
    )
    write_status(job.folder, status)


def _run_job_apart(job: Job) -> None:
    """Execute a job in its own process group, so that only the engine forwards Ctrl-C to it."""
    if hasattr(os, "setpgrp"):  # not on Windows
        os.setpgrp()
    # A process started in the background may have inherited an ignored SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    run_job(job)
