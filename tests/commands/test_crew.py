"""How many threads the runs of an experiment get."""

import dataclasses
from pathlib import Path

import pytest
import torch

from glamor_gym.commands import workers
from glamor_gym.commands.options import Benchmark
from glamor_gym.commands.workers import Crew, exit_code
from glamor_gym.evaluation import RunFolder
from glamor_gym.experiments import RunSpec
from glamor_gym.experiments.run_config import new_config
from glamor_gym.experiments.status import Status, write_status
from glamor_gym.experiments.worker import Job


@pytest.mark.parametrize(
    ("cores", "limit", "jobs", "threads"),
    [(8, 8, 1, 8), (8, 8, 4, 2), (8, 8, 20, 1), (8, 1, 1, 1), (2, 8, 1, 2), (8, 3, 2, 3)],
)
def test_runs_share_the_cores_and_keep_to_pytorchs_limit(monkeypatch, cores, limit, jobs, threads):
    monkeypatch.setattr(workers, "available_cores", lambda: cores)
    monkeypatch.setattr(torch, "get_num_threads", lambda: limit)
    options = Benchmark(tasks=("Pong",), out=Path("unused"), jobs=jobs, device="cpu")
    assert Crew.of(options).job_arguments == {"device": "cpu", "threads": threads}


def test_what_is_not_finished_is_told_and_no_success(capsys, tmp_path):
    states = ["finished", "failed", "interrupted", "running"]
    spec = RunSpec(task="Dice")
    jobs = [Job(spec, tmp_path / state, command="") for state in states]
    for job in jobs:
        job.folder.mkdir()
        write_status(job.folder, Status(job.name, 1, "here", 42, "no luck"))
    finished, failed = (RunFolder(job.folder) for job in jobs[:2])
    for folder in (finished, failed):  # the latter has no report, say
        folder.write_config(dataclasses.replace(new_config(spec), finished=True))
    assert exit_code(jobs[:1], interrupted=False) == 0
    assert capsys.readouterr().out == ""
    assert exit_code(jobs[1:2], interrupted=False) == 1
    assert capsys.readouterr().out == "failed failed: no luck\n"  # and so early that it has no log
    (jobs[1].folder / "log.txt").touch()
    assert exit_code(jobs, interrupted=False) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"failed failed: no luck (see {tmp_path}/failed/log.txt)",
        "interrupted is interrupted; repeat the command to continue it",
        "running is running in process 42 on here",
    ]
    assert exit_code(jobs, interrupted=True) == 130
    capsys.readouterr()
    finished.write_config(new_config(spec))  # it is being given more steps
    assert exit_code(jobs[:1], interrupted=False) == 1
    told = "finished is interrupted; repeat the command to continue it\n"
    assert capsys.readouterr().out == told
