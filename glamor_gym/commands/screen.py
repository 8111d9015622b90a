"""All runs of a benchmark on one screen, while they are being made.

In: the jobs, whose folders tell how far they are. Out: on a terminal, a bar a run that is
running and one for all; elsewhere, a line for each thing that happens.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from glamor_gym.evaluation import RunFolder
from glamor_gym.experiments import get_algorithm
from glamor_gym.experiments.status import State, read_status
from glamor_gym.experiments.worker import Job

SHOWN = 24
"""Runs that have a bar of their own from beginning to end; of more, only those that are running."""


@dataclass(frozen=True)
class Progression:
    """How far a run is.

    Attributes:
        state: of its status.
        step: the last one that was logged.
        evaluated_at: the step of its last evaluation; -1 before the first.
        rate: success rate then; NaN before.
        error: what went wrong, if anything did.
    """

    state: State
    step: int = 0
    evaluated_at: int = -1
    rate: float = math.nan
    error: str = ""


def progression(job: Job, attempts_before: int = 0) -> Progression:
    """Read how far a run is from its folder.

    Args:
        job: the run.
        attempts_before: how often it had been begun before; its status is of then until it is begun
            once more.
    """
    status = read_status(job.folder)
    if status.attempts <= attempts_before:  # nobody has begun it, or not once more
        return Progression("waiting")
    try:
        table = RunFolder(job.folder).metrics()
        step = 0 if table.empty else int(table["step"].iloc[-1])
    except (KeyError, ValueError) as error:  # it is damaged, which is that run's affair alone
        return Progression(status.state, error=status.error or str(error))
    if "eval/success_rate" not in table or not table["eval/success_rate"].count():
        return Progression(status.state, step, error=status.error)
    last = table.dropna(subset=["eval/success_rate"]).iloc[-1]
    return Progression(
        status.state,
        step,
        evaluated_at=int(last["step"]),
        rate=float(last["eval/success_rate"]),
        error=status.error,
    )


class Screen:
    """A context in which the progress of jobs is shown.

    Args:
        jobs: at least one.
        console: where to.
    """

    def __init__(self, jobs: Sequence[Job], console: Console) -> None:
        self._jobs = jobs
        self._console = console
        self._known = {job.name: Progression("waiting") for job in jobs}
        self._attempts = {job.name: read_status(job.folder).attempts for job in jobs}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
            TextColumn("{task.fields[note]}"),
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.update()
        self._progress.stop()

    def update(self) -> None:
        """Look at all runs that are not over, and show what has changed."""
        for job in self._jobs:
            before = self._known[job.name]
            if before.state in ("finished", "failed"):
                continue
            now = progression(job, self._attempts[job.name])
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
        if not math.isnan(now.rate):
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
    """Return the environment steps of a run; none where there is nothing to learn."""
    trains = get_algorithm(job.spec.algorithm).learns and not job.spec.trained_in
    return job.spec.steps if trains else 0


def _lines(job: Job, before: Progression, now: Progression) -> list[str]:
    """Return what has happened to a run between two looks at it, a line each."""
    lines = []
    if now.state == "running" and before.state != "running":
        lines.append(f"running, {_steps_to_take(job):,} steps")
    if now.evaluated_at != before.evaluated_at:
        lines.append(f"step {now.evaluated_at:,}: {now.rate:.2f} of the goals reached")
    if now.state != before.state and now.state != "running":
        lines.append(f"failed: {now.error}" if now.state == "failed" else now.state)
    return lines
