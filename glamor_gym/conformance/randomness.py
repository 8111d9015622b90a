"""The states of the global random generators, to be compared before and after a call."""

from __future__ import annotations

import pickle

import torch

from glamor_gym.snapshots import global_random_state


def shared_states() -> dict[str, bytes]:
    """Return the states of the global generators of Python, NumPy and PyTorch, to be compared."""
    states = global_random_state() | {"torch": torch.get_rng_state().numpy()}
    return {library: pickle.dumps(state) for library, state in states.items()}
