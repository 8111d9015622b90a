"""The ``--device`` option. In: a name. Out: the same name, if PyTorch can use that device."""

from __future__ import annotations

import torch


def checked_device(name: str) -> str:
    """Return the name of a device after checking that PyTorch can use it.

    Without this check, Stable-Baselines3 silently falls back to the CPU if CUDA is requested but
    not available.

    Raises:
        ValueError: the device does not exist or cannot be used.
    """
    if name == "auto":
        return name
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"--device {name}: {error}") from error
    return name
