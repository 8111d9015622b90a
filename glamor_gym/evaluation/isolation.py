"""Evaluate an agent on another device and with other random numbers than its training run.

In: an agent, a device, a seed. Out: the same agent, moved and reseeded; restored on exit. And the
global generators, seeded within a context.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.utils import set_random_seed

from glamor_gym.devices import checking_device
from glamor_gym.snapshots import (
    global_random_state,
    random_state,
    set_global_random_state,
    set_random_state,
)


@contextlib.contextmanager
def isolated(agent: Any, device: str | torch.device | None, seed: int) -> Iterator[None]:
    """Move an agent to `device`, with separately seeded generators; restore both on exit.

    An agent's own ``torch.Generator`` and NumPy generator (its attributes ``generator`` and
    ``rng``) are replaced by new ones seeded with `seed`, and its ``action_space`` is seeded and set
    back, so that a training run continues as if it had not been interrupted. The mode (training or
    evaluation) of each module of its policy is restored too. Updates that are running in the
    background are finished first.

    Args:
        agent: the agent; `device` requires a ``policy`` that is a ``torch.nn.Module``.
        device: device of its networks within the context; None leaves them where they are.
        seed: seed of its generators within the context.

    Raises:
        ValueError: `device` is given but the agent has no PyTorch policy, or `device` is not
            available.
    """
    if hasattr(agent, "finish_updates"):  # background updates draw from the agent's generator
        agent.finish_updates()
    policy = getattr(agent, "policy", None)
    if device is not None and not isinstance(policy, torch.nn.Module):
        raise ValueError(
            f"device must be None for an agent without a PyTorch policy, got {device!r} "
            f"for {type(agent).__name__}"
        )
    with contextlib.ExitStack() as on_exit:
        if isinstance(policy, torch.nn.Module):
            on_exit.callback(_set_modes, {part: part.training for part in policy.modules()})
            if device is not None:
                on_exit.callback(_move, agent, next(policy.parameters()).device)
                with checking_device(device):
                    _move(agent, device)
        own = getattr(agent, "generator", None)
        if isinstance(own, torch.Generator):
            on_exit.callback(setattr, agent, "generator", own)
            where = own.device if device is None else device
            agent.generator = torch.Generator(where).manual_seed(seed % 2**64)
        own_rng = getattr(agent, "rng", None)
        if isinstance(own_rng, np.random.Generator):
            on_exit.callback(setattr, agent, "rng", own_rng)
            agent.rng = np.random.default_rng(seed)
        actions = getattr(agent, "action_space", None)
        if isinstance(actions, spaces.Space):  # from which DQN draws what it explores
            on_exit.callback(set_random_state, actions.np_random, random_state(actions.np_random))
            set_random_state(actions.np_random, random_state(np.random.default_rng(seed)))
        yield


@contextlib.contextmanager
def globals_seeded(seed: int) -> Iterator[None]:
    """Seed the global generators of Python, NumPy and PyTorch; restore their states on exit.

    Seeds that are equal modulo 2³² are the same.
    """
    before = global_random_state()
    # Reading the state of a GPU's generator would initialise CUDA where it is not in use.
    in_use = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(range(torch.cuda.device_count()) if in_use else ()):
        set_random_seed(seed % 2**32)
        try:
            yield
        finally:
            set_global_random_state(before)


def _set_modes(modes: Mapping[torch.nn.Module, bool]) -> None:
    for part, training in modes.items():  # one by one: a target network may be in another mode
        part.training = training


def _move(agent: Any, device: str | torch.device) -> None:
    agent.policy.to(device)
    if hasattr(agent, "device"):  # on which Stable-Baselines3 agents create tensors
        agent.device = torch.device(device)
