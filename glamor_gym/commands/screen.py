"""Progress display of the runs of an experiment.

In: jobs, whose progress is read from their folders. Out: on a terminal, one bar per run and one for
all runs; otherwise one line per event.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from glamor_gym.evaluation import RunFolder
from glamor_gym.evaluation.metrics_file import evaluations_in
from glamor_gym.experiments import get_algorithm
from glamor_gym.experiments.status import State, Status, read_status
from glamor_gym.experiments.worker import Job

SHOWN = 24
"""Up to this many runs, every run has a bar throughout; otherwise only running ones are shown."""


@dataclass(frozen=True)
class Progression:
    """The progress of a run.

    Attributes:
        state: state in the run's status file.
        step: last logged environment step.
        evaluated_at: environment step of the last evaluation; -1 before the first.
        rate: success rate of the last evaluation; None before the first.
        error: error message; empty if there is none.
    """

    state: State
    step: int = 0
    evaluated_at: int = -1
    rate: float | None = None
    error: str = ""


def progression(job: Job, before: Status) -> Progression:
    """Read the progress of a run from its folder.

    Args:
        job: the run.
        before: status when the experiment started. Until there is another, the status file is that
            of an earlier attempt, and the run counts as waiting.
    """
    status = read_status(job.folder)
    if status == before:  # not started by this experiment yet
        return Progression("waiting")
    try:
        table = RunFolder(job.folder).metrics()
        step = 0 if table.empty else int(table["step"].iloc[-1])
        evaluations = evaluations_in(table)
    except (KeyError, ValueError) as error:  # a damaged log must not stop the other runs
        return Progression(status.state, error=status.error or str(error))
    if evaluations.empty:
        return Progression(status.state, step, error=status.error)
    last = evaluations.iloc[-1]
    return Progression(
        status.state,
        step,
        evaluated_at=int(last["step"]),
        rate=float(last["rate"]),
        error=status.error,
    )


class Screen:
    """Context manager that shows the progress of jobs.

    Args:
        jobs: at least one job.
        console: output console.
    """

    def __init__(self, jobs: Sequence[Job], console: Console) -> None:
        self._jobs = jobs
        self._console = console
        self._known = {job.name: Progression("waiting") for job in jobs}
        self._before = {job.name: read_status(job.folder) for job in jobs}
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._all = self._progress.add_task("all runs", total=len(jobs), note="")
        self._bars: dict[str, TaskID] = {
            job.name: self._progress.add_task(
                job.name,
                total=_steps_to_take(job),
                note="waiting",
                start=False,
                visible=len(jobs) <= SHOWN,
            )
            for job in jobs
        }

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # the terminal may be gone
            self.update()
            if not self._progress.disable:  # else rich before 14.3 prints an empty line
                self._progress.stop()

    def update(self) -> None:
        """Read the progress of all runs that have not ended, and show what changed."""
        for job in self._jobs:
            before = self._known[job.name]
            if before.state in ("finished", "failed"):
                continue
            now = progression(job, self._before[job.name])
            if now != before:
                self._known[job.name] = now
                self._show(job, before, now)
        states = Counter(known.state for known in self._known.values())
        failed = f"{states['failed']} failed" if states["failed"] else ""
        self._progress.update(
            self._all, completed=states["finished"] + states["failed"], note=failed
        )

    def _show(self, job: Job, before: Progression, now: Progression) -> None:
        if not self._console.is_terminal:
            for line in _lines(job, before, now):
                print(f"{job.name}: {line}", flush=True)
            return
        bar = self._bars[job.name]
        if before.state == "waiting":
            self._progress.start_task(bar)
        note = now.error if now.state == "failed" else now.state
        if now.rate is not None:
            note = f"{now.rate:.0%} of the goals, {note}"
        self._progress.update(
            bar,
            completed=min(now.step, _steps_to_take(job)),
            note=note,
            visible=len(self._jobs) <= SHOWN or now.state == "running",
        )
        if now.state != "running":
            self._progress.stop_task(bar)


def _steps_to_take(job: Job) -> int:
    """Return the environment steps that a run trains for; 0 if it does not train."""
    trains = get_algorithm(job.spec.algorithm).learns and not job.spec.trained_in
    return job.spec.steps if trains else 0


def _lines(job: Job, before: Progression, now: Progression) -> list[str]:
    """Return one line per event between two states of progress."""
    lines = []
    if now.state == "running" and before.state != "running":
        lines.append(f"running, {_steps_to_take(job):,} steps")
    if now.rate is not None and now.evaluated_at != before.evaluated_at:
        lines.append(f"step {now.evaluated_at:,}: {now.rate:.2f} of the goals reached")
    if now.state != before.state and now.state != "running":
        lines.append(f"failed: {now.error}" if now.state == "failed" else now.state)
    return lines
