from __future__ import annotations

import pytest

from glamor_gym.cli import main
from glamor_gym.evaluation import RunFolder
from glamor_gym.experiments.status import read_status
from tests.experiments.small_runs import job_for, killing_once, player_spec, small_spec

pytest.importorskip("ray", reason="Ray is not installed")


@pytest.mark.slow
def test_a_run_whose_ray_worker_is_killed_is_taken_up_and_finishes(tmp_path, monkeypatch):
    from glamor_gym.experiments.ray_engine import RayEngine

    # A machine that is short of memory for other reasons is no reason to kill workers here.
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "0")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")  # a cluster that is not asked for
    killed = job_for(small_spec(steps=3_000, eval_every=300), tmp_path)
    broken = job_for(player_spec(env_kwargs={"speed": 3}, seed=1), tmp_path)
    whole = job_for(player_spec(), tmp_path)
    log: list[int] = []
    RayEngine(2).run_jobs([killed, broken, whole], killing_once(killed, log))
    assert len(log) == 1
    status = read_status(killed.folder)
    assert (status.state, status.attempts) == ("finished", 2)
    assert RunFolder(killed.folder).metrics()["step"].max() == 3_000
    assert read_status(broken.folder).state == "failed"
    assert read_status(whole.folder).state == "finished"


@pytest.mark.parametrize("address", ["head", "127.0.0.1:port"])
def test_an_address_without_a_cluster_is_told_in_one_line(capsys, tmp_path, address):
    words = ["benchmark", "--tasks", "Dice", "--agents", "noop", "--out", str(tmp_path)]
    with pytest.raises(SystemExit, match="2"):
        main([*words, "--engine", "ray", "--address", address])
    *_, told = capsys.readouterr().err.splitlines()
    assert f"--address {address}: " in told


def test_numbers_that_make_no_sense_are_refused():
    from glamor_gym.experiments.ray_engine import RayEngine

    with pytest.raises(ValueError, match="gpus must be a finite number at least 0"):
        RayEngine(gpus=-1.0)
    with pytest.raises(ValueError, match="jobs must be an integer ≥ 1, got 0"):
        RayEngine(0)
    with pytest.raises(ValueError, match="retries must be an integer ≥ 0, got -1"):
        RayEngine(retries=-1)
