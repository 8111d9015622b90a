"""Episodes with rewards in; transitions out, some of them relabelled in hindsight.

In: :class:`PlayedEpisode`, one per call. Out: :class:`Transitions`, as arrays.

Hindsight experience replay (Andrychowicz et al., 2017) with future goals: the goal of a relabelled
transition is the frame after it or after a later step of its episode, drawn uniformly. Its reward
is 1 if the next frame equals that goal, else 0 (``compute_reward``); whether the episode went on
does not depend on the goal (``compute_terminated``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from glamor_gym.replay.frame_ring import FrameRing


@dataclass(frozen=True)
class PlayedEpisode:
    """One episode of N actions, the last of which may have been STOP.

    Attributes:
        achieved: (M, *achieved_goal.shape), the frames; M is N + 1, or N if the last action left
            the world unchanged, so that no frame follows it.
        observations: (M, *observation.shape); None if they are stacks of frames.
        actions: (N,) int64.
        rewards: (N,) float32.
        goal: (*achieved_goal.shape).
        steps_left: steps left before the first action.
        done: whether the return ends with the last action, so that nothing is bootstrapped.
    """

    achieved: NDArray[Any]
    observations: NDArray[Any] | None
    actions: NDArray[np.int64]
    rewards: NDArray[np.float32]
    goal: NDArray[Any]
    steps_left: float
    done: bool


@dataclass(frozen=True)
class Transitions:
    """B transitions.

    Attributes:
        observation: (B, *observation.shape), before the action.
        next_observation: (B, *observation.shape), after the action.
        achieved: (B, *achieved_goal.shape), before the action.
        next_achieved: (B, *achieved_goal.shape), after the action.
        goal: (B, *achieved_goal.shape).
        steps_left: (B, 1) float32, before the action.
        action: (B,) int64.
        reward: (B,) float32.
        done: (B,) float32, 1.0 or 0.0.
    """

    observation: NDArray[Any]
    next_observation: NDArray[Any]
    achieved: NDArray[Any]
    next_achieved: NDArray[Any]
    goal: NDArray[Any]
    steps_left: NDArray[np.float32]
    action: NDArray[np.int64]
    reward: NDArray[np.float32]
    done: NDArray[np.float32]


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

    @property
    def nbytes(self) -> int:
        """Number of bytes of the slots that hold episodes."""
        per_slot = sum(int(array[0].nbytes) for array in self._full_arrays().values())
        return per_slot * len(self._used_slots())

    def add(self, episode: PlayedEpisode) -> None:
        """Store one episode, dropping the oldest ones to make room.

        Raises:
            ValueError: the episode does not fit the ring or the spaces, or its arrays do not fit
                each other.
        """
        n_moments, n_actions = len(episode.achieved), len(episode.actions)
        self._check_moments(episode.achieved, episode.observations, n_moments, episode.goal)
        if n_actions < 1 or n_moments not in (n_actions, n_actions + 1):
            raise ValueError(
                f"episode must have N ≥ 1 actions and N or N + 1 frames, got {n_actions} actions "
                f"and {n_moments} frames"
            )
        if np.shape(episode.actions) != np.shape(episode.rewards):
            raise ValueError(
                f"rewards must have the shape of actions, {np.shape(episode.actions)}, got "
                f"{np.shape(episode.rewards)}"
            )
        first = self._write(episode.achieved, episode.observations, n_actions, episode.goal)
        steps = slice(first, first + n_actions)
        self._actions[steps], self._rewards[steps] = episode.actions, episode.rewards
        self._steps_left[first] = episode.steps_left
        self._lasts[first] = first + n_moments - 1
        self._dones[first] = episode.done

    def sample(self, batch_size: int, n_relabelled: int, rng: np.random.Generator) -> Transitions:
        """Draw transitions uniformly, with replacement.

        Args:
            batch_size: number B of transitions.
            n_relabelled: number of them that are relabelled in hindsight, the first ones.
            rng: source of randomness.

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

        achieved, next_achieved, goal = (
            np.take(self._achieved, slots, axis=0) for slots in (now, following, goal_slots)
        )
        return Transitions(
            observation=self._observe(first, now),
            next_observation=self._observe(first, following),
            achieved=achieved,
            next_achieved=next_achieved,
            goal=goal,
            steps_left=(self._steps_left[first] - (now - first))[:, None].astype(np.float32),
            action=self._actions[now],
            reward=np.where(relabelled, equal(next_achieved, goal), self._rewards[now]),
            done=np.where(now == end - 1, self._dones[first], np.float32(0)),
        )


def equal(achieved: NDArray[Any], goal: NDArray[Any]) -> NDArray[np.float32]:
    """Return 1.0 for each of B rows whose frames are equal, else 0.0: the reward ``"image"``."""
    same: NDArray[np.bool_] = (achieved == goal).reshape(len(achieved), -1).all(axis=1)
    return same.astype(np.float32)
