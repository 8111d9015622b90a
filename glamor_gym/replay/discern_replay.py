"""DISCERN's replay: trajectories with their goals in, n-step transitions by priority out.

In: :class:`~glamor_gym.types.Trajectory` with a goal, one per call.
Out: :class:`TransitionBatch`: steps drawn in proportion to priority^α (Schaul et al., 2016), a
share of them relabelled with the final frame of their trajectory as the goal; and
:class:`GoalPairs`, achieved frames and the goals pursued, for the discriminator. Beside the
trajectories it keeps a :class:`~glamor_gym.replay.goal_buffer.GoalBuffer`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray

from glamor_gym.checks import as_integer, as_probability
from glamor_gym.replay.frame_ring import to_device
from glamor_gym.replay.goal_buffer import GoalBuffer
from glamor_gym.replay.sum_tree import SumTree
from glamor_gym.replay.trajectory_store import TrajectoryStore
from glamor_gym.snapshots import Snapshot
from glamor_gym.types import Trajectory

SMALLEST_PRIORITY = 1e-6
"""Added to every error, so that a step with error 0 can still be drawn."""


@dataclass(frozen=True)
class GoalPairs:
    """Final frames of trajectories, with the goals that the trajectories pursued.

    Attributes:
        achieved: (B, *achieved_goal.shape), the final frames.
        goal: (B, *achieved_goal.shape), the goals.
    """

    achieved: torch.Tensor
    goal: torch.Tensor


@dataclass(frozen=True)
class TransitionBatch:
    """B n-step transitions.

    Attributes:
        observation: (B, *observation.shape), dtype as stored.
        action: (B,) int64.
        goal: (B, *achieved_goal.shape), the trajectory's goal, or `achieved` where `relabelled`.
        steps_left: (B,) int64, steps left until the horizon T; T at the first step of a trajectory.
        next_observation: (B, *observation.shape), min(n, steps_to_end) steps later.
        next_steps_left: (B,) int64, `steps_left` at `next_observation`.
        achieved: (B, *achieved_goal.shape), the final frame of the trajectory.
        steps_to_end: (B,) int64, steps until the trajectory ends, 1 at its last step.
        relabelled: (B,) bool, whether `goal` is `achieved`.
        probability: (B,) float64, the probability with which each step was drawn.
        slots: (B,) int64, the steps' slots, for :meth:`DiscernReplay.set_errors`.
    """

    observation: torch.Tensor
    action: Int[torch.Tensor, "b"]
    goal: torch.Tensor
    steps_left: Int[torch.Tensor, "b"]
    next_observation: torch.Tensor
    next_steps_left: Int[torch.Tensor, "b"]
    achieved: torch.Tensor
    steps_to_end: Int[torch.Tensor, "b"]
    relabelled: Bool[torch.Tensor, "b"]
    probability: Float[torch.Tensor, "b"]
    slots: NDArray[np.int64]


class DiscernReplay(TrajectoryStore):
    """A ring of the latest trajectories, with a priority for each of their steps.

    Args:
        capacity: number of frames kept; a trajectory of L actions takes L + 2, its goal included.
        observation_space: see :class:`~glamor_gym.replay.frame_ring.FrameRing`.
        n_actions: number of actions A.
        horizon: maximum number T of steps per trajectory; steps left are counted down from it.
        n_steps: n of the n-step returns.
        relabelled_share: share of samples whose goal is the final frame of their trajectory.
        priority_exponent: α, from 0 to 1; 0 draws uniformly.
        goal_buffer_size: number of slots of `goals`; 0 for no goals, which takes a slot all the
            same.
        seed: seed of the sampling.

    Attributes:
        goals: frames to be pursued, offered and drawn by the agent.

    Raises:
        ValueError: an argument is out of range, or the spaces are not those of a goal environment.
        TypeError: an argument is of the wrong type.
    """

    def __init__(
        self,
        capacity: int,
        observation_space: spaces.Dict,
        n_actions: int,
        *,
        horizon: int,
        n_steps: int = 3,
        relabelled_share: float = 0.5,
        priority_exponent: float = 0.6,
        goal_buffer_size: int = 1_000,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            capacity, observation_space, n_actions, keep_goals=True, horizon=horizon, seed=seed
        )
        self.n_steps = as_integer(n_steps, name="n_steps", low=1)
        self.relabelled_share = as_probability(relabelled_share, name="relabelled_share")
        self.priority_exponent = as_probability(priority_exponent, name="priority_exponent")
        n_goals = max(1, as_integer(goal_buffer_size, name="goal_buffer_size", low=0))
        self.goals = GoalBuffer(n_goals, self.goal_space.shape, np.dtype(self.goal_space.dtype))
        self._tree = SumTree(self.capacity)
        self._highest = 1.0
        self._firsts = np.zeros(self.capacity, dtype=np.int64)
        self._lasts = np.zeros(self.capacity, dtype=np.int64)

    def add(self, trajectory: Trajectory) -> None:
        """Store one trajectory with its goal; its steps get the highest priority set so far.

        Raises:
            ValueError: see :meth:`TrajectoryStore.add`; also, the trajectory has no goal.
            TypeError: see :meth:`TrajectoryStore.add`.
        """
        super().add(trajectory)
        last = self._head - 1
        first = last - len(trajectory)
        self._firsts[first:last], self._lasts[first:last] = first, last
        self._tree.set(np.arange(first, last), self._highest)

    def _drop_oldest(self) -> None:
        first = int(self._spans.starts[0]) + self.goal_slots
        self._tree.set(np.arange(first, int(self._lasts[first])), 0.0)
        super()._drop_oldest()

    def sample(self, batch_size: int, device: torch.device | str = "cpu") -> TransitionBatch:
        """Draw transitions with replacement, one from each of B equal shares of total priority.

        Args:
            batch_size: number B of transitions.
            device: device of the tensors.

        Raises:
            ValueError: `batch_size` is out of range, or nothing is stored yet.
        """
        self._check_batch_size(batch_size)
        stretches = np.arange(batch_size) + self.rng.random(batch_size)
        now = self._tree.find(stretches * (self._tree.total / batch_size))
        first, last = self._firsts[now], self._lasts[now]
        then = np.minimum(now + self.n_steps, last)
        relabelled = self.rng.random(batch_size) < self.relabelled_share
        goal_slots = np.where(relabelled, last, first - 1)
        return TransitionBatch(
            observation=to_device(device, self._observe(first, now)),
            action=to_device(device, self._actions[now]),
            goal=to_device(device, np.take(self._achieved, goal_slots, axis=0)),
            steps_left=to_device(device, self.horizon - (now - first)),
            next_observation=to_device(device, self._observe(first, then)),
            next_steps_left=to_device(device, self.horizon - (then - first)),
            achieved=to_device(device, np.take(self._achieved, last, axis=0)),
            steps_to_end=to_device(device, last - now),
            relabelled=to_device(device, relabelled),
            probability=to_device(device, self._tree[now] / self._tree.total),
            slots=now,
        )

    def sample_pairs(self, batch_size: int, device: torch.device | str = "cpu") -> GoalPairs:
        """Draw pairs for the discriminator with replacement, uniformly over steps.

        Args:
            batch_size: number B of pairs.
            device: device of the tensors.

        Raises:
            ValueError: `batch_size` is out of range, or nothing is stored yet.
        """
        self._check_batch_size(batch_size)
        first, _, last = self._locate(self.rng.integers(0, len(self), size=batch_size))
        return GoalPairs(
            achieved=to_device(device, np.take(self._achieved, last, axis=0)),
            goal=to_device(device, np.take(self._achieved, first - 1, axis=0)),
        )

    def set_errors(self, slots: NDArray[np.int64], errors: NDArray[np.floating[Any]]) -> None:
        """Set the priorities of the steps of the latest batch, before anything else is stored.

        Args:
            slots: (B,) ``TransitionBatch.slots``.
            errors: (B,) errors of the predicted values, finite and 0 or more.
        """
        priorities = (np.asarray(errors, np.float64) + SMALLEST_PRIORITY) ** self.priority_exponent
        self._tree.set(slots, priorities)
        self._highest = max(self._highest, float(priorities.max()))

    # --------------------------------------------------------------------------- checkpoints

    def slot_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays whose slots stay as a run wrote them, as views: (capacity, …)."""
        return {**super().slot_arrays(), "firsts": self._firsts, "lasts": self._lasts}

    def snapshot(self) -> Snapshot:
        """Return the whole state except the contents of :meth:`slot_arrays`."""
        priorities = self._tree[slice(None)]
        return {
            **super().snapshot(),
            "priorities": np.trim_zeros(priorities, "b").copy(),  # of a new ring, most are 0
            "highest": self._highest,
            "goals": self.goals.snapshot(),
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Restore what :meth:`snapshot` returned, see :meth:`FrameRing.restore`."""
        super().restore(snapshot)
        priorities = snapshot["priorities"][: self.capacity]  # of a ring of any size
        self._tree = SumTree(self.capacity)
        self._tree.set(np.arange(len(priorities)), priorities)
        self._highest = snapshot["highest"]
        self.goals.restore(snapshot["goals"])
