"""Sampling training tuples, compared with a loop over samples from lists of frames."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from benchmarks.timing import Comparison, compare, torch_threads
from benchmarks.update import BATCH, N_ACTIONS, SPACE
from glamor_gym.replay import TrajectoryReplay
from glamor_gym.types import SegmentBatch, Trajectory

N_FRAMES, LENGTH = 100_000, 50
SHAPE = (1, 80, 104)


class ListReplay:
    """A straightforward replay: a list of trajectories, sampled one tuple at a time.

    Args:
        trajectories: trajectories of pictures, all of the same length.
        n_actions: number of actions A.
    """

    def __init__(self, trajectories: list[Trajectory], n_actions: int) -> None:
        self.trajectories, self.n_actions = trajectories, n_actions
        self.rng = np.random.default_rng(0)

    def sample(self, batch_size: int) -> SegmentBatch:
        """Sample like :meth:`TrajectoryReplay.sample`, with the longest tuple first."""
        rows = []
        for _ in range(batch_size):
            trajectory = self.trajectories[self.rng.integers(len(self.trajectories))]
            t = int(self.rng.integers(len(trajectory)))
            k = int(self.rng.integers(1, len(trajectory) - t + 1))
            zeros = np.zeros(SHAPE, np.uint8)
            stack = [trajectory.achieved[i] if i >= 0 else zeros for i in range(t - 3, t + 1)]
            tokens = [*trajectory.actions[t : t + k].tolist(), self.n_actions]
            rows.append((np.concatenate(stack), trajectory.achieved[t + k], tokens))
        rows.sort(key=lambda row: -len(row[2]))
        longest = len(rows[0][2])
        return SegmentBatch(
            # NumPy's stack, because PyTorch's splits each of these small copies among threads.
            observation=torch.from_numpy(np.stack([row[0] for row in rows])),
            goal=torch.from_numpy(np.stack([row[1] for row in rows])),
            tokens=torch.tensor(
                [row[2] + [self.n_actions + 1] * (longest - len(row[2])) for row in rows]
            ),
            length=torch.tensor([len(row[2]) for row in rows]),
        )


def random_trajectories(n_frames: int) -> Iterator[Trajectory]:
    """Make episodes of noise with `n_frames` frames in total, rounded down to whole episodes."""
    rng = np.random.default_rng(0)
    for _ in range(n_frames // (LENGTH + 1)):
        frames = rng.integers(0, 256, (LENGTH + 1, *SHAPE), dtype=np.uint8)
        yield Trajectory(frames, rng.integers(0, N_ACTIONS, LENGTH))


def make_replay(n_frames: int) -> TrajectoryReplay:
    """Make an empty replay of pictures."""
    return TrajectoryReplay(n_frames, SPACE, N_ACTIONS, seed=0)


def run(n_frames: int = N_FRAMES) -> Iterator[Comparison]:
    """Compare samples of 200 tuples from 100,000 frames, with one and two threads."""
    replay = make_replay(n_frames)
    trajectories = list(random_trajectories(n_frames))
    for trajectory in trajectories:
        replay.add(trajectory)
    plain = ListReplay(trajectories, N_ACTIONS)
    for n_threads in (1, 2):
        with torch_threads(n_threads):
            yield compare(
                f"replay sample of {BATCH} from {n_frames // 1000}k frames, {n_threads} thread(s)",
                "loop over samples",
                lambda: replay.sample(BATCH),
                lambda: plain.sample(BATCH),
                target=10.0,
                turns=9,
            )
