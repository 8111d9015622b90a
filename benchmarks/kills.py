"""``python -m benchmarks.kills``: whether a killed run resumes exactly where it was.

In: a small world, a number of SIGKILLs, a number of runs. Out: ``kills-WORLD.json`` in the given
folder, a printed verdict, and exit code 1 if a checkpoint was lost or a run had a different result.

Each run is executed in a process of its own, which is killed repeatedly: half of the times at a
random moment, the other half within a random few milliseconds after the start of writing a
checkpoint. After each kill, the newest checkpoint must be sound and no older than the last one
reported as written, and the next process must start at its step. At the end, weights, optimiser,
replay, the agent's random generators and ``metrics.csv`` (except times) are compared with those of
the same run without kills.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch
import torch._dynamo  # needed by every optimiser; import it once, before processes are forked
import tyro

from benchmarks.machine import describe_machine
from benchmarks.timing import seconds
from glamor_gym.agents import GlamorAgent
from glamor_gym.agents.saving.checkpoint_folder import CheckpointFolder
from glamor_gym.agents.saving.snapshot_file import encode
from glamor_gym.evaluation import RunFolder
from glamor_gym.experiments import RunSpec
from glamor_gym.experiments.runs import prepare_run
from glamor_gym.files import write_text

World = Literal["GridWorld", "Pong"]

_SMALL: Mapping[str, Any] = MappingProxyType(
    {"learning_starts": 200, "batch_size": 32, "exploration_steps": 1_000, "n_trials": 5}
)
_RARELY = 1.0
"""Minutes between checkpoints in the run without kills; they must not affect the result."""

SPECS: Mapping[World, RunSpec] = MappingProxyType(
    {
        "GridWorld": RunSpec(
            "GridWorld",
            preset="small",
            overrides={**_SMALL, "buffer_size": 600, "replay_ratio": 4},
            seed=3,
            steps=1_200,
            n_envs=2,
            eval_every=600,
            episodes_per_goal=1,
            checkpoint_minutes=_RARELY,
        ),
        "Pong": RunSpec(
            "Pong",
            preset="compact",
            overrides={
                **_SMALL,
                "buffer_size": 500,
                "replay_ratio": 0.5,
                "policy_kwargs": {"encoder": "tiny", "embedding_size": 32},
            },
            seed=3,
            steps=800,
            n_envs=2,
            eval_every=1_000,
            env_kwargs={"frame_size": [40, 52], "horizon": 20},
            episodes_per_goal=1,
            checkpoint_minutes=_RARELY,
        ),
    }
)

OFTEN = 0.05 / 60
"""Minutes between checkpoints in killed runs: so short that kills often hit their writing."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of killed runs.

    Attributes:
        world: the world that was trained on.
        kills: number of SIGKILLs that hit a running process.
        kills_while_writing: number of these that came while a checkpoint was being written.
        resumed: number of times that a process resumed from a checkpoint. A process that is killed
            while it is still loading the checkpoint is not counted.
        lost: number of times that the newest sound checkpoint was older than the last one reported,
            or that a process started at another step.
        runs: number of completed runs.
        equal: number of these with the same result as the run without kills.
        differences: names of what differed in the others.
        seconds: total time.
        machine: the machine that it was measured on.
    """

    world: str
    kills: int
    kills_while_writing: int
    resumed: int
    lost: int
    runs: int
    equal: int
    differences: tuple[str, ...]
    seconds: float
    machine: Mapping[str, Any]

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost and nothing differs."""
        return self.lost == 0 and self.equal == self.runs


class Report(ctypes.Structure):
    """The state that a process reports through shared memory, which survives a kill.

    Attributes:
        began_at: step at which the process started; −1 while it is loading.
        is_writing: whether it is writing a checkpoint.
        written: step of the last checkpoint written by this or an earlier process; −1 if none.
    """

    _fields_ = (
        ("began_at", ctypes.c_int64),
        ("is_writing", ctypes.c_bool),
        ("written", ctypes.c_int64),
    )


def shared_report() -> Report:
    """Return a new report that is shared with processes forked from this one."""
    return RawValue(Report, -1, False, -1)


