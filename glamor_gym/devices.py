"""What there is to compute on: the devices that PyTorch can use, and the processor's cores.

In: a device, or what is done on it. Out: the same, or an error that names the device; and how many
cores there are for this process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def checking_device(device: torch.device | str, *, name: str = "device") -> Iterator[None]:
    """Return a context for the first use of a device, whose errors say that it cannot be used.

    Args:
        device: the device.
        name: name of the argument in error messages.

    Raises:
        ValueError: PyTorch does not know the device, or cannot use it here.
        torch.OutOfMemoryError: the device can be used, but its memory is full.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        raise ValueError(f"{name} {device!r} cannot be used here: {error}") from error


def checked_device(name: str) -> str:
    """Return the name given by ``--device`` after checking that PyTorch can use it.

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


def available_cores() -> int:
    """Return the number of CPU cores that this process may use.

    Fewer than there are where ``taskset`` or the scheduler of a cluster allows only some of them.
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
