"""Snapshots for environments that offer none: the seed of the episode, and the actions since.

In: any environment whose ``reset(seed=…)`` determines all that follows, as Gymnasium requires.
Out: the same environment with a property ``snapshot``, which is restored by replaying the episode.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any, ClassVar, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, RepeatAction

from glamor_gym.snapshots import Snapshot, Stateless, random_state, set_random_state

_STATELESS = (Stateless, OrderEnforcing, PassiveEnvChecker, RepeatAction)
"""Wrappers without state, but for whether there was a reset."""


class EpisodeJournal(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Give each episode a seed of its own, and record its actions.

    A reset without a seed draws one, so that a snapshot needs only the current episode. State that
    the environment carries from one episode to the next in spite of a seeded reset (a curriculum,
    a running mean) is not included. Where a seeded reset is slow, as in ALE's own environments,
    which load the game again, an environment had better offer snapshots itself, as
    :class:`~glamor_gym.envs.atari.AtariWorld` does.
    """

    snapshot_is_whole: ClassVar[bool] = True
    """`snapshot` is a property, and setting it restores everything inside."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        """Wrap `env`."""
        RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)
        self._seeds = np.random.default_rng()
        self._seed: int | None = None
        self._options: dict[str, Any] | None = None
        self._actions: list[Any] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode with `seed`, or with one drawn from the generator last seeded."""
        taken = int(self._seeds.integers(2**31)) if seed is None else seed
        given = copy.deepcopy(options)
        result = self.env.reset(seed=taken, options=options)
        # Only now: a reset that raised leaves the running episode as it was.
        if seed is not None:
            self._seeds = np.random.default_rng(seed)
        self._seed, self._options, self._actions = taken, given, []
        return result

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Take an action and record it."""
        taken = copy.deepcopy(action)
        result = self.env.step(action)
        self._actions.append(taken)  # only now: an action that raised would raise in a replay too
        return result

    @property
    def snapshot(self) -> Snapshot:
        """The episode so far; setting it replays the episode, which takes as long as playing it."""
        return {
            "seeds": random_state(self._seeds),
            "seed": self._seed,
            "options": copy.deepcopy(self._options),
            "actions": copy.deepcopy(self._actions),
        }

    @snapshot.setter
    def snapshot(self, snapshot: Mapping[str, Any]) -> None:
        if snapshot["seed"] is not None:
            # In copies: environments may change what they are given, and snapshots are used again.
            options, actions = copy.deepcopy((snapshot["options"], snapshot["actions"]))
            self.reset(seed=snapshot["seed"], options=options)
            for action in actions:
                self.step(action)
        set_random_state(self._seeds, snapshot["seeds"])


def offers_snapshots(env: gym.Env[Any, Any]) -> bool:
    """Return whether `env` offers snapshots that hold all state of it and its wrappers."""
    # Looked up statically, without calling the property: a snapshot may be costly.
    own = inspect.getattr_static(type(env), "snapshot", None)
    has_own = isinstance(own, property) and own.fset is not None  # it can be set, too
    if isinstance(env, EpisodeJournal) or not isinstance(env, gym.Wrapper):
        return has_own
    return (has_own or isinstance(env, _STATELESS)) and offers_snapshots(env.env)
