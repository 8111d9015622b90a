from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from glamor_gym.evaluation import RunFolder
from glamor_gym.experiments.engines import LocalEngine, mark_dead
from glamor_gym.experiments.results import results_table
from glamor_gym.experiments.status import read_status
from tests.experiments.small_runs import job_for, killing_once, player_spec, small_spec

IGNORING_CTRL_C = """
import signal, sys
from glamor_gym.cli import main
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main(sys.argv[1:])
"""


@pytest.mark.slow
def test_a_run_whose_process_is_killed_is_taken_up_and_the_others_go_on(tmp_path):
    killed = job_for(small_spec(steps=3_000, eval_every=300), tmp_path)
    broken = job_for(player_spec(env_kwargs={"speed": 3}, seed=1), tmp_path)
    whole = job_for(player_spec(), tmp_path)
    log: list[int] = []
    LocalEngine(2).run_jobs([killed, broken, whole], killing_once(killed, log))
    assert len(log) == 1
    status = read_status(killed.folder)
    assert (status.state, status.attempts) == ("finished", 2)
    assert status.process != log[0]
    run = RunFolder(killed.folder)
    assert run.config().finished
    assert run.metrics()["step"].max() == 3_000
    assert run.evaluation().episodes == 30
    assert (killed.folder / "report.html").is_file()
    assert read_status(broken.folder).state == "failed"
    assert "speed" in read_status(broken.folder).error
    assert "Traceback" in (broken.folder / "log.txt").read_text()
    assert read_status(whole.folder).state == "finished"


def test_a_process_that_always_dies_is_given_up(tmp_path):
    job = job_for(small_spec(steps=100_000), tmp_path)

    def kill_always():
        status = read_status(job.folder)
        if status.state == "running":
            with_suppressed_kill(status.process)

    LocalEngine(1, retries=0).run_jobs([job], kill_always)
    status = read_status(job.folder)
    assert status.state == "failed"
    assert "SIGKILL" in status.error


def with_suppressed_kill(process):
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        time.sleep(0.1)  # it is dead, and its status will say so soon


def test_a_process_that_died_before_its_first_status_is_on_the_page(tmp_path):
    job = job_for(player_spec(seed=3), tmp_path)
    mark_dead(job, "its process died (signal SIGKILL)")
    (row,) = results_table([RunFolder(job.folder)]).to_dict("records")
    assert (row["task"], row["agent"], row["seed"]) == ("GridWorld", "random", 3)
    assert row["state"] == "failed"
    assert read_status(job.folder).attempts == 1


@pytest.mark.slow
def test_ctrl_c_lets_runs_save_themselves(tmp_path):
    job = job_for(small_spec(steps=100_000, eval_every=100), tmp_path)

    def interrupt():
        if (job.folder / "checkpoint").is_dir():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LocalEngine(1).run_jobs([job], interrupt)
    assert read_status(job.folder).state == "interrupted"
    assert RunFolder(job.folder).holds_a_checkpoint()
    assert not RunFolder(job.folder).config().finished
    assert multiprocessing.active_children() == []


def test_ctrl_c_is_not_sent_to_a_process_that_has_ended(tmp_path):
    def interrupt():
        (child,) = multiprocessing.active_children()
        child.kill()
        child.join()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LocalEngine(1).run_jobs([job_for(player_spec(), tmp_path)], interrupt)


@pytest.mark.slow
@pytest.mark.usefixtures("no_nohup")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_benchmark_in_the_background_takes_its_runs_with_it(tmp_path, number):
    words = ["benchmark", "--tasks", "GridWorld", "--steps", "100000", "--out", str(tmp_path)]
    # As nohup and scripts have it: Ctrl-C is ignored, by the children as well.
    command = [sys.executable, "-c", IGNORING_CTRL_C, *words, "--eval-every", "100"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        folder = tmp_path / "runs" / "GridWorld-glamor-0"
        while not (folder / "checkpoint").is_dir():
            assert process.poll() is None
            time.sleep(0.2)
        process.send_signal(number)
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "repeat the command to continue" in out
    status = read_status(folder)
    assert status.state == "interrupted"
    with pytest.raises(ProcessLookupError):
        os.kill(status.process, 0)


def test_numbers_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="jobs must be an integer ≥ 1, got 0"):
        LocalEngine(0)
    with pytest.raises(ValueError, match="retries must be an integer ≥ 0, got -1"):
        LocalEngine(retries=-1)
