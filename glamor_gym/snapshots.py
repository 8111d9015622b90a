"""Snapshots: what an environment or a random generator has to remember to go on as if never left.

In: an object in some state. Out: a :data:`Snapshot` of it, plain data that a checkpoint can
write down without pickles; and back again.

An environment offers snapshots by a property ``snapshot`` that can be read and set (so that every
kind of vector environment can get at it, across processes too). A wrapper that remembers
something has the property as well, with what it wraps inside (:func:`snapshot_of`). One that
remembers nothing says so by being :class:`Stateless`. For whoever offers none there is
:class:`~glamor_gym.wrappers.EpisodeJournal`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np

Snapshot = dict[str, Any]
"""Nested dicts (with strings as keys) and lists of NumPy arrays and scalars, PyTorch tensors,
numbers, strings, booleans and None, in memory of its own."""


class Stateless:
    """A wrapper that remembers nothing from one step to the next."""


def snapshot_of(env: gym.Env[Any, Any]) -> Snapshot:
    """Return the snapshot of the outermost wrapper of `env` that offers one.

    Raises:
        AttributeError: neither a wrapper nor the environment does.
    """
    snapshot: Snapshot = env.get_wrapper_attr("snapshot")
    return snapshot


def restore(env: gym.Env[Any, Any], snapshot: Mapping[str, Any]) -> None:
    """Give back what :func:`snapshot_of` returned to an environment made with the same arguments.

    Raises:
        AttributeError: neither a wrapper nor the environment offers snapshots.
        KeyError: the snapshot is one of another kind of environment.
        ValueError: it is one of an environment with other arguments.
    """
    if not env.has_wrapper_attr("snapshot"):
        raise AttributeError(f"{env} offers no snapshots")
    env.set_wrapper_attr("snapshot", snapshot)


# ----------------------------------------------------------------------------- random generators


def random_state(rng: np.random.Generator | np.random.RandomState) -> Snapshot:
    """Return the state of a NumPy generator, of the new kind or the old."""
    if isinstance(rng, np.random.RandomState):
        return dict(rng.get_state(legacy=False))
    return dict(rng.bit_generator.state)


def set_random_state(
    rng: np.random.Generator | np.random.RandomState, state: Mapping[str, Any]
) -> None:
    """Give back what :func:`random_state` returned.

    Raises:
        ValueError: it is the state of another kind of generator.
    """
    try:
        if isinstance(rng, np.random.RandomState):
            rng.set_state(dict(state))
        else:
            rng.bit_generator.state = dict(state)
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"state must be one of a {type(rng).__name__}: {error}") from error


def global_random_state() -> Snapshot:
    """Return the states of Python's and NumPy's global generators, which libraries draw from."""
    version, words, gauss = random.getstate()
    return {
        "python": {"version": version, "words": np.array(words, np.uint32), "gauss": gauss},
        "numpy": dict(np.random.get_state(legacy=False)),  # noqa: NPY002
    }


def set_global_random_state(state: Mapping[str, Any]) -> None:
    """Give back what :func:`global_random_state` returned."""
    python = state["python"]
    random.setstate((python["version"], tuple(python["words"].tolist()), python["gauss"]))
    np.random.set_state(state["numpy"])  # noqa: NPY002
