"""Checks of ``predict``: valid actions, determinism, no side effects, invalid observations."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from glamor_gym.conformance.randomness import refusing_shared_draws
from glamor_gym.conformance.recording import GoalEnvSubject, play
from glamor_gym.conformance.report import CheckFailedError, NotApplicableError

Observation = dict[str, NDArray[Any]]

_BATCH = 3
_REPEATS = 3


class AgentSubject:
    """An agent to be checked, with observations for it.

    Args:
        agent: anything with the ``predict`` of Stable-Baselines3.
        env: a goal environment with the spaces that the agent was made for. It is reset and
            stepped.
        seed: seed of the environment.
    """

    def __init__(self, agent: Any, env: gym.Env[Any, Any], seed: int = 0) -> None:
        self.agent = agent
        self.env = env
        self.seed = seed

    @cached_property
    def batch(self) -> Observation:
        """The first observations of one episode, stacked."""
        choose = GoalEnvSubject(self.env, self.seed).random_actions()
        seen = play(self.env, choose, seed=self.seed, most=_BATCH - 1)
        rows = [seen[min(row, len(seen) - 1)].observation for row in range(_BATCH)]
        return {key: np.stack([row[key] for row in rows]) for key in rows[0]}

    @property
    def single(self) -> Observation:
        """The first observation of the episode, without a batch axis."""
        return {key: value[0] for key, value in self.batch.items()}

    def act(self, observation: Observation, **kwargs: Any) -> NDArray[Any]:
        """Return the agent's actions, deterministic unless `kwargs` say otherwise.

        The agent gets a copy of the observation.
        """
        action, _ = self.agent.predict(
            copy.deepcopy(observation), **{"deterministic": True, **kwargs}
        )
        return np.asarray(action)

    def boxes(self, dtype: type[np.generic]) -> Iterator[str]:
        """Yield the keys of the entries that are Boxes of a given kind of number."""
        space = self.env.observation_space
        assert isinstance(space, spaces.Dict)
        for key, box in space.spaces.items():
            if isinstance(box, spaces.Box) and np.issubdtype(box.dtype, dtype):
                yield key


def returns_actions(subject: AgentSubject) -> None:
    """A single observation gives one action of the action space, a batch of B gives B of them.

    Fix: return ``(action, state)``; drop the batch axis where the observation had none.
    """
    for deterministic in (True, False):
        action = subject.act(subject.single, deterministic=deterministic)
        if not subject.env.action_space.contains(_as_element(action, subject.env.action_space)):
            raise CheckFailedError(
                f"a single observation gave {action!r}, which is not in {subject.env.action_space}"
            )
        actions = subject.act(subject.batch, deterministic=deterministic)
        if actions.shape != (_BATCH, *action.shape):
            raise CheckFailedError(
                f"a batch of {_BATCH} observations gave actions of shape {actions.shape}"
            )
        for row in actions:
            if not subject.env.action_space.contains(_as_element(row, subject.env.action_space)):
                raise CheckFailedError(
                    f"a batch gave {row!r}, which is not in {subject.env.action_space}"
                )


def treats_one_as_a_batch_of_one(subject: AgentSubject) -> None:
    """A single observation gives the same deterministic action as a batch that holds only it.

    Fix: add a batch axis to an observation that has none, and treat it as a batch.
    """
    for row in range(_BATCH):
        one = {key: value[row] for key, value in subject.batch.items()}
        alone = subject.act(one)
        batched = subject.act({key: value[np.newaxis] for key, value in one.items()})
        if not np.array_equal(alone, batched[0]):
            raise CheckFailedError(
                f"a single observation gives {alone}, a batch of one {batched[0]}"
            )


def is_deterministic_when_told(subject: AgentSubject) -> None:
    """With ``deterministic=True`` the same observation gives the same action at every call.

    Fix: return the best action; if acting involves sampling, use noise from a fixed seed.
    """
    first = subject.act(subject.batch)
    for _ in range(_REPEATS):
        subject.act(subject.batch, deterministic=False)  # draws in between must have no effect
        again = subject.act(subject.batch)
        if not np.array_equal(first, again):
            raise CheckFailedError(f"the same batch gave {first.tolist()}, then {again.tolist()}")


def draws_no_global_numbers(subject: AgentSubject) -> None:
    """A deterministic prediction does not draw from a global random generator.

    Fix: use a ``torch.Generator`` or ``numpy.random.Generator`` that belongs to the agent.
    """
    with refusing_shared_draws("predict"):
        subject.act(subject.batch)


def leaves_observations_alone(subject: AgentSubject) -> None:
    """Predicting does not write to the observation.

    Fix: copy it before scaling it or adding an axis in place.
    """
    given = copy.deepcopy(subject.batch)
    subject.agent.predict(given, deterministic=True)
    for key, value in subject.batch.items():
        if not np.array_equal(value, given[key]):
            raise CheckFailedError(f"predict changed observation[{key!r}]")


def refuses_nan(subject: AgentSubject) -> None:
    """An observation with NaN is rejected.

    Networks turn it into NaN scores, and the argmax of those is the first action.

    Fix: raise ``ValueError`` if an entry that is used is not finite.
    """
    keys = list(subject.boxes(np.floating))
    if not keys:
        raise NotApplicableError("the observation has no entry of floats")
    spoilt = {
        key: np.full_like(value, np.nan) if key in keys else value
        for key, value in subject.single.items()
    }
    _expect_refusal(subject, spoilt, "an observation with NaN")


def refuses_scaled_pictures(subject: AgentSubject) -> None:
    """An image of floats in [0, 1] is rejected if the agent was made for uint8 images.

    It would be divided by 255 again, and every goal would look black.

    Fix: raise ``ValueError`` if an entry has another dtype than its space.
    """
    keys = list(subject.boxes(np.uint8))
    if not keys:
        raise NotApplicableError("the observation has no uint8 entry")
    scaled = {
        key: (value / 255).astype(np.float32) if key in keys else value
        for key, value in subject.single.items()
    }
    _expect_refusal(subject, scaled, "an observation with float images")


def refuses_other_shapes(subject: AgentSubject) -> None:
    """An observation whose last axis is too short is rejected.

    Fix: raise ``ValueError`` if an entry has neither the shape of its space nor that of a batch.
    """
    if all(value.shape[-1] == 1 for value in subject.single.values()):
        raise NotApplicableError("no entry of the observation has a last axis longer than 1")
    short = {
        key: value[..., : value.shape[-1] // 2] if value.shape[-1] > 1 else value
        for key, value in subject.single.items()
    }
    _expect_refusal(subject, short, "an observation cut in half")


def begins_anew(subject: AgentSubject) -> None:
    """Where ``episode_start`` is True, the state of the previous episode has no effect.

    Fix: reset the rows of the state for which ``episode_start`` is True.
    """
    fresh, state = subject.agent.predict(copy.deepcopy(subject.batch), deterministic=True)
    turned = {key: value[::-1].copy() for key, value in subject.batch.items()}
    _, state = subject.agent.predict(turned, state=state, deterministic=True)
    starts = np.ones(_BATCH, dtype=bool)
    again = subject.act(subject.batch, state=state, episode_start=starts)
    if not np.array_equal(fresh, again):
        raise CheckFailedError(
            f"a first episode gives {np.asarray(fresh).tolist()}, a later one {again.tolist()}"
        )


def _as_element(action: Any, space: spaces.Space[Any]) -> Any:
    """Return an action in the form that its space accepts; None if a discrete one is not scalar."""
    if not isinstance(space, spaces.Discrete):
        return action
    return np.asarray(action)[()] if np.ndim(action) == 0 else None


def _expect_refusal(subject: AgentSubject, observation: Observation, what: str) -> None:
    try:
        action = subject.act(observation)
    except (ValueError, TypeError):
        return
    raise CheckFailedError(f"{what} gave the action {action}")
