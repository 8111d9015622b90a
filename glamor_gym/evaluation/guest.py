"""An agent away from its training: on another device and with other random numbers for a while.

In: an agent, a device, a seed. Out: the same agent, and afterwards everything where it was.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch


@contextlib.contextmanager
def as_guest(agent: Any, device: str | torch.device | None, seed: int) -> Iterator[None]:
    """Keep an agent's networks on a device, and its own random numbers untouched.

    An agent that draws from a ``torch.Generator`` or a NumPy one of its own, its attributes
    ``generator`` and ``rng``, is given others in the meantime, with the seed: a training run goes
    on as if it had not been interrupted.

    Args:
        agent: moved if it has a ``policy``, and left with the networks in the mode (training or
            not) in which it came.
        device: where its networks are in the meantime; None: where they are now.
        seed: of the generators in the meantime.

    Raises:
        ValueError: the agent has no ``policy`` that could be moved, or there is no such device.
    """
    if hasattr(agent, "finish_updates"):  # those under way draw from the agent's generator
        agent.finish_updates()
    policy = getattr(agent, "policy", None)
    if device is not None and not isinstance(policy, torch.nn.Module):
        raise ValueError(
            f"device must be None for an agent without a PyTorch policy, got {device!r} "
            f"for {type(agent).__name__}"
        )
    with contextlib.ExitStack() as undone:
        if isinstance(policy, torch.nn.Module):
            undone.callback(_set_modes, {part: part.training for part in policy.modules()})
            if device is not None:
                undone.callback(_move, agent, next(policy.parameters()).device)
                try:
                    _move(agent, device)
                except torch.OutOfMemoryError:  # the device is there
                    raise
                except (RuntimeError, AssertionError) as error:
                    raise ValueError(f"device {device!r} cannot be used here: {error}") from error
        own = getattr(agent, "generator", None)
        if isinstance(own, torch.Generator):
            undone.callback(setattr, agent, "generator", own)
            where = own.device if device is None else device
            agent.generator = torch.Generator(where).manual_seed(seed)
        own_rng = getattr(agent, "rng", None)
        if isinstance(own_rng, np.random.Generator):
            undone.callback(setattr, agent, "rng", own_rng)
            agent.rng = np.random.default_rng(seed)
        yield


def _set_modes(modes: Mapping[torch.nn.Module, bool]) -> None:
    for part, training in modes.items():  # one by one: a target may be in another than its network
        part.training = training


def _move(agent: Any, device: str | torch.device) -> None:
    agent.policy.to(device)
    if hasattr(agent, "device"):  # where agents of Stable-Baselines3 make new tensors
        agent.device = torch.device(device)
