"""``python -m benchmarks.kills``: whether a killed run goes on as if nothing had happened.

In: a small world, a number of SIGKILLs, a number of runs. Out: ``kills-WORLD.json`` in the folder
given, a verdict in words, and exit code 1 if a checkpoint was lost or a run came out different.

Each run is in a process of its own, which is killed again and again: half of the times at a random
moment, the other half within a random few milliseconds of a checkpoint's beginning to be written.
After each kill the newest checkpoint must be sound and no older than the last that was reported as
written, and the next process must begin at its step. In the end weights, optimiser, replay, the
agent's generators and ``metrics.csv`` (but its clock) are compared with those of the same run
without kills.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import signal
import struct
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch._dynamo  # every optimiser needs it: loaded once here, not in each process
import tyro

from benchmarks.machine import describe_machine
from glamor_gym.agents import GlamorAgent
from glamor_gym.agents.checkpoint_folder import CheckpointFolder
from glamor_gym.agents.snapshot_file import encode
from glamor_gym.evaluation import RunFolder
from glamor_gym.experiments import RunSpec
from glamor_gym.experiments.runs import prepare_run
from glamor_gym.files import write_atomically

World = Literal["GridWorld", "Pong"]

_SMALL: Mapping[str, Any] = MappingProxyType(
    {"learning_starts": 200, "batch_size": 32, "exploration_steps": 1_000, "n_trials": 5}
)
_RARELY = 1.0
"""Checkpoints in the run without kills, in minutes; they must make no difference."""

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
"""Minutes between checkpoints in a run that is killed: so few that their writing is often hit."""


@dataclass(frozen=True)
class Outcome:
    """What came of some runs that were killed.

    Attributes:
        world: what was trained on.
        kills: how many SIGKILLs hit a run at work.
        kills_while_writing: how many of them came while a checkpoint was being written.
        resumed: how often a process went on from steps taken by one before it, which it counts
            itself: one that is killed while it still reads the checkpoint does not.
        lost: how often the newest checkpoint was older than the last reported, or none was sound,
            or a process began at another step.
        runs: how many runs were brought to their end.
        equal: how many of them came out as the one without kills.
        differences: what differed in the others.
        seconds: what it took in all.
        machine: what it ran on.
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


class Report(NamedTuple):
    """What a killed process leaves behind.

    Attributes:
        began_at: the step at which it found the run; −1 before that.
        is_writing: whether it is writing a checkpoint.
        written: the step of the last checkpoint that it or one before it has written, or −1.
    """

    began_at: int = -1
    is_writing: bool = False
    written: int = -1


class Shared:
    """Memory for a :class:`Report`, shared with processes that are forked from this one."""

    _FORMAT = struct.Struct("q?q")

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, self._FORMAT.size)
        self.put(**Report()._asdict())

    def put(self, **changes: Any) -> None:
        """Change some fields of the report."""
        self._FORMAT.pack_into(self._memory, 0, *self.get()._replace(**changes))

    def get(self) -> Report:
        """Return the report as it stands."""
        return Report(*self._FORMAT.unpack_from(self._memory))


