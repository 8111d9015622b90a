"""Play a list of episodes with one agent and several environments in parallel.

In: an agent, goal environments and a list of :class:`EpisodeKey`. Out: an :class:`Episode` for each
key. ``agent.predict`` is called once per step with the whole batch, whose size never changes: an
environment whose episode has ended starts the next one at once, and when none is left its row keeps
the last observation and its actions are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import create_empty_array
from numpy.typing import NDArray

from glamor_gym.evaluation.baselines import Predictor
from glamor_gym.types import EpisodeFrames
from glamor_gym.wrappers.goal_rules import as_labels

Observation = dict[str, NDArray[Any]]


class EpisodeKey(NamedTuple):
    """What identifies an evaluation episode: goal index and repeat."""

    goal: int
    repeat: int


@dataclass(frozen=True)
class Episode:
    """The outcome of one evaluation episode.

    Attributes:
        key: goal index and repeat.
        success: ``info["is_success"]`` at the end: whether every label was within its tolerance.
        arrival: number of environment steps until that first held; None if it never did.
        image_match: whether the last frame equals the goal picture.
        length: number of environment steps, STOP not counted.
        start_labels: labels before the first action; empty if the environment has none.
        labels: labels at the end; empty if the environment has none.
        goal_labels: labels of the goal; empty if they are unknown.
        frames: the frames, if they were recorded.
    """

    key: EpisodeKey
    success: bool
    arrival: int | None
    image_match: bool
    length: int
    start_labels: Mapping[str, float]
    labels: Mapping[str, float]
    goal_labels: Mapping[str, float]
    frames: EpisodeFrames | None

    @property
    def reached(self) -> bool:
        """Whether every label was within its tolerance at some time step."""
        return self.arrival is not None


class Moment(NamedTuple):
    """One time step of an evaluation episode, passed to `on_moment`.

    Attributes:
        key: goal index and repeat of the episode.
        env: its environment, before `action` is taken.
        action: the agent's action; None if the episode is over.
        state: the state that ``agent.predict`` returned with it, for the whole batch.
        row: row of `state` that belongs to this episode.
    """

    key: EpisodeKey
    env: gym.Env[Observation, np.int64]
    action: int | None
    state: Any
    row: int


def episode_seed(seed: int, key: EpisodeKey) -> int:
    """Return the seed of one episode, an integer in [0, 2³²).

    It depends only on the arguments, so that every agent gets the same starts, whatever the number
    of environments and the order in which episodes end.
    """
    return int(np.random.SeedSequence((seed, key.goal, key.repeat)).generate_state(1)[0])


def play(
    agent: Predictor,
    envs: Sequence[gym.Env[Observation, np.int64]],
    keys: Sequence[EpisodeKey],
    *,
    seed: int,
    deterministic: bool = True,
    record: Collection[EpisodeKey] = (),
    on_moment: Callable[[Moment], object] | None = None,
) -> Iterator[Episode]:
    """Play every episode, and yield it when it ends.

    Args:
        agent: anything with the ``predict`` of Stable-Baselines3.
        envs: goal environments with the same spaces, at most as many as there are episodes.
            They are reset here and left open.
        keys: the episodes to play.
        seed: seed from which the seed of each episode is derived.
        deterministic: passed to ``agent.predict``.
        record: the episodes whose frames are kept.
        on_moment: called at every time step of every episode, and once when it is over.

    Yields:
        The episodes, in the order in which they end.

    Raises:
        ValueError: the agent did not return one valid action per observation.
    """
    waiting = iter(keys)
    running = [_RunningEpisode(env, seed, record) for env in envs]
    observations = cast(Observation, create_empty_array(envs[0].observation_space, len(envs)))
    for row, key in zip(range(len(envs)), waiting, strict=False):
        _put(observations, row, running[row].start(key))

    n_actions = int(cast(gym.spaces.Discrete, envs[0].action_space).n)
    episode_start = np.ones(len(envs), np.bool_)
    state: Any = None
    busy = set(range(len(envs)))
    while busy:
        actions, state = agent.predict(
            observations, state=state, episode_start=episode_start, deterministic=deterministic
        )
        actions = _checked(actions, len(envs), n_actions)
        episode_start = np.zeros(len(envs), np.bool_)
        for row in sorted(busy):
            if on_moment is not None:
                on_moment(Moment(running[row].key, envs[row], int(actions[row]), state, row))
            observation = running[row].step(actions[row])
            if running[row].done:
                if on_moment is not None:
                    on_moment(Moment(running[row].key, envs[row], None, state, row))
                yield running[row].episode()
                following = next(waiting, None)
                if following is None:
                    busy.remove(row)
                    continue
                observation = running[row].start(following)
                episode_start[row] = True
            _put(observations, row, observation)


class _RunningEpisode:
    """One environment of the batch, and the episode that is running in it."""

    def __init__(
        self, env: gym.Env[Observation, np.int64], seed: int, record: Collection[EpisodeKey]
    ) -> None:
        self._env = env
        self._seed = seed
        self._record = record
        self._stop = int(env.get_wrapper_attr("stop_action"))

    def start(self, key: EpisodeKey) -> Observation:
        self.key = key
        self._observation, self._info = self._env.reset(
            seed=episode_seed(self._seed, key), options={"goal": key.goal}
        )
        self._start_labels = self._labels("labels")
        self._length = 0
        self._arrival = 0 if self._info["is_success"] else None
        self.done = False
        self._frames = [self._observation["achieved_goal"]]
        return self._observation

    def step(self, action: np.int64) -> Observation:
        self._observation, _, terminated, truncated, self._info = self._env.step(action)
        self.done = terminated or truncated
        if action != self._stop:
            self._length += 1
            if self.key in self._record:
                self._frames.append(self._observation["achieved_goal"])
        if self._arrival is None and self._info["is_success"]:
            self._arrival = self._length
        return self._observation

    def episode(self) -> Episode:
        achieved = self._observation["achieved_goal"]
        goal = self._observation["desired_goal"]
        success = bool(self._info["is_success"])
        frames = None
        if self.key in self._record:
            frames = EpisodeFrames(
                goal_index=self.key.goal,
                goal=_picture(goal),
                frames=np.stack([_picture(frame) for frame in self._frames]),
                success=success,
            )
        return Episode(
            key=self.key,
            success=success,
            arrival=self._arrival,
            image_match=np.array_equal(achieved, goal),
            length=self._length,
            start_labels=self._start_labels,
            labels=self._labels("labels"),
            goal_labels=self._labels("goal_labels"),
            frames=frames,
        )

    def _labels(self, key: str) -> dict[str, float]:
        """Return the labels in the latest info; empty if it has none."""
        return as_labels(self._info.get(key) or {})


def _picture(frame: NDArray[Any]) -> NDArray[Any]:
    """Return a frame (C, H, W) as (H, W), the mean over its channels, and a vector unchanged."""
    if frame.ndim != 3:
        return frame
    gray: NDArray[Any] = frame.mean(axis=0).astype(frame.dtype)
    return gray


def _put(observations: Observation, row: int, observation: Observation) -> None:
    for key, value in observation.items():
        observations[key][row] = value


def _checked(actions: Any, n_envs: int, n_actions: int) -> NDArray[np.int64]:
    """Return the agent's actions as (n_envs,) int64.

    Raises:
        ValueError: they have another shape, are not integers, or are out of range.
    """
    array = np.asarray(actions)
    if array.shape != (n_envs,) or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(
            f"agent.predict must return integer actions of shape ({n_envs},) for a batch of "
            f"{n_envs} observations, got {array.dtype} of shape {array.shape}"
        )
    if array.min() < 0 or array.max() >= n_actions:
        raise ValueError(
            f"agent.predict must return actions in [0, {n_actions}), got {array.tolist()}"
        )
    return array.astype(np.int64)
