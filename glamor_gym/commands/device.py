"""The ``--device`` option: a name in, the same name out where there is such a device here."""

from __future__ import annotations

import torch


def checked_device(name: str) -> str:
    """Return the name of a device that PyTorch has here.

    Stable-Baselines3 takes the processor, without a word, where CUDA was asked for and is not
    there.

    Raises:
        ValueError: there is no such device.
    """
    if name == "auto":
        return name
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"--device {name}: {error}") from error
    return name
