"""Sampling training tuples against a loop over samples on lists of frames."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from gymnasium import spaces

from benchmarks.timing import Comparison, compare
from glamor_gym.replay import TrajectoryReplay
from glamor_gym.types import SegmentBatch, Trajectory

N_FRAMES, LENGTH, BATCH, N_ACTIONS = 100_000, 50, 200, 18
SHAPE = (1, 80, 104)


class ListReplay:
    """The replay as one would write it down first: a list of trajectories, one sample a time."""

    def __init__(self, trajectories: list[Trajectory]) -> None:
        self.trajectories = trajectories
        self.rng = np.random.default_rng(0)

    def sample(self, batch_size: int) -> SegmentBatch:
        """Draw as :meth:`TrajectoryReplay.sample` does, trajectories being of one length."""
        rows = []
        for _ in range(batch_size):
            trajectory = self.trajectories[self.rng.integers(len(self.trajectories))]
            t = int(self.rng.integers(len(trajectory)))
            k = int(self.rng.integers(1, len(trajectory) - t + 1))
            zeros = np.zeros(SHAPE, np.uint8)
            stack = [trajectory.achieved[i] if i >= 0 else zeros for i in range(t - 3, t + 1)]
            tokens = [*trajectory.actions[t : t + k].tolist(), N_ACTIONS]
            rows.append((np.concatenate(stack), trajectory.achieved[t + k], tokens))
        rows.sort(key=lambda row: -len(row[2]))
        longest = len(rows[0][2])
        return SegmentBatch(
            observation=torch.stack([torch.from_numpy(row[0]) for row in rows]),
            goal=torch.stack([torch.from_numpy(row[1]) for row in rows]),
            tokens=torch.tensor(
                [row[2] + [N_ACTIONS + 1] * (longest - len(row[2])) for row in rows]
            ),
            length=torch.tensor([len(row[2]) for row in rows]),
        )


def run() -> Iterator[Comparison]:
    """Compare samples of 200 from 100,000 frames, on one thread and on two."""
    rng = np.random.default_rng(0)
    space = spaces.Dict(
        observation=spaces.Box(0, 255, (4, *SHAPE[1:]), np.uint8),
        achieved_goal=spaces.Box(0, 255, SHAPE, np.uint8),
    )
    replay = TrajectoryReplay(N_FRAMES, space, N_ACTIONS, seed=0)
    trajectories = []
    for _ in range(N_FRAMES // (LENGTH + 1)):
        frames = rng.integers(0, 256, (LENGTH + 1, *SHAPE), dtype=np.uint8)
        trajectory = Trajectory(frames, rng.integers(0, N_ACTIONS, LENGTH))
        replay.add(trajectory)
        trajectories.append(trajectory)
    plain = ListReplay(trajectories)
    threads = torch.get_num_threads()
    for n_threads in (1, 2):
        torch.set_num_threads(n_threads)
        yield compare(
            f"replay sample of {BATCH} from {N_FRAMES // 1000}k frames, {n_threads} thread(s)",
            "loop over samples",
            lambda: replay.sample(BATCH),
            lambda: plain.sample(BATCH),
            target=10.0,
            turns=9,
        )
    torch.set_num_threads(threads)
