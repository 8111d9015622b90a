"""Episodes with rewards in; transitions out, some of them relabelled in hindsight.

In: the arrays of one episode per call. Out: batches of transitions.

Hindsight experience replay (Andrychowicz et al., 2017) with future goals: the goal of a relabelled
transition is the frame after it or after a later step of its episode, drawn uniformly. Its reward
is 1 if the next frame equals that goal, else 0 (``compute_reward``); whether the episode went on
does not depend on the goal (``compute_terminated``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from glamor_gym.replay.frame_ring import FrameRing

Moments = dict[str, NDArray[Any]]


class HindsightRing(FrameRing):
    """A ring of the latest episodes; stores each frame once, and the goal once per episode.

    Args:
        capacity: number of frames kept; an episode of N actions takes N + 2, its goal included.
        observation_space: see :class:`~glamor_gym.replay.frame_ring.FrameRing`.

    Raises:
        ValueError: `capacity` is below 2, or the spaces are not those of a goal environment.
    """

    def __init__(self, capacity: int, observation_space: spaces.Dict) -> None:
        super().__init__(capacity, observation_space, keep_goals=True)
        self._actions = np.zeros(capacity, np.int64)
        self._rewards = np.zeros(capacity, np.float32)
        # One value per episode, at the slot of its first frame:
        self._steps_left = np.zeros(capacity, np.float32)
        self._lasts = np.zeros(capacity, np.int64)  # slot of the last frame
        self._dones = np.zeros(capacity, np.float32)

    def __len__(self) -> int:
        """Return the number of transitions stored."""
        return self._spans.steps

    def add(
        self,
        *,
        achieved: NDArray[Any],
        observations: NDArray[Any],
        actions: Sequence[int],
        rewards: NDArray[np.float32],
        goal: NDArray[Any],
        steps_left: float,
        done: bool,
    ) -> None:
        """Store one episode of N actions, dropping the oldest ones to make room.

        Args:
            achieved: (M, *achieved_goal.shape), the frames; M is N + 1, or N if the last action was
                STOP, which leaves the world as it is, so that no frame follows it.
            observations: (M, *observation.shape); stored only if they are no stacks of frames.
            actions: (N,).
            rewards: (N,).
            goal: (*achieved_goal.shape).
            steps_left: steps left before the first action.
            done: whether the return ends with the last action, so that nothing is bootstrapped.

        Raises:
            ValueError: the episode does not fit the ring or the spaces.
        """
        self._check_moments(achieved, observations, len(achieved), goal)
        first = self._write(achieved, observations, len(actions), goal)
        steps = slice(first, first + len(actions))
        self._actions[steps], self._rewards[steps] = actions, rewards
        self._steps_left[first] = steps_left
        self._lasts[first] = first + len(achieved) - 1
        self._dones[first] = done

    def sample(
        self, batch_size: int, n_relabelled: int, rng: np.random.Generator
    ) -> tuple[Moments, Moments, NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
        """Draw transitions uniformly, with replacement.

        Args:
            batch_size: number B of transitions.
            n_relabelled: number of them that are relabelled in hindsight, the first ones.
            rng: source of randomness.

        Returns:
            The observations before the actions and after them, each with ``steps_left`` of (B, 1);
            and the (B,) actions, rewards and flags, 1.0 or 0.0, of returns that end.

        Raises:
            ValueError: nothing is stored yet.
        """
        if not len(self):
            raise ValueError(
                "nothing to sample: no episode has ended yet; set learning_starts to more steps "
                "than an episode has"
            )
        first, now, end = self._locate(rng.integers(0, len(self), size=batch_size))
        last = self._lasts[first]
        following = np.minimum(now + 1, last)
        later = rng.integers(now, end)
        relabelled = np.arange(batch_size) < n_relabelled
        goal_slots = np.where(relabelled, np.minimum(later + 1, last), first - 1)

        goal = np.take(self._achieved, goal_slots, axis=0)
        steps_left = (self._steps_left[first] - (now - first))[:, None].astype(np.float32)
        before, after = (
            {
                "observation": self._observe(first, slots),
                "achieved_goal": np.take(self._achieved, slots, axis=0),
                "desired_goal": goal,
                "steps_left": left,
            }
            for slots, left in ((now, steps_left), (following, steps_left - 1))
        )
        reward = np.where(relabelled, equal(after["achieved_goal"], goal), self._rewards[now])
        done = np.where(now == end - 1, self._dones[first], np.float32(0))
        return before, after, self._actions[now], reward, done


def equal(achieved: NDArray[Any], goal: NDArray[Any]) -> NDArray[np.float32]:
    """Return 1.0 for each of B rows whose frames are equal, else 0.0: the reward ``"image"``."""
    same: NDArray[np.bool_] = (achieved == goal).reshape(len(achieved), -1).all(axis=1)
    return same.astype(np.float32)
