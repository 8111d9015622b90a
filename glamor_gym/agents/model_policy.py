"""A model with its optimiser and the precision of its encoders, as a Stable-Baselines3 policy.

In: observations and goals. Out: the same as tensors, for the model that a subclass defines.
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
from stable_baselines3.common.type_aliases import PyTorchObs
from torch import Tensor, nn

from glamor_gym.agents.observations import steps_left_of
from glamor_gym.agents.settings import Precision


class ModelPolicy(BasePolicy):
    """The base class of the agents' policies.

    Args:
        observation_space: a Dict with ``observation``, ``achieved_goal`` and ``desired_goal``.
        action_space: Discrete(A + 1), STOP last.
        precision: see :class:`~glamor_gym.agents.settings.CollectionSettings`.
        horizon: T, the most actions in an episode.

    Attributes:
        model: the networks; set by a subclass.
        optimizer: the optimiser of their weights; set by a subclass.
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
        """Not supported: SB3 would write a pickle, without the agent's other state.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("a policy is saved with its agent: use the agent's save")

    @classmethod
    def load(cls, path: str, device: torch.device | str = "auto") -> Never:
        """Not supported: see :meth:`save`.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("a policy is loaded with its agent: use the agent's load")

    def forward(self, obs: PyTorchObs, deterministic: bool = True) -> Tensor:
        """Choose actions for a batch of tensors, as SB3's off-policy policies do when called."""
        return self._predict(obs, deterministic=deterministic)

    def as_tensors(self, observations: Mapping[str, NDArray[Any]]) -> tuple[Tensor, Tensor]:
        """Return checked observations and their desired goals as tensors on the policy's device."""
        observation, goal = (
            torch.from_numpy(np.require(observations[key], requirements=("C", "W"))).to(self.device)
            for key in ("observation", "desired_goal")
        )
        return observation, goal

    def arrays_and_clock(
        self, observation: PyTorchObs
    ) -> tuple[dict[str, NDArray[Any]], NDArray[np.int64]]:
        """Return tensors as arrays, and (B,) steps left: the horizon if there is no such entry."""
        assert isinstance(observation, dict)
        arrays = {key: value.cpu().numpy() for key, value in observation.items()}
        none_taken = np.zeros(len(arrays["desired_goal"]), dtype=np.int64)
        return arrays, steps_left_of(arrays, self.horizon, none_taken)

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the autocast context for the encoders: bfloat16 or not, as `precision` says."""
        return torch.autocast(
            self.device.type, torch.bfloat16, enabled=self._wants_bfloat16(), cache_enabled=False
        )

    def _wants_bfloat16(self) -> bool:
        if self.precision != "auto":
            return self.precision == "bfloat16"
        # Measured: it is faster for pictures if the device multiplies bfloat16, not for vectors.
        has_pictures = any(isinstance(module, nn.Conv2d) for module in self.model.modules())
        return has_pictures and multiplies_bfloat16(self.device)


def multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether a device has instructions for bfloat16 multiplication."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
