"""Replay of whole trajectories: frames in once, training tuples (s_1, a_1 … a_k, s_{k+1}) out.

In: :class:`~glamor_gym.types.Trajectory`, one per call, from any number of environments.
Out: :class:`~glamor_gym.types.SegmentBatch` of §3.4: an observation drawn uniformly among those
stored that an action follows, k uniform from 1 to the number of actions left in its trajectory, the
next k actions, and the frame after them as the goal.

A trajectory of L actions occupies L + 1 consecutive slots of a ring, see
:class:`~glamor_gym.replay.frame_ring.FrameRing`.
"""

from __future__ import annotations

import numpy as np
import torch
from gymnasium import spaces

from glamor_gym.checks import as_probability
from glamor_gym.replay.frame_ring import to_device
from glamor_gym.replay.trajectory_store import TrajectoryStore
from glamor_gym.types import SegmentBatch


class TrajectoryReplay(TrajectoryStore):
    """A ring of the latest trajectories, sampled as GLAMOR's training tuples.

    Args:
        capacity: number of frames kept; a trajectory of L actions takes L + 1.
        observation_space: see :class:`~glamor_gym.replay.frame_ring.FrameRing`.
        n_actions: number of actions A; token A is STOP, token A + 1 is padding.
        stay_fraction: share of samples with k = 0: the goal is the current frame and the only token
            is STOP, which teaches the model to recognise that it has arrived. 0 in the paper.
        horizon: maximum number T of actions per trajectory; None for as many as fit.
        seed: seed of the sampling.

    Raises:
        ValueError: an argument is out of range, or the spaces are not those of a goal environment.
    """

    def __init__(
        self,
        capacity: int,
        observation_space: spaces.Dict,
        n_actions: int,
        *,
        stay_fraction: float = 0.0,
        horizon: int | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(capacity, observation_space, n_actions, horizon=horizon, seed=seed)
        self.stay_fraction = as_probability(stay_fraction, name="stay_fraction")

    def sample(self, batch_size: int, device: torch.device | str = "cpu") -> SegmentBatch:
        """Draw training tuples with replacement.

        Args:
            batch_size: number B of tuples.
            device: device of the tensors, except for the lengths, which stay on the CPU.

        Returns:
            Tuples in order of descending length, as required for packing by the model.

        Raises:
            ValueError: `batch_size` is out of range, or nothing is stored yet.
        """
        self._check_batch_size(batch_size)
        drawn = self.rng.integers(0, len(self), size=batch_size)
        first, now, last = self._locate(drawn)
        k = self.rng.integers(1, last - now + 1)
        if self.stay_fraction:
            k[self.rng.random(batch_size) < self.stay_fraction] = 0
        order = np.argsort(-k, kind="stable")
        first, now, k = first[order], now[order], k[order]
        stop, padding = self.n_actions, self.n_actions + 1
        column = np.arange(int(k.max()) + 1)
        tokens = np.take(self._actions, now[:, None] + column, mode="clip")
        np.copyto(tokens, padding, where=column > k[:, None])
        tokens[np.arange(len(k)), k] = stop
        return SegmentBatch(
            observation=to_device(device, self._observe(first, now)),
            goal=to_device(device, np.take(self._achieved, now + k, axis=0)),
            tokens=to_device(device, tokens),
            length=torch.from_numpy(k + 1),
        )
