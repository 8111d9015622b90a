"""Checks of ``predict``: what it takes, what it returns, what it leaves alone."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from glamor_gym.conformance.randomness import shared_states
from glamor_gym.conformance.recording import GoalEnvSubject
from glamor_gym.conformance.report import CheckFailedError, NotApplicableError

Observation = dict[str, NDArray[Any]]

_BATCH = 3
_REPEATS = 3


class AgentSubject:
    """An agent under examination, with observations to show it.

    Args:
        agent: anything with the ``predict`` of Stable-Baselines3.
        env: a goal environment of the kind that the agent is for. It is reset and stepped.
        seed: of the environment.
    """

    def __init__(self, agent: Any, env: gym.Env[Any, Any], seed: int = 0) -> None:
        self.agent = agent
        self.env = env
        self.seed = seed

    @cached_property
    def batch(self) -> Observation:
        """A few observations of one episode, stacked."""
        seen = [moment.observation for moment in GoalEnvSubject(self.env, self.seed).recordings[0]]
        rows = [seen[min(row, len(seen) - 1)] for row in range(_BATCH)]
        return {key: np.stack([row[key] for row in rows]) for key in rows[0]}

    @property
    def single(self) -> Observation:
        """The first of them, without a batch axis."""
        return {key: value[0] for key, value in self.batch.items()}

    def act(self, observation: Observation, **kwargs: Any) -> NDArray[Any]:
        """Return the agent's deterministic actions, of a copy of the observation."""
        action, _ = self.agent.predict(
            copy.deepcopy(observation), **{"deterministic": True, **kwargs}
        )
        return np.asarray(action)

    def boxes(self, dtype: type[np.generic]) -> Iterator[str]:
        """Return the names of those entries that are Boxes of a kind of number."""
        space = self.env.observation_space
        assert isinstance(space, spaces.Dict)
        for key, box in space.spaces.items():
            if isinstance(box, spaces.Box) and np.issubdtype(box.dtype, dtype):
                yield key


def returns_actions(subject: AgentSubject) -> None:
    """One observation gives one action of the action space, a batch of B gives B of them.

    Mend: return ``(action, state)``; drop the batch axis where the observation had none.
    """
    for deterministic in (True, False):
        action = subject.act(subject.single, deterministic=deterministic)
        if not subject.env.action_space.contains(_as_element(action, subject.env.action_space)):
            raise CheckFailedError(
                f"one observation gave {action!r}, which is not in {subject.env.action_space}"
            )
        actions = subject.act(subject.batch, deterministic=deterministic)
        if actions.shape != (_BATCH, *action.shape):
            raise CheckFailedError(f"{_BATCH} observations gave actions of shape {actions.shape}")
        for row in actions:
            if not subject.env.action_space.contains(_as_element(row, subject.env.action_space)):
                raise CheckFailedError(
                    f"a batch gave {row!r}, which is not in {subject.env.action_space}"
                )


def treats_one_as_a_batch_of_one(subject: AgentSubject) -> None:
    """One observation, and a batch that holds only it, give the same deterministic action.

    Mend: give an observation without a batch axis one, and go on as with a batch.
    """
    for row in range(_BATCH):
        one = {key: value[row] for key, value in subject.batch.items()}
        alone = subject.act(one)
        batched = subject.act({key: value[np.newaxis] for key, value in one.items()})
        if not np.array_equal(alone, batched[0]):
            raise CheckFailedError(f"alone it gives {alone}, as a batch of one {batched[0]}")


def is_deterministic_when_told(subject: AgentSubject) -> None:
    """With ``deterministic=True`` the same observation gives the same action at every call.

    Mend: take the best action; where sampling is part of acting, with noise from a fixed seed.
    """
    first = subject.act(subject.batch)
    for _ in range(_REPEATS):
        subject.act(subject.batch, deterministic=False)  # draws in between must not matter
        again = subject.act(subject.batch)
        if not np.array_equal(first, again):
            raise CheckFailedError(f"it gave {first.tolist()}, then {again.tolist()}")


