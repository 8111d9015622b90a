from __future__ import annotations

import json
import os
import signal

import pytest

from glamor_gym.evaluation import RunFolder, callback
from glamor_gym.experiments import runs
from glamor_gym.experiments.folders import ExperimentFolder, jobs_to_do
from glamor_gym.experiments.status import Status, attempt, read_status, write_status
from glamor_gym.experiments.worker import run_job
from tests.experiments.small_runs import job_for, player_spec, small_spec
from tests.lock_holder import held_elsewhere


@pytest.mark.usefixtures("blank_pages")
def test_a_job_leaves_run_page_log_and_status(tmp_path):
    job = job_for(player_spec(seed=4), tmp_path)
    run_job(job)
    status = read_status(job.folder)
    assert (status.state, status.attempts, status.error) == ("finished", 1, "")
    assert (status.task, status.agent, status.seed) == ("GridWorld", "random", 4)
    assert RunFolder(job.folder).config().commands == ["benchmark …"]
    assert (job.folder / "report.html").is_file()
    assert (job.folder / "log.txt").is_file()


@pytest.mark.usefixtures("blank_pages")
def test_a_job_that_fails_says_why_and_can_be_tried_again(tmp_path):
    wrong = job_for(player_spec(env_kwargs={"horizon": "3"}), tmp_path)
    run_job(wrong)
    status = read_status(wrong.folder)
    assert status.state == "failed"
    assert status.error.startswith("TypeError: ")
    assert "Traceback" in (wrong.folder / "log.txt").read_text()
    right = job_for(player_spec(), tmp_path / "other")
    write_status(right.folder, status)
    run_job(right)
    assert read_status(right.folder) == Status(
        "finished",
        attempts=2,
        host=status.host,
        process=status.process,
        task="GridWorld",
        agent="random",
    )


def test_an_error_is_kept_whatever_characters_it_has(tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise ValueError("n_envs must be ≥ 1 in \udcff")  # a file's name that is not UTF-8

    monkeypatch.setattr(runs, "train_run", fail)
    job = job_for(player_spec(), tmp_path)
    run_job(job)
    status = read_status(job.folder)
    assert (status.state, status.error.partition(" in")[0]) == (
        "failed",
        "ValueError: n_envs must be ≥ 1",
    )
    assert "must be ≥ 1" in (job.folder / "log.txt").read_text(encoding="utf-8")


def test_ctrl_c_is_told_apart_from_an_error(tmp_path):
    with attempt(tmp_path, player_spec()):
        assert read_status(tmp_path).state == "running"
        raise KeyboardInterrupt
    assert read_status(tmp_path).state == "interrupted"


@pytest.mark.usefixtures("blank_pages")
def test_a_job_that_is_interrupted_after_its_last_step_is_finished(tmp_path, monkeypatch):
    played = callback.evaluate

    def interrupted(*arguments, **options):
        os.kill(os.getpid(), signal.SIGTERM)
        return played(*arguments, **options)

    monkeypatch.setattr(callback, "evaluate", interrupted)
    job = job_for(small_spec(steps=60), tmp_path)
    run_job(job)
    assert read_status(job.folder).state == "finished"
    assert (job.folder / "report.html").is_file()


def test_a_job_that_another_process_is_at_leaves_its_status_alone(tmp_path):
    job = job_for(player_spec(), tmp_path)
    job.folder.mkdir()
    theirs = Status("running", attempts=1, process=1, task="GridWorld", agent="random")
    write_status(job.folder, theirs)
    with held_elsewhere(job.folder):
        run_job(job)
    assert read_status(job.folder) == theirs
    assert "is in use by process" in (job.folder / "log.txt").read_text()


def test_a_run_that_nobody_began_is_waiting(tmp_path):
    assert read_status(tmp_path / "nothing") == Status("waiting")


@pytest.mark.usefixtures("blank_pages")
@pytest.mark.parametrize(
    "damage", ["{", "[]", '{"state": "dancing"}', '{"speed": 3}', '{"attempts": "many"}']
)
def test_a_damaged_status_is_a_failure_that_the_next_attempt_overwrites(tmp_path, damage):
    job = job_for(player_spec(), tmp_path)
    job.folder.mkdir(exist_ok=True)
    (job.folder / "status.json").write_text(damage)
    status = read_status(job.folder)
    assert status.state == "failed"
    assert "status.json is damaged" in status.error
    run_job(job)
    status = read_status(job.folder)
    assert (status.state, status.attempts, status.error) == ("finished", 1, "")


def test_a_status_is_plain_json(tmp_path):
    write_status(tmp_path, Status("failed", error="ValueError: no"))
    assert json.loads((tmp_path / "status.json").read_text())["error"] == "ValueError: no"


@pytest.mark.usefixtures("blank_pages")
def test_a_page_that_is_missing_is_written_though_the_run_is_finished(tmp_path):
    def jobs():
        return jobs_to_do([player_spec()], ExperimentFolder(tmp_path), command="…", device="cpu")

    (job,) = jobs()
    run_job(job)
    assert jobs() == []
    (job.folder / "report.html").unlink()
    write_status(job.folder, Status("interrupted", attempts=1))
    run_job(*jobs())
    assert (job.folder / "report.html").is_file()
    assert read_status(job.folder).state == "finished"
    assert len(RunFolder(job.folder).config().commands) == 1  # it was not played again