def kill_runs(
    world: World, kills: int, runs: int, seed: int, scratch: Path, spec: RunSpec | None = None
) -> Outcome:
    """Bring runs to their end through SIGKILLs, and compare each with one that was left alone.

    Args:
        world: a key of :data:`SPECS`.
        kills: how many in all, spread evenly over the runs.
        runs: how many runs at least.
        seed: of the moments of the kills.
        scratch: folder for the runs.
        spec: what to run instead.
    """
    began = time.monotonic()
    torch.set_num_threads(1)  # of which a forked process has one anyway
    spec = SPECS[world] if spec is None else spec
    often = RunSpec(**{**vars(spec), "checkpoint_minutes": OFTEN})
    left_alone = scratch / "left-alone"
    whole_seconds = _timed(lambda: _end(_begin(spec, left_alone, Shared())))
    expected = fingerprint(left_alone)
    rng = np.random.default_rng(seed)
    counts = dict.fromkeys(("kills", "kills_while_writing", "resumed", "lost", "equal"), 0)
    differences = set[str]()
    run = 0
    while run < runs or counts["kills"] < kills:  # some runs end before their last kill
        folder = scratch / f"run-{run}"
        run += 1
        wanted = min(kills, -(-kills * run // runs))
        shared = Shared()
        was_killed = True
        while was_killed:
            newest = newest_step(folder)
            shared.put(began_at=-1, is_writing=False)
            process = _begin(often, folder, shared)
            if spare := wanted - counts["kills"]:
                was_killed = kill(process, shared, rng, whole_seconds / (spare + 1))
            else:
                _end(process)
                was_killed = False
            report = shared.get()
            counts["resumed"] += report.began_at == newest > 0
            counts["lost"] += report.began_at not in (-1, max(newest, 0))
            if was_killed:
                counts["kills"] += 1
                counts["kills_while_writing"] += report.is_writing
                counts["lost"] += newest_step(folder) < report.written
        found = fingerprint(folder)
        counts["equal"] += found == expected
        differences |= {name for name in expected if found.get(name) != expected[name]}
    return Outcome(
        world=world,
        runs=run,
        differences=tuple(sorted(differences)),
        seconds=round(time.monotonic() - began, 1),
        machine=describe_machine(),
        **counts,
    )


def fingerprint(folder: Path) -> dict[str, str]:
    """Return a hash of each thing that a run comes to, but for its clock."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # episodes under way are compared as they were written
        agent = GlamorAgent.load_checkpoint(RunFolder(folder).checkpoint_folder, device="cpu")
    checkpoints = CheckpointFolder(RunFolder(folder).checkpoint_folder)
    state = checkpoints.read_state(checkpoints.newest())
    for episode in state["ep_info_buffer"]:
        del episode["t"]
    log = state.pop("process")["log"]["values"]
    state["log"] = {name: log[name] for name in log if not name.startswith("time/")}
    metrics = RunFolder(folder).metrics()
    metrics = metrics[[name for name in metrics if not name.startswith("time/")]]
    parts = {name: encode({name: state[name]}) for name in state}
    parts["frames"] = encode(agent.replay_buffer.state())
    parts["metrics"] = metrics.to_csv().encode()
    return {name: hashlib.sha256(part).hexdigest() for name, part in parts.items()}


def _begin(spec: RunSpec, folder: Path, shared: Shared) -> int:
    """Begin a run, or go on with it, in a process of its own; return its number."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        with open(os.devnull, "w") as sink:
            os.dup2(sink.fileno(), 1)
        _report_writing(shared)
        run = prepare_run(spec, RunFolder(folder), command="kills", device="cpu")
        shared.put(began_at=run.steps_taken)
        run.complete()
        code = 0
    finally:
        os._exit(code)


def _report_writing(shared: Shared) -> None:
    """Have this process report when it writes a checkpoint, and which step it has written."""
    write = CheckpointFolder.write

    def reported(self: CheckpointFolder, step: int, *args: Any, **kwargs: Any) -> Any:
        shared.put(is_writing=True)
        checkpoint = write(self, step, *args, **kwargs)
        shared.put(is_writing=False, written=step)
        return checkpoint

    CheckpointFolder.write = reported  # type: ignore[method-assign]


def kill(process: int, shared: Shared, rng: np.random.Generator, about: float) -> bool:
    """Kill a process at a random moment; return whether it was still at work.

    Args:
        process: its number.
        shared: where it tells when it writes a checkpoint.
        rng: of the moment.
        about: seconds from now, in the mean.

    Raises:
        RuntimeError: it had failed by itself.
    """
    time.sleep(rng.uniform(0.0, 2 * about))
    if rng.random() < 0.5:
        while not shared.get().is_writing and is_running(process):
            time.sleep(1e-4)
        time.sleep(rng.uniform(0.0, 0.01))
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    if os.WIFEXITED(status) and os.waitstatus_to_exitcode(status):
        raise RuntimeError("a run failed by itself")
    return os.WIFSIGNALED(status)


def is_running(process: int) -> bool:
    """Return whether a process has not ended yet."""
    # Not waited for yet, a process that has ended is a zombie.
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def _end(process: int) -> None:
    """Wait for a process that is left alone.

    Raises:
        RuntimeError: it failed.
    """
    _, status = os.waitpid(process, 0)
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError("a run failed by itself")


def newest_step(folder: Path) -> int:
    """Return the step of the newest checkpoint; −1 where there is none, as before the first."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # nothing may be damaged
            return CheckpointFolder(RunFolder(folder).checkpoint_folder).newest().step
    except FileNotFoundError:
        return -1


def _timed(work: Callable[[], None]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill runs as the command line asks, and keep what came of them."""

    def benchmark(
        out: Path, world: World = "GridWorld", kills: int = 100, runs: int = 20, seed: int = 0
    ) -> int:
        """Kill runs and see whether they go on as if nothing had happened.

        Args:
            out: folder for the result.
            world: what is trained on.
            kills: SIGKILLs in all.
            runs: over how many runs, at least, they are spread; each is compared in the end.
            seed: of their moments.
        """
        with tempfile.TemporaryDirectory() as scratch:
            outcome = kill_runs(world, kills, runs, seed, Path(scratch))
        verdict = (
            f"{world}: {outcome.kills} kills, {outcome.kills_while_writing} of them while a "
            f"checkpoint was written; {outcome.resumed} times a run went on from its newest "
            f"checkpoint, {outcome.lost} checkpoints lost; {outcome.equal} of {outcome.runs} runs "
            f"equal to the one left alone; {outcome.seconds:.0f} s"
        )
        content = json.dumps({"verdict": verdict, **asdict(outcome)}, indent=2)
        with write_atomically(out / f"kills-{world}.json") as file:
            file.write(content.encode())
        print(verdict)
        return 0 if outcome.is_clean else 1

    return tyro.cli(benchmark, args=arguments)


if __name__ == "__main__":
    sys.exit(main())
