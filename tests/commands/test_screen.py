"""How far a run is, as its folder tells."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from glamor_gym.commands.screen import Progression, Screen, progression
from glamor_gym.experiments import RunSpec
from glamor_gym.experiments.engines import mark_dead
from glamor_gym.experiments.status import Status, write_status
from glamor_gym.experiments.worker import Job


@pytest.fixture
def job(tmp_path) -> Job:
    job = Job(RunSpec(task="Dice", algorithm="random"), tmp_path / "Dice-random-0", command="")
    job.folder.mkdir()
    return job


def test_a_run_is_as_far_as_the_last_row_of_its_log(job):
    assert progression(job, Status()) == Progression("waiting")
    write_status(job.folder, Status("running", attempts=1))
    assert progression(job, Status()) == Progression("running")
    (job.folder / "metrics.csv").write_text("step,eval/success_rate\n50,0.25\n80,\n")
    assert progression(job, Status()) == Progression("running", step=80, evaluated_at=50, rate=0.25)


@pytest.mark.parametrize("damaged", [b"\xff\x00", b"time,loss\n1,2\n", b'step\n"a\n'])
def test_a_damaged_log_is_the_affair_of_its_run_alone(job, damaged):
    write_status(job.folder, Status("running", attempts=1))
    (job.folder / "metrics.csv").write_bytes(damaged)
    known = progression(job, Status())
    assert known.state == "running"
    assert known.error
    with Screen([job], Console(force_terminal=False)) as screen:
        screen.update()


@pytest.mark.parametrize("state", ["finished", "failed", "interrupted"])
def test_a_run_waits_until_it_is_begun_once_more(job, capsys, state):
    write_status(job.folder, Status(state, attempts=1, error="disk was full"))
    with Screen([job], Console(force_terminal=False)) as screen:
        screen.update()
        assert capsys.readouterr().out == ""
        write_status(job.folder, Status("running", attempts=2))
        screen.update()
        write_status(job.folder, Status("finished", attempts=2))
    assert capsys.readouterr().out.splitlines() == [
        f"{job.name}: running, 0 steps",
        f"{job.name}: finished",
    ]


def test_a_run_that_starts_over_loses_its_rate(job, capsys):
    log = job.folder / "metrics.csv"
    with Screen([job], Console(force_terminal=False)) as screen:
        write_status(job.folder, Status("running", attempts=1))
        log.write_text("step,eval/success_rate\n50,0.25\n")
        screen.update()
        log.write_text("step,eval/success_rate\n20,\n")
        screen.update()
        log.write_text("step,eval/success_rate\n50,0.5\n")
    told = capsys.readouterr().out
    assert "step 50: 0.25 of the goals" in told
    assert "step 50: 0.50 of the goals" in told


def test_a_run_whose_process_died_before_it_began_once_more_has_failed(job, capsys):
    write_status(job.folder, Status("interrupted", attempts=1))
    for _command in range(2):
        with Screen([job], Console(force_terminal=False)):
            mark_dead(job, "the process died (signal SIGKILL)")
        told = f"{job.name}: failed: the process died (signal SIGKILL)\n"
        assert capsys.readouterr().out == told


def test_an_error_with_brackets_is_shown_as_it_is(job):
    console = Console(force_terminal=True, width=200, file=io.StringIO())
    with Screen([job], console) as screen:
        write_status(job.folder, Status("failed", attempts=1, error="[/old] and [red] are words"))
        screen.update()
    assert "[/old] and [red] are words" in console.file.getvalue()


def test_a_bar_is_full_where_a_run_ends_and_failed_runs_have_ended_too(tmp_path):
    jobs = [
        Job(RunSpec(task="Dice", steps=100), tmp_path / name, command="")
        for name in ("finished", "failed", "waiting")
    ]
    console = Console(force_terminal=True, width=200, file=io.StringIO())
    with Screen(jobs, console):
        for job in jobs[:2]:
            job.folder.mkdir()
            (job.folder / "metrics.csv").write_text("step\n104\n")  # environments step together
            write_status(job.folder, Status(job.name, attempts=1))
    *_, everything, finished, failed, waiting, _ = console.file.getvalue().split("\n")
    assert "2 of 3" in everything
    assert "100 of 100" in finished
    assert "100 of 100" in failed
    assert "0 of 100 " in waiting
