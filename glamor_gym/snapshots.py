"""Snapshots: the state from which an environment or random generator continues exactly.

In: an object in some state. Out: a :data:`Snapshot` of it, plain data that a checkpoint can
store without pickles; and the reverse, to restore it.

An environment offers snapshots through a property ``snapshot`` that can be read and set (so that
every kind of vector environment can access it, also across processes). A wrapper with state of
its own has the property as well, and includes the snapshot of what it wraps (:func:`snapshot_of`).
A wrapper without state is marked as such by the base class :class:`Stateless`. An environment that
offers no snapshots can be wrapped in :class:`~glamor_gym.wrappers.EpisodeJournal`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker

Snapshot = dict[str, Any]
"""Nested dicts (with string keys) and lists of NumPy arrays and scalars, PyTorch tensors,
numbers, strings, booleans and None; shares no memory with the object."""


class Stateless:
    """Marks a wrapper that keeps no state from one step to the next."""


def snapshot_of(env: gym.Env[Any, Any]) -> Snapshot:
    """Return the snapshot of the outermost wrapper of `env` that offers one.

    Raises:
        AttributeError: neither a wrapper nor the environment offers snapshots.
    """
    snapshot: Snapshot = env.get_wrapper_attr("snapshot")
    return snapshot


def restore(env: gym.Env[Any, Any], snapshot: Mapping[str, Any]) -> None:
    """Restore what :func:`snapshot_of` returned, in an environment made with the same arguments.

    Raises:
        AttributeError: neither a wrapper nor the environment offers snapshots.
        KeyError: the snapshot belongs to another kind of environment.
        ValueError: the snapshot belongs to an environment made with other arguments.
    """
    if not env.has_wrapper_attr("snapshot"):
        raise AttributeError(f"{env} offers no snapshots")
    layer = env
    while isinstance(layer, gym.Wrapper) and not hasattr(type(layer), "snapshot"):
        if isinstance(layer, OrderEnforcing | PassiveEnvChecker):  # they want a reset before steps
            env.reset()
            break
        layer = layer.env
    env.set_wrapper_attr("snapshot", snapshot)


# ----------------------------------------------------------------------------- random generators


def random_state(rng: np.random.Generator | np.random.RandomState) -> Snapshot:
    """Return the state of a NumPy generator, either ``Generator`` or legacy ``RandomState``."""
    if isinstance(rng, np.random.RandomState):
        return dict(rng.get_state(legacy=False))
    return dict(rng.bit_generator.state)


def set_random_state(
    rng: np.random.Generator | np.random.RandomState, state: Mapping[str, Any]
) -> None:
    """Restore what :func:`random_state` returned.

    Raises:
        ValueError: `state` belongs to another kind of generator.
    """
    try:
        if isinstance(rng, np.random.RandomState):
            rng.set_state(dict(state))
        else:
            rng.bit_generator.state = dict(state)
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"state must be that of a {type(rng).__name__}: {error}") from error


def global_random_state() -> Snapshot:
    """Return the states of Python's and NumPy's global generators, which libraries may use."""
    version, words, gauss = random.getstate()
    return {
        "python": {"version": version, "words": np.array(words, np.uint32), "gauss": gauss},
        "numpy": dict(np.random.get_state(legacy=False)),  # noqa: NPY002
    }


def set_global_random_state(state: Mapping[str, Any]) -> None:
    """Restore what :func:`global_random_state` returned."""
    python = state["python"]
    random.setstate((python["version"], tuple(python["words"].tolist()), python["gauss"]))
    np.random.set_state(state["numpy"])  # noqa: NPY002
