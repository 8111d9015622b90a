"""Whether something draws from a global random generator.

In: the calls in question. Out: nothing, or an error that names the generators.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from glamor_gym.conformance.report import CheckFailedError
from glamor_gym.snapshots import global_random_state


@contextmanager
def refusing_shared_draws(what: str) -> Iterator[None]:
    """Return a context that must leave all global random generators as they are.

    Args:
        what: what is done in it, for the message.

    Raises:
        CheckFailedError: a generator of ``random``, ``numpy.random`` or PyTorch has changed.
    """
    before = _shared_states()
    yield
    after = _shared_states()
    if touched := [name for name, state in before.items() if state != after[name]]:
        raise CheckFailedError(f"{what} changed the random state of {', '.join(touched)}")


def _shared_states() -> dict[str, bytes]:
    """Return the states of the global generators of Python, NumPy and PyTorch, to be compared."""
    states = global_random_state() | {"torch": torch.get_rng_state().numpy()}
    return {library: pickle.dumps(state) for library, state in states.items()}