def kill_runs(spec: RunSpec, kills: int, runs: int, seed: int, scratch: Path) -> Outcome:
    """Complete runs in spite of SIGKILLs, and compare each with an undisturbed run.

    Args:
        spec: the run.
        kills: total number of kills, spread evenly over the runs.
        runs: minimum number of runs.
        seed: random seed of the moments of the kills.
        scratch: folder for the runs.
    """
    began = time.monotonic()
    torch.set_num_threads(1)  # a forked process has only one anyway
    often = replace(spec, checkpoint_minutes=OFTEN)
    left_alone = scratch / "left-alone"
    whole_seconds = seconds(lambda: _end(_begin(spec, left_alone, shared_report())))
    expected = fingerprint(left_alone)
    rng = np.random.default_rng(seed)
    counts = Counter(kills=0, kills_while_writing=0, resumed=0, lost=0, equal=0)
    differences = set[str]()
    run = 0
    while run < runs or counts["kills"] < kills:  # some runs end before their last kill
        folder = scratch / f"run-{run}"
        run += 1
        wanted = min(kills, -(-kills * run // runs))
        report = shared_report()
        was_killed = True
        while was_killed:
            spare = wanted - counts["kills"]
            about = whole_seconds / (spare + 1) if spare else None
            seen = attempt(often, folder, report, rng, about)
            counts.update(seen)
            was_killed = seen["kills"] > 0
        found = fingerprint(folder)
        counts["equal"] += found == expected
        differences |= {name for name in expected if found.get(name) != expected[name]}
    return Outcome(
        world=spec.task,
        runs=run,
        differences=tuple(sorted(differences)),
        seconds=round(time.monotonic() - began, 1),
        machine=describe_machine(),
        **counts,
    )


def attempt(
    spec: RunSpec, folder: Path, report: Report, rng: np.random.Generator, about: float | None
) -> dict[str, int]:
    """Start or resume a run, and kill it or wait for its end.

    Args:
        spec: the run.
        folder: folder of the run.
        report: what its process reports.
        rng: random generator for the moment of the kill.
        about: mean delay of the kill in seconds; None to let the run end.

    Returns:
        What it adds to the fields of the same names of :class:`Outcome`.
    """
    newest = newest_step(folder)
    report.began_at, report.is_writing = -1, False
    process = _begin(spec, folder, report)
    if about is None:
        was_killed = False
        _end(process)
    else:
        was_killed = kill(process, report, rng, about)
    began_elsewhere = report.began_at not in (-1, max(newest, 0))
    return {
        "kills": was_killed,
        "kills_while_writing": was_killed and report.is_writing,
        "resumed": report.began_at == newest > 0,
        "lost": began_elsewhere + (was_killed and newest_step(folder) < report.written),
    }


def fingerprint(folder: Path) -> dict[str, str]:
    """Return hashes of everything that a run results in, except times."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about unfinished episodes, which are compared as stored
        agent = GlamorAgent.load_checkpoint(RunFolder(folder).checkpoint_folder, device="cpu")
    checkpoints = CheckpointFolder(RunFolder(folder).checkpoint_folder)
    state = checkpoints.read_state(checkpoints.newest())
    for episode in state["ep_info_buffer"]:
        del episode["t"]
    log = state.pop("process")["log"]["values"]
    state["log"] = {name: log[name] for name in log if not name.startswith("time/")}
    metrics = RunFolder(folder).metrics()
    metrics = metrics[[name for name in metrics if not str(name).startswith("time/")]]
    parts = {name: encode({name: state[name]}) for name in state}
    parts["frames"] = encode(agent.replay_buffer.state())
    parts["metrics"] = metrics.to_csv().encode()
    return {name: hashlib.sha256(part).hexdigest() for name, part in parts.items()}


def _begin(spec: RunSpec, folder: Path, report: Report) -> int:
    """Start or resume a run in a forked process; return the process id."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        with open(os.devnull, "w") as sink:
            os.dup2(sink.fileno(), 1)
        _report_writing(report)
        run = prepare_run(spec, RunFolder(folder), command="kills", device="cpu")
        report.began_at = run.steps_taken
        run.complete()
        code = 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(code)


def _report_writing(report: Report) -> None:
    """Make this process report when it writes a checkpoint, and which step it has written."""
    write = CheckpointFolder.write

    def reported(self: CheckpointFolder, step: int, *args: Any, **kwargs: Any) -> Any:
        report.is_writing = True
        checkpoint = write(self, step, *args, **kwargs)
        report.written = step
        report.is_writing = False
        return checkpoint

    CheckpointFolder.write = reported  # type: ignore[method-assign]


def kill(process: int, report: Report, rng: np.random.Generator, about: float) -> bool:
    """Kill a process at a random moment; return whether it was still running.

    Args:
        process: process id.
        report: what it reports.
        rng: random generator for the moment.
        about: mean delay in seconds.

    Raises:
        RuntimeError: the process had already failed.
    """
    time.sleep(rng.uniform(0.0, 2 * about))
    if rng.random() < 0.5:
        while not report.is_writing and is_running(process):
            time.sleep(1e-4)
        time.sleep(rng.uniform(0.0, 0.01))
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    if os.WIFEXITED(status) and os.waitstatus_to_exitcode(status):
        raise RuntimeError("a run failed before it was killed")
    return os.WIFSIGNALED(status)


def is_running(process: int) -> bool:
    """Return whether a process has not ended yet."""
    # A process that has ended but was not waited for is a zombie ("Z").
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def _end(process: int) -> None:
    """Wait for a process that is not killed.

    Raises:
        RuntimeError: the process failed.
    """
    _, status = os.waitpid(process, 0)
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError("a run that is not killed failed")


def newest_step(folder: Path) -> int:
    """Return the step of the newest checkpoint; −1 if there is none yet."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # damaged checkpoints are reported as warnings
            return CheckpointFolder(RunFolder(folder).checkpoint_folder).newest().step
    except FileNotFoundError:
        return -1


def main(
    world: World = "GridWorld",
    output: Path = Path("results/faults"),
    kills: int = 100,
    runs: int = 20,
    seed: int = 0,
) -> int:
    """Kill runs and check that they resume exactly where they were.

    Args:
        world: world to train on.
        output: folder for the results.
        kills: total number of SIGKILLs.
        runs: minimum number of runs to spread them over; the result of each is compared.
        seed: random seed of the moments of the kills.
    """
    with tempfile.TemporaryDirectory() as scratch:
        outcome = kill_runs(SPECS[world], kills, runs, seed, Path(scratch))
    verdict = (
        f"{world}: {outcome.kills} kills, {outcome.kills_while_writing} of them while a "
        f"checkpoint was written; {outcome.resumed} times a run went on from its newest "
        f"checkpoint, {outcome.lost} checkpoints lost; {outcome.equal} of {outcome.runs} runs "
        f"equal to the one left alone; {outcome.seconds:.0f} s"
    )
    content = json.dumps({"verdict": verdict, **asdict(outcome)}, indent=2)
    write_text(output / f"kills-{world}.json", content)
    print(verdict)
    return 0 if outcome.is_clean else 1


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
