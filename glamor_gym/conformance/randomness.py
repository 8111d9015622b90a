"""The random generators that everything in a process shares, to be watched while others work."""

from __future__ import annotations

import random

import numpy as np
import torch


def shared_states() -> dict[str, object]:
    """Return the states of the process's random generators, as values that can be compared."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002  (it is this one that is watched)
    return {
        "random": random.getstate(),
        "numpy.random": (kind, np.asarray(keys).tobytes(), *rest),
        "torch": torch.get_rng_state().numpy().tobytes(),
    }