def draws_no_global_numbers(subject: AgentSubject) -> None:
    """A deterministic prediction draws from no random generator that the whole process shares.

    Mend: use a ``torch.Generator`` or ``numpy.random.Generator`` of the agent's own.
    """
    before = shared_states()
    subject.act(subject.batch)
    after = shared_states()
    if touched := [name for name, state in before.items() if state != after[name]]:
        raise CheckFailedError(f"predict changed the state of {', '.join(touched)}")


def leaves_observations_alone(subject: AgentSubject) -> None:
    """Predicting does not write to the observation.

    Mend: copy before scaling or adding an axis in place.
    """
    given = copy.deepcopy(subject.batch)
    subject.agent.predict(given, deterministic=True)
    for key, value in subject.batch.items():
        if not np.array_equal(value, given[key]):
            raise CheckFailedError(f"predict changed observation[{key!r}]")


def refuses_nan(subject: AgentSubject) -> None:
    """An observation with NaN is refused.

    Networks turn it into NaN scores, of which the first action is the best.

    Mend: raise ``ValueError`` where an entry that is used is not finite.
    """
    keys = list(subject.boxes(np.floating))
    if not keys:
        raise NotApplicableError("no entry of the observation is of floats")
    spoilt = {
        key: np.full_like(value, np.nan) if key in keys else value
        for key, value in subject.single.items()
    }
    _expect_refusal(subject, spoilt, "NaN")


def refuses_scaled_pictures(subject: AgentSubject) -> None:
    """A picture of floats in [0, 1] is refused where the agent was made for bytes.

    It would be divided by 255 once more, and every goal would look black.

    Mend: raise ``ValueError`` where an entry has another dtype than its space.
    """
    keys = list(subject.boxes(np.uint8))
    if not keys:
        raise NotApplicableError("no entry of the observation is of bytes")
    scaled = {
        key: (value / 255).astype(np.float32) if key in keys else value
        for key, value in subject.single.items()
    }
    _expect_refusal(subject, scaled, "pictures of floats")


def refuses_other_shapes(subject: AgentSubject) -> None:
    """An observation whose last axis is cut short is refused.

    Mend: raise ``ValueError`` where an entry has neither the shape of its space nor that of a
    batch.
    """
    if all(value.shape[-1] == 1 for value in subject.single.values()):
        raise NotApplicableError("no entry of the observation is longer than one")
    short = {
        key: value[..., : value.shape[-1] // 2] if value.shape[-1] > 1 else value
        for key, value in subject.single.items()
    }
    _expect_refusal(subject, short, "half an observation")


def begins_anew(subject: AgentSubject) -> None:
    """The state of another episode does not matter where ``episode_start`` is True.

    Mend: forget a row's part of the state where its ``episode_start`` is True.
    """
    fresh, state = subject.agent.predict(copy.deepcopy(subject.batch), deterministic=True)
    turned = {key: value[::-1].copy() for key, value in subject.batch.items()}
    _, state = subject.agent.predict(turned, state=state, deterministic=True)
    starts = np.ones(_BATCH, dtype=bool)
    again = subject.act(subject.batch, state=state, episode_start=starts)
    if not np.array_equal(fresh, again):
        raise CheckFailedError(
            f"a new episode gives {np.asarray(fresh).tolist()}, after another one {again.tolist()}"
        )


def _as_element(action: Any, space: spaces.Space[Any]) -> Any:
    """Return an action in the form in which its space knows it."""
    if not isinstance(space, spaces.Discrete):
        return action
    return np.asarray(action)[()] if np.ndim(action) == 0 else None


def _expect_refusal(subject: AgentSubject, observation: Observation, what: str) -> None:
    try:
        action = subject.act(observation)
    except (ValueError, TypeError):
        return
    raise CheckFailedError(f"{what} gave the action {action}")
