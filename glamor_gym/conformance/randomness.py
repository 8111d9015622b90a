"""The states of the global random generators, to be compared before and after a call."""

from __future__ import annotations

import random

import numpy as np
import torch


def shared_states() -> dict[str, object]:
    """Return the states of the global random generators, as values that can be compared."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002  (the global generator is meant)
    return {
        "random": random.getstate(),
        "numpy.random": (kind, np.asarray(keys).tobytes(), *rest),
        "torch": torch.get_rng_state().numpy().tobytes(),
    }
