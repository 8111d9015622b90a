"""The ``--device`` option. In: a name. Out: the same name, if PyTorch can use that device."""

from __future__ import annotations

import torch

from glamor_gym.devices import checking_device


def checked_device(name: str) -> str:
    """Return the name of a device after checking that PyTorch can use it.

    Without this check, Stable-Baselines3 silently falls back to the CPU if CUDA is requested but
    not available.

    Raises:
        ValueError: the device does not exist or cannot be used.
    """
    if name == "auto":
        return name
    with checking_device(name, name="--device"):
        torch.empty(0, device=name)
    return name
