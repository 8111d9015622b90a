"""Play a list of episodes with one agent and several environments side by side.

In: an agent, goal environments and the :class:`Errand`s to be done. Out: an :class:`Episode` for
each errand. The agent is asked once a step for the whole batch, whose size never changes: an
environment that has finished takes the next errand at once, and a row without work left keeps its
last observation and is ignored.
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


class Errand(NamedTuple):
    """One episode to be played: towards which goal, and for the how-manieth time."""

    goal: int
    repeat: int


@dataclass(frozen=True)
class Episode:
    """What came of one episode.

    Attributes:
        errand: which episode it was.
        success: whether every label was within the tolerance at the end.
        arrival: number of environment steps after which that was so for the first time; None if
            it never was.
        image_match: whether the last frame equals the goal picture.
        length: number of environment steps, STOP not counted.
        start_labels: labels before the first action.
        labels: labels at the end.
        goal_labels: labels of the goal; empty where they are unknown.
        frames: its pictures, where they were asked for.
    """

    errand: Errand
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
        """Whether every label was within the tolerance at some moment."""
        return self.arrival is not None


class Moment(NamedTuple):
    """An episode between two steps, for those who look on.

    Attributes:
        errand: which episode it is.
        env: its environment, as the agent has just seen it.
        action: what the agent chose to do; None where the episode is over.
        state: what ``agent.predict`` returned beside it, for the whole batch.
        row: which row of `state` is this episode's.
    """

    errand: Errand
    env: gym.Env[Observation, np.int64]
    action: int | None
    state: Any
    row: int


def episode_seed(seed: int, errand: Errand) -> int:
    """Return the seed of one episode, a number in [0, 2³²).

    It depends on nothing but its arguments, so that every agent meets the same starts,
    whatever the number of environments and the order in which they finish.
    """
    return int(np.random.SeedSequence((seed, errand.goal, errand.repeat)).generate_state(1)[0])


def play(
    agent: Predictor,
    envs: Sequence[gym.Env[Observation, np.int64]],
    errands: Sequence[Errand],
    *,
    seed: int,
    deterministic: bool = True,
    record: Collection[Errand] = (),
    on_moment: Callable[[Moment], object] | None = None,
) -> Iterator[Episode]:
    """Play every errand and yield its episode when it ends.

    Args:
        agent: anything with the ``predict`` of Stable-Baselines3.
        envs: goal environments of one kind, no more than there are errands. They are reset here
            and left open.
        errands: the episodes to play.
        seed: from which the seed of each episode is derived.
        deterministic: handed to ``agent.predict``.
        record: the errands whose pictures are kept.
        on_moment: called at every moment of every episode, the last one included.

    Yields:
        The episodes, in the order in which they end.

    Raises:
        ValueError: the agent returned something else than one allowed action per observation.
    """
    waiting = iter(errands)
    seats = [_Seat(env, seed, record) for env in envs]
    observations = cast(Observation, create_empty_array(envs[0].observation_space, len(envs)))
    for row, (seat, errand) in enumerate(zip(seats, waiting, strict=False)):
        _put(observations, row, seat.start(errand))

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
                on_moment(Moment(seats[row].errand, envs[row], int(actions[row]), state, row))
            observation = seats[row].step(actions[row])
            if seats[row].done:
                if on_moment is not None:
                    on_moment(Moment(seats[row].errand, envs[row], None, state, row))
                yield seats[row].episode()
                following = next(waiting, None)
                if following is None:
                    busy.remove(row)
                    continue
                observation = seats[row].start(following)
                episode_start[row] = True
            _put(observations, row, observation)


class _Seat:
    """One environment of the batch, and the episode that is running in it."""

    def __init__(
        self, env: gym.Env[Observation, np.int64], seed: int, record: Collection[Errand]
    ) -> None:
        self._env = env
        self._seed = seed
        self._record = record
        self._stop = int(env.get_wrapper_attr("stop_action"))

    def start(self, errand: Errand) -> Observation:
        self.errand = errand
        self._observation, self._info = self._env.reset(
            seed=episode_seed(self._seed, errand), options={"goal": errand.goal}
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
            if self.errand in self._record:
                self._frames.append(self._observation["achieved_goal"])
        if self._arrival is None and self._info["is_success"]:
            self._arrival = self._length
        return self._observation

    def episode(self) -> Episode:
        achieved = self._observation["achieved_goal"]
        goal = self._observation["desired_goal"]
        success = bool(self._info["is_success"])
        frames = None
        if self.errand in self._record:
            frames = EpisodeFrames(
                goal_index=self.errand.goal,
                goal=_picture(goal),
                frames=np.stack([_picture(frame) for frame in self._frames]),
                success=success,
            )
        return Episode(
            errand=self.errand,
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
        """Return labels of this moment; none where the environment tells none."""
        return as_labels(self._info.get(key) or {})


def _picture(frame: NDArray[Any]) -> NDArray[Any]:
    """(C, H, W) as (H, W), the mean over its channels; a vector as it is."""
    if frame.ndim != 3:
        return frame
    gray: NDArray[Any] = frame.mean(axis=0).astype(frame.dtype)
    return gray


def _put(observations: Observation, row: int, observation: Observation) -> None:
    for key, value in observation.items():
        observations[key][row] = value


def _checked(actions: Any, n_envs: int, n_actions: int) -> NDArray[np.int64]:
    """The agent's actions as (n_envs,) int64.

    Raises:
        ValueError: they have another shape, are no integers, or name an action that there is not.
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
