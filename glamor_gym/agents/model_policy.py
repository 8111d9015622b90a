"""A model, its optimiser and the precision it computes in, as SB3 expects to find them.

In: losses. Out: gradient steps. What is in a model, and how it chooses actions, is a subclass's.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Never

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor, nn

from glamor_gym.agents.observations import steps_left_of
from glamor_gym.agents.settings import Precision


class ModelPolicy(BasePolicy):
    """The base of the agents' policies.

    Args:
        observation_space: a Dict with ``observation``, ``achieved_goal`` and ``desired_goal``.
        action_space: Discrete(A + 1), STOP last.
        precision: see :class:`~glamor_gym.agents.settings.CollectionSettings`.
        horizon: T, the most actions in an episode.

    Attributes:
        model: what is learned; a subclass sets it.
        optimizer: likewise.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer

    def __init__(
        self,
        observation_space: spaces.Dict,
        action_space: spaces.Discrete,
        *,
        precision: Precision,
        horizon: int,
    ) -> None:
        super().__init__(observation_space, action_space)
        self.precision: Precision = precision
        self.horizon = horizon

    def save(self, path: str) -> None:
        """Refuse: SB3 would write a pickle, of half of what there is to know.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("a policy is kept with its agent: use the agent's save")

    @classmethod
    def load(cls, path: str, device: torch.device | str = "auto") -> Never:
        """Refuse: see :meth:`save`.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("a policy is kept with its agent: use the agent's load")

    def as_tensors(self, observations: Mapping[str, NDArray[Any]]) -> tuple[Tensor, Tensor]:
        """Return a batch of checked observations, and their desired goals, on this device."""
        observation, goal = (
            torch.from_numpy(np.ascontiguousarray(observations[key])).to(self.device)
            for key in ("observation", "desired_goal")
        )
        return observation, goal

    def arrays_and_clock(
        self, observation: Mapping[str, Tensor]
    ) -> tuple[dict[str, NDArray[Any]], NDArray[np.int64]]:
        """Return SB3's tensors as arrays, and (B,) steps left: the horizon where none are told."""
        arrays = {key: value.cpu().numpy() for key, value in observation.items()}
        none_taken = np.zeros(len(arrays["desired_goal"]), dtype=np.int64)
        return arrays, steps_left_of(arrays, self.horizon, none_taken)

    def descend(self, loss: Tensor, max_grad_norm: float) -> Tensor:
        """Take one step of the optimiser; return the gradient's norm before it was bounded."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), max_grad_norm)
        self.optimizer.step()
        return norm.detach()

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context in which encoders run: bfloat16 where it pays, else as they are."""
        return torch.autocast(
            self.device.type, torch.bfloat16, enabled=self._wants_bfloat16(), cache_enabled=False
        )

    def _wants_bfloat16(self) -> bool:
        if self.precision != "auto":
            return self.precision == "bfloat16"
        # Measured: pictures gain where the device multiplies bfloat16; MLPs on vectors do not.
        has_pictures = any(isinstance(module, nn.Conv2d) for module in self.model.modules())
        return has_pictures and _multiplies_bfloat16(self.device)


def _multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether a device has instructions for bfloat16 products."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
