"""``python -m benchmarks.checkpoints``: the cost of checkpoints in a long Atari run.

In: a number of frames, a preset. Out: ``checkpoints-PRESET.json`` and ``.md`` in the given folder:
size and time of a checkpoint as the replay fills, the time to load the last one, and the share of
training time that checkpoints take.

An agent collects tens of thousands of frames at random, as at the start of a run. They are then
added to its replay repeatedly until it is full, with a checkpoint at regular intervals. Each
checkpoint compresses only its own new frames, so repetition does not make it smaller. Training time
is estimated from the time of single environment steps and updates.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from stable_baselines3.common.env_util import make_vec_env

from benchmarks.machine import describe_machine
from benchmarks.timing import seconds
from glamor_gym.agents import GlamorAgent
from glamor_gym.files import write_text
from glamor_gym.report.markdown import markdown_table
from glamor_gym.types import Trajectory

ID = "glamor/Pong-v0"
N_ENVS = 8
MIB = 2**20


@dataclass(frozen=True)
class Row:
    """One checkpoint.

    Attributes:
        frames: frames in the replay.
        seconds: time to write it.
        new_mib: size of new files in MiB.
        folder_mib: size of the whole folder in MiB.
    """

    frames: int
    seconds: float
    new_mib: float
    folder_mib: float


@dataclass(frozen=True)
class Cost:
    """The cost of checkpoints.

    Attributes:
        preset: preset of the agent.
        frames: number of frames in the full replay.
        raw_mib: size of the replay in memory, in MiB.
        every_steps: environment steps between two checkpoints.
        rows: the checkpoints.
        load_seconds: time to load the last checkpoint, including the check of its checksums.
        training_seconds: time of the steps and updates between two checkpoints.
        share: mean time of a checkpoint as a share of `training_seconds`.
        machine: the machine that it was measured on.
    """

    preset: str
    frames: int
    raw_mib: float
    every_steps: int
    rows: tuple[Row, ...]
    load_seconds: float
    training_seconds: float
    share: float
    machine: Mapping[str, Any]


def measure(preset: str, frames: int, different: int, every_steps: int, folder: Path) -> Cost:
    """Fill a replay and write checkpoints at regular intervals.

    Args:
        preset: preset of the agent.
        frames: number of frames in the full replay.
        different: number of frames that are actually played; the replay repeats them.
        every_steps: environment steps between two checkpoints.
        folder: folder for the checkpoints.
    """
    env = make_vec_env(ID, N_ENVS)
    settings = GlamorAgent.preset(preset) | {"buffer_size": frames + different, "device": "cpu"}
    agent = GlamorAgent(env, **settings | {"learning_starts": different}, seed=0)
    step_seconds = seconds(lambda: agent.learn(different)) / different
    batch = settings["batch_size"]
    updates = every_steps * settings["replay_ratio"] / batch
    agent.update(agent.replay_buffer.sample(batch))  # creates the optimiser's state
    update_seconds = seconds(lambda: agent.update(agent.replay_buffer.sample(batch)))
    training_seconds = every_steps * step_seconds + updates * update_seconds

    rows = []
    trajectories = cycle(_trajectories(agent))
    replay = agent.replay_buffer = agent._make_replay()
    for due in range(every_steps, frames + 1, every_steps):
        while len(replay) + replay.n_trajectories < due:
            replay.add(next(trajectories))
        before = _sizes(folder)
        write_seconds = seconds(lambda: agent.save_checkpoint(folder))
        after = _sizes(folder)
        new = sum(size for name, size in after.items() if name not in before)
        rows.append(Row(due, round(write_seconds, 3), new / MIB, sum(after.values()) / MIB))
    load_seconds = seconds(lambda: GlamorAgent.load_checkpoint(folder, device="cpu"))
    return Cost(
        preset=preset,
        frames=frames,
        raw_mib=replay.nbytes / MIB,
        every_steps=every_steps,
        rows=tuple(rows),
        load_seconds=round(load_seconds, 2),
        training_seconds=round(training_seconds, 1),
        share=float(np.mean([row.seconds for row in rows])) / training_seconds,
        machine=describe_machine(),
    )


def as_table(cost: Cost) -> str:
    """Return the results as Markdown: the first checkpoint, and some of the others."""
    step = max(1, len(cost.rows) // 5)
    shown = [cost.rows[0], *cost.rows[step - 1 :: step]]
    columns = ("frames in the replay", "time to write", "new on disk", "folder")
    cells = (
        (
            f"{row.frames:,}",
            f"{row.seconds:.2f} s",
            f"{row.new_mib:.1f} MiB",
            f"{row.folder_mib:.1f} MiB",
        )
        for row in shown
    )
    return "\n".join(
        [
            f"# Checkpoints of a {cost.frames:,}-frame Pong replay, preset {cost.preset}",
            "",
            markdown_table(columns, cells),
            f"A checkpoint every {cost.every_steps:,} steps takes {cost.share:.2%} of the training "
            f"({cost.training_seconds:.0f} s between two). The replay is {cost.raw_mib:,.0f} MiB "
            f"in memory; reading the last checkpoint back took {cost.load_seconds:.1f} s.",
            "",
            f"{cost.machine['processor']}, {cost.machine['cores']} cores, "
            f"{cost.machine['threads']} threads, PyTorch {cost.machine['torch']}, "
            f"{cost.machine['date']}.",
            "",
        ]
    )


def _trajectories(agent: GlamorAgent) -> list[Trajectory]:
    state = agent.replay_buffer.state()
    ends = np.cumsum(state["lengths"] + 1)
    return [
        Trajectory(state["achieved"][end - n - 1 : end], state["actions"][end - n - 1 : end - 1])
        for end, n in zip(ends.tolist(), state["lengths"].tolist(), strict=True)
    ]


def _sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir()} if folder.exists() else {}


def main(
    preset: str = "compact",
    output: Path = Path("results/checkpoints"),
    frames: int = 500_000,
    different: int = 50_000,
    every_steps: int = 10_000,
) -> int:
    """Measure the cost of checkpoints in a long Atari run.

    Args:
        preset: preset of the agent.
        output: folder for the results.
        frames: number of frames in the full replay.
        different: number of frames that are actually played; the replay repeats them.
        every_steps: environment steps between two checkpoints.
    """
    with tempfile.TemporaryDirectory() as folder:
        cost = measure(preset, frames, different, every_steps, Path(folder) / "checkpoint")
    table = as_table(cost)
    write_text(output / f"checkpoints-{preset}.json", json.dumps(asdict(cost), indent=1))
    write_text(output / f"checkpoints-{preset}.md", table)
    print(table)
    return 0


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
