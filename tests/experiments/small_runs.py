"""Runs that take a second, jobs for them, and pages that are not drawn."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from glamor_gym.experiments import RunSpec
from glamor_gym.experiments.status import read_status
from glamor_gym.experiments.worker import Job

SMALL: dict[str, Any] = {
    "learning_starts": 50,
    "batch_size": 20,
    "replay_ratio": 1,
    "policy_kwargs": {"embedding_size": 16},
}


def small_spec(**changes: Any) -> RunSpec:
    given: dict[str, Any] = {
        "task": "GridWorld",
        "overrides": SMALL,
        "steps": 200,
        "n_envs": 2,
        "eval_every": 100,
        "episodes_per_goal": 1,
    }
    return RunSpec(**(given | changes))


def player_spec(**changes: Any) -> RunSpec:
    return small_spec(algorithm="random", overrides={}, **changes)


def job_for(spec: RunSpec, path: Path) -> Job:
    name = f"{spec.task}-{spec.algorithm}-{spec.seed}"
    return Job(spec, path / name, command="benchmark …", device="cpu")


@contextmanager
def blank_pages() -> Iterator[None]:
    """Have the pages of runs say nothing, and those of many runs hold films that show nothing.

    To draw them takes far longer than a small run, and what they show is tested elsewhere.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glamor_gym.report.page.render_page", lambda *facts: "")
        patch.setattr("glamor_gym.report.films._vp9", lambda frames: b"film")
        yield


def killing_once(job: Job, log: list[int]) -> Callable[[], None]:
    """Return a `tick` that kills the process of a job, the first time that it has got on a bit."""

    def tick() -> None:
        metrics = job.folder / "metrics.csv"
        status = read_status(job.folder)
        if log or status.state != "running" or not metrics.is_file():
            return
        if len(metrics.read_text().splitlines()) > 1:
            log.append(status.process)
            os.kill(status.process, 9)
            time.sleep(0.2)

    return tick
