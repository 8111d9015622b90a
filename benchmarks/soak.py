"""``python -m benchmarks.soak``: whether a long run becomes slower or uses more and more memory.

In: a number of steps. Out: ``soak.json``, ``soak.csv``, ``soak.png`` and ``soak.svg`` in the given
folder, a printed verdict, and exit code 1 if the agent became slower or grew.

The agent trains on the grid world, which costs almost nothing, with a small buffer that is full
well before a tenth of the run. Its learning rate is almost zero: all the work of training is done,
but the length of plans does not change, so that every step costs the same unless something
accumulates. Speed is measured in CPU time, which excludes other processes, although these still
affect it through shared caches and cores. Memory, files and threads are read from ``/proc``.

``--steps 3_000_000 --every 60_000 --buffer 100_000 --replay-ratio 0.1`` is a longer run with fewer
updates and cheaper steps.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import gymnasium as gym
import numpy as np
import pandas as pd
import tyro
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter
from rich.console import Console
from stable_baselines3.common.callbacks import BaseCallback

import glamor_gym  # noqa: F401  (registers the environments)
from benchmarks.machine import describe_machine
from benchmarks.timing import torch_threads
from glamor_gym.agents import GlamorAgent
from glamor_gym.files import write_text
from glamor_gym.report.style import AGENT, SECOND, styled, write_figure

ID = "glamor/GridWorld-v0"
PROC = Path("/proc/self")

ALLOWED_SLOWDOWN = 0.05
"""Relative differences in speed below this count as noise of a shared machine."""

ALLOWED_GROWTH = 16 * 2**20
"""Bytes by which memory may vary because of allocators. One byte per step, over half a million
steps, would be far below this limit."""


@dataclass(frozen=True)
class Record:
    """Measurements at one moment of a run.

    Attributes:
        step: environment steps so far.
        steps_per_second: steps per second of wall-clock time since the previous record, including
            training.
        steps_per_cpu_second: steps per second of this process's CPU time since the previous record.
        resident: resident memory of the process in bytes.
        buffer: bytes of it that the replay uses.
        files: number of open file handles.
        threads: number of threads.
    """

    step: int
    steps_per_second: float
    steps_per_cpu_second: float
    resident: int
    buffer: int
    files: int
    threads: int


@dataclass(frozen=True)
class Verdict:
    """Comparison of the end of a run with its beginning.

    Attributes:
        early_rate: mean steps per second of CPU time around 10 % of the run.
        late_rate: mean steps per second of CPU time in the last tenth.
        noise: allowed slowdown in steps per second: twice the standard deviation of the difference
            of two records, or `ALLOWED_SLOWDOWN` if that is more.
        growth: increase in memory between the two, without the buffer, in bytes.
        new_files: increase in open file handles.
        new_threads: increase in threads.
    """

    early_rate: float
    late_rate: float
    noise: float
    growth: float
    new_files: int
    new_threads: int

    @property
    def is_as_fast(self) -> bool:
        """Whether the end is no slower than the beginning, within the noise."""
        return self.late_rate >= self.early_rate - self.noise

    @property
    def is_as_small(self) -> bool:
        """Whether memory (without the buffer), files and threads did not grow."""
        return self.growth <= ALLOWED_GROWTH and max(self.new_files, self.new_threads) <= 0

    def __str__(self) -> str:
        return (
            f"{self.early_rate:.0f} steps per processor second at 10 % and "
            f"{self.late_rate:.0f} at 100 %: "
            f"{'no slower, within' if self.is_as_fast else 'slower by more than'} the noise of "
            f"{self.noise:.0f}\n"
            f"{self.growth / 2**20:+.1f} MiB beyond the buffer, {self.new_files:+d} files, "
            f"{self.new_threads:+d} threads: {'no growth' if self.is_as_small else 'it grew'}"
        )


class Recorder(BaseCallback):
    """Callback that takes a :class:`Record` at regular intervals.

    Args:
        every: environment steps between two records.
    """

    def __init__(self, every: int) -> None:
        super().__init__()
        self.every = every
        self.records: list[Record] = []

    def _on_training_start(self) -> None:
        self._step, self._begun, self._worked = 0, time.perf_counter(), time.process_time()

    def _on_step(self) -> bool:
        if self.num_timesteps - self._step >= self.every:
            now, worked = time.perf_counter(), time.process_time()
            taken = self.num_timesteps - self._step
            assert isinstance(self.model, GlamorAgent)
            self.records.append(
                Record(
                    step=self.num_timesteps,
                    steps_per_second=taken / (now - self._begun),
                    steps_per_cpu_second=taken / (worked - self._worked),
                    resident=resident_bytes(),
                    buffer=self.model.replay_buffer.nbytes,
                    files=len(os.listdir(PROC / "fd")),
                    threads=len(os.listdir(PROC / "task")),
                )
            )
            self._step = self.num_timesteps
            self._begun, self._worked = time.perf_counter(), time.process_time()
        return True


def resident_bytes() -> int:
    """Return the resident memory of this process in bytes."""
    pages = (PROC / "statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def soak(
    steps: int, every: int, buffer: int, n_envs: int, seed: int, replay_ratio: float = 1.0
) -> list[Record]:
    """Train and return the records.

    Args:
        steps: environment steps over all environments.
        every: steps between two records.
        buffer: capacity of the replay in moments.
        n_envs: number of environments.
        seed: random seed.
        replay_ratio: training tuples per environment step.

    Raises:
        ValueError: the run is too short for its records or its buffer.
    """
    if every < n_envs or steps < 20 * every:
        raise ValueError(
            f"steps must be 20 × every or more, and every n_envs or more; "
            f"got steps={steps}, every={every}, n_envs={n_envs}"
        )
    if buffer > steps // 20:
        raise ValueError(
            f"buffer must be full by a twentieth of the run, {steps // 20} steps; got {buffer}"
        )
    arguments = {
        **GlamorAgent.preset("small"),
        "learning_rate": 1e-9,
        "lr_schedule": "constant",
        "replay_ratio": replay_ratio,
        "buffer_size": buffer,
        "learning_starts": every,
        "exploration_steps": every,
    }
    env = gym.make_vec(ID, num_envs=n_envs, goals="all")
    agent = GlamorAgent(env, **arguments, seed=seed, device="cpu")
    recorder = Recorder(every)
    with torch_threads(1):  # networks this small are slower with more
        agent.learn(steps, callback=recorder)
    env.close()
    return recorder.records


def judge(records: Sequence[Record]) -> Verdict:
    """Compare the records from 5 to 15 % of a run with those of its last tenth.

    Args:
        records: records of a whole run; the last one marks its end.
    """
    share = np.array([record.step for record in records]) / records[-1].step
    rates = np.array([record.steps_per_cpu_second for record in records])
    beyond = np.array([record.resident - record.buffer for record in records])
    early, late = (share > 0.05) & (share <= 0.15), share > 0.9
    early_rate, late_rate = float(rates[early].mean()), float(rates[late].mean())
    # Other processes run for longer than the time between records, so records are not independent:
    # use the spread of single records, not that of their mean.
    spread = float(np.hypot(rates[early].std(), rates[late].std()))
    before, after = (np.flatnonzero(window)[-1] for window in (early, late))
    return Verdict(
        early_rate,
        late_rate,
        noise=max(2 * spread, ALLOWED_SLOWDOWN * early_rate),
        growth=float(np.median(beyond[late]) - np.median(beyond[early])),
        new_files=records[after].files - records[before].files,
        new_threads=records[after].threads - records[before].threads,
    )


def draw(table: pd.DataFrame) -> Figure:
    """Draw speed, memory, threads and files over the steps of a run, from a table of records."""
    figure = Figure(figsize=(7.0, 6.4), layout="constrained")
    speed, memory, handles = figure.subplots(3, 1, sharex=True)
    speed.plot(table["step"], table["steps_per_cpu_second"], color=AGENT, label="processor's")
    speed.plot(table["step"], table["steps_per_second"], color=SECOND, label="on the wall")
    speed.set(title="Speed, training included", ylabel="steps per second")
    memory.plot(table["step"], table["resident"] / 2**20, color=AGENT, label="all")
    beyond = (table["resident"] - table["buffer"]) / 2**20
    memory.plot(table["step"], beyond, color=SECOND, label="without the buffer")
    memory.set(title="Resident memory", ylabel="MiB")
    handles.plot(table["step"], table["threads"], color=AGENT, label="threads")
    handles.plot(table["step"], table["files"], color=SECOND, label="open files")
    handles.set(title="Threads and open files", xlabel="environment steps")
    for axes in (speed, memory, handles):
        axes.legend()
        axes.set_ylim(bottom=0)
    handles.set_xlim(left=0)
    handles.xaxis.set_major_formatter(EngFormatter(sep=""))
    return figure


def main(
    steps: int = 500_000,
    output: Path = Path("results/soak"),
    every: int = 10_000,
    buffer: int = 20_000,
    n_envs: int = 4,
    seed: int = 0,
    replay_ratio: float = 1.0,
) -> int:
    """Train for a long time on a cheap world. Nothing else should run at the same time.

    Args:
        steps: environment steps over all environments.
        output: folder for ``soak.json``, ``soak.csv``, ``soak.png`` and ``soak.svg``.
        every: steps between two records.
        buffer: capacity of the replay in moments.
        n_envs: number of environments.
        seed: random seed.
        replay_ratio: training tuples per environment step.
    """
    if not PROC.is_dir():
        raise SystemExit(f"soak reads memory and files from {PROC}, which this system lacks")
    records = soak(steps, every, buffer, n_envs, seed, replay_ratio)
    verdict = judge(records)
    table = pd.DataFrame(records)
    with styled():
        write_figure(draw(table), output / "soak")
    write_text(output / "soak.csv", table.to_csv(index=False, float_format="%.1f"))
    record = {
        **asdict(verdict),
        "is_as_fast": verdict.is_as_fast,
        "is_as_small": verdict.is_as_small,
        "machine": describe_machine(),
    }
    write_text(output / "soak.json", json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    Console().print(str(verdict), highlight=False)
    return 0 if verdict.is_as_fast and verdict.is_as_small else 1


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
