"""Engines: who works on the runs of a benchmark, here in processes of this machine.

In: jobs. Out: nothing but their folders, in which each run's status stands. The engine that works
on the machines of a Ray cluster is in :mod:`glamor_gym.experiments.ray_engine`.
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

from glamor_gym.experiments.status import read_status, write_status
from glamor_gym.experiments.worker import Job, carry_out
from glamor_gym.tasks import get_task

TICK_SECONDS = 0.5
"""How long an engine waits for news before it calls `tick`."""


class Engine(Protocol):
    """Carries out jobs, several at once."""

    def carry_out(self, jobs: Sequence[Job], tick: Callable[[], object]) -> None:
        """Carry out all jobs; what came of each is told by its status.

        Args:
            jobs: in the order in which they are begun.
            tick: called about every :data:`TICK_SECONDS`, and when all is done.

        Raises:
            KeyboardInterrupt: after those that were running have saved what they had.
        """
        ...


class LocalEngine:
    """Gives each job a process, so many at a time.

    Args:
        jobs: how many run at a time, at least 1.
        retries: how often a run is taken up again whose process died (not one that failed with
            an error: it would fail again).

    Raises:
        ValueError: a number is too small.
    """

    def __init__(self, jobs: int = 1, *, retries: int = 1) -> None:
        check_numbers(jobs, retries)
        self._jobs = jobs
        self._retries = retries

    def carry_out(self, jobs: Sequence[Job], tick: Callable[[], object]) -> None:
        """See :meth:`Engine.carry_out`."""
        context = multiprocessing.get_context("spawn")
        waiting = deque(jobs)
        running: dict[Any, tuple[BaseProcess, Job]] = {}  # by what tells that it has ended
        deaths: Counter[Path] = Counter()
        try:
            while waiting or running:
                while waiting and len(running) < self._jobs:
                    job = waiting.popleft()
                    process = context.Process(target=_carry_out_apart, args=(job,), name=job.name)
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
                        mark_dead(job, _cause_of_death(ended.exitcode))
                tick()
        finally:
            # Only after Ctrl-C is there anything left, and that is given time to save itself.
            for left, _ in running.values():
                os.kill(left.pid or 0, signal.SIGINT)
            for left, _ in running.values():
                left.join()


def check_numbers(jobs: int, retries: int) -> None:
    """Check what every engine takes.

    Raises:
        ValueError: `jobs` is below 1, or `retries` below 0.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    if retries < 0:
        raise ValueError(f"retries must be at least 0, got {retries}")


def mark_dead(job: Job, cause: str) -> None:
    """Write down that a process died, which it could not do itself."""
    status = dataclasses.replace(
        read_status(job.folder),
        state="failed",
        error=cause,
        # It may have died before it wrote any of these.
        task=get_task(job.spec.task).name,
        agent=job.spec.algorithm,
        seed=job.spec.seed,
    )
    attempts = max(1, status.attempts)
    write_status(job.folder, dataclasses.replace(status, attempts=attempts))


def _carry_out_apart(job: Job) -> None:
    """Carry out a job in a process group of its own: Ctrl-C reaches it through the engine alone."""
    os.setpgrp()
    # A benchmark that runs in the background may have been told to ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    carry_out(job)


def _cause_of_death(exit_code: int) -> str:
    if exit_code < 0:
        return f"its process was killed by {signal.Signals(-exit_code).name}"
    return f"its process ended with exit code {exit_code}"
