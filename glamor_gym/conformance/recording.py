"""Episodes that are played once and used by many checks.

In: a goal environment. Out: what it returned at each time step, both as a copy made at once and as
the returned arrays themselves.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import DummyVecEnv

from glamor_gym.vector.sb3 import horizon_of

MOST_STEPS_PLAYED = 1_000
"""Maximum number of steps to play if the horizon is unknown."""


@dataclass(frozen=True)
class TimeStep:
    """What an environment returned from one reset or step.

    Attributes:
        place: where in the recordings it is, in words, e.g. "step 3 of the first episode".
        action: the action of the step; None at a reset.
        observation: a copy of the observation, made at once.
        held: the observation itself, with the arrays that the environment returned.
        reward: 0.0 at a reset.
        terminated: False at a reset.
        truncated: False at a reset.
        info: a copy of the info.
    """

    place: str
    action: Any
    observation: dict[str, NDArray[Any]]
    held: dict[str, NDArray[Any]]
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]

    @property
    def over(self) -> bool:
        """Whether the episode ended here."""
        return bool(self.terminated or self.truncated)


Recording = list[TimeStep]
Choice = Callable[[int], Any]
"""Number of steps taken → the next action."""


def play(
    env: gym.Env[Any, Any],
    choose: Choice,
    *,
    seed: int | None,
    most: int,
    name: str = "the episode",
) -> Recording:
    """Play one episode until it ends, for at most `most` steps.

    Args:
        env: the environment.
        choose: chooses the actions.
        seed: seed of the reset; None for an episode that continues the draws of the one before.
        most: maximum number of steps.
        name: what messages call the episode.
    """
    observation, info = env.reset(seed=seed)
    episode = [_moment(f"the reset of {name}", None, observation, 0.0, False, False, info)]
    while not episode[-1].over and len(episode) <= most:
        action = choose(len(episode) - 1)
        episode.append(_moment(f"step {len(episode)} of {name}", action, *env.step(action)))
    return episode


def _moment(
    place: str,
    action: Any,
    held: Any,
    reward: Any,
    terminated: Any,
    truncated: Any,
    info: Any,
) -> TimeStep:
    seen, told = copy.deepcopy(held), copy.deepcopy(info)
    return TimeStep(place, action, seen, held, reward, terminated, truncated, told)


class GoalEnvSubject:
    """A goal environment to be checked.

    Args:
        env: the environment, wrappers included. It is reset and stepped, never closed.
        seed: seed of the resets and of the actions.
    """

    def __init__(self, env: gym.Env[Any, Any], seed: int = 0) -> None:
        self.env = env
        self.seed = seed

    @cached_property
    def stop_action(self) -> int | None:
        """Index of its STOP action; None if it has none."""
        if not self.env.has_wrapper_attr("stop_action"):
            return None
        told = self.env.get_wrapper_attr("stop_action")
        return None if told is None else int(told)

    @property
    def time_limit(self) -> int | None:
        """Number of steps after which Gymnasium truncates an episode; None if it does not."""
        return None if self.env.spec is None else self.env.spec.max_episode_steps

    @cached_property
    def horizon(self) -> int | None:
        """T, as agents determine it; None if it is unknown."""
        try:
            return horizon_of(DummyVecEnv([lambda: self.env]))
        except ValueError:
            return None

    @cached_property
    def recordings(self) -> tuple[Recording, Recording]:
        """Two episodes of random actions without STOP: a seeded one and the next one."""
        return self.play_two()

    @property
    def moments(self) -> Iterator[TimeStep]:
        """All time steps of the recordings."""
        return (moment for episode in self.recordings for moment in episode)

    @property
    def steps(self) -> Iterator[tuple[TimeStep, TimeStep]]:
        """All pairs (before, after) of consecutive time steps of the recordings."""
        return (pair for episode in self.recordings for pair in pairwise(episode))

    def play_two(self) -> tuple[Recording, Recording]:
        """Play a seeded episode and the next one; every call takes the same actions."""
        choose = self.random_actions()
        record = partial(play, self.env, choose, most=self.most_steps)
        first = record(seed=self.seed, name="the first episode")
        return first, record(seed=None, name="the second episode")

    @property
    def most_steps(self) -> int:
        """Maximum number of steps to play: a few more than the horizon."""
        return MOST_STEPS_PLAYED if self.horizon is None else self.horizon + 2

    def random_actions(self) -> Choice:
        """Return a newly seeded source of random actions other than STOP."""
        space = copy.deepcopy(self.env.action_space)
        space.seed(self.seed)
        stop = self.stop_action
        if stop is None or not isinstance(space, spaces.Discrete) or not space.contains(stop):
            return lambda _: space.sample()
        allowed = np.ones(int(space.n), np.int8)
        allowed[stop - int(space.start)] = 0
        return lambda _: space.sample(mask=allowed)
