"""DISCERN's policy: Q network, target network and discriminator, with their optimiser.

In: checked observations and steps left. Out: values of actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float
from numpy.typing import NDArray
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor

from glamor_gym.agents.model_policy import ModelPolicy
from glamor_gym.agents.settings import Precision
from glamor_gym.models.categorical import expectation
from glamor_gym.models.discern import DiscernModel
from glamor_gym.models.encoders import EncoderName
from glamor_gym.names import naming_options


class DiscernPolicy(ModelPolicy):
    """Q(s, a | g, t), its discriminator, and one Adam for both.

    Args:
        observation_space: a Dict with ``observation``, ``achieved_goal`` and ``desired_goal``.
        action_space: Discrete(A + 1), STOP last.
        lr_schedule: SB3's schedule: share of training left → learning rate.
        encoder: see :func:`~glamor_gym.models.encoders.make_encoder`.
        embedding_size: width of embeddings and features.
        whiten: see :class:`~glamor_gym.models.whitening.Whitening`. Not in the paper.
        n_atoms: number of atoms of the value's distribution.
        discriminator_size: width of the discriminator's vectors. Not in the papers: our choice.
        adam_eps: ε of Adam.
        weight_decay: of AdamW; 0 makes it the paper's Adam.
        precision: see :class:`~glamor_gym.agents.settings.CollectionSettings`.
        horizon: T, largest number of steps left.
    """

    model: DiscernModel

    @naming_options
    def __init__(
        self,
        observation_space: spaces.Dict,
        action_space: spaces.Discrete,
        lr_schedule: Schedule,
        *,
        encoder: EncoderName = "auto",
        embedding_size: int = 512,
        whiten: bool = False,
        n_atoms: int = 51,
        discriminator_size: int = 128,
        adam_eps: float = 0.01 / 128,
        weight_decay: float = 0.0,
        precision: Precision = "auto",
        horizon: int = 50,
    ) -> None:
        super().__init__(observation_space, action_space, precision=precision, horizon=horizon)
        self.model = DiscernModel(
            observation_space,
            int(action_space.n) - 1,
            horizon,
            n_atoms=n_atoms,
            encoder=encoder,
            embedding_size=embedding_size,
            whiten=whiten,
            discriminator_size=discriminator_size,
        )
        learned = [weight for weight in self.model.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.AdamW(
            learned, lr=lr_schedule(1.0), eps=adam_eps, weight_decay=weight_decay, fused=True
        )

    @torch.inference_mode()
    def values(
        self, observations: Mapping[str, NDArray[Any]], steps_left: NDArray[np.int64]
    ) -> Float[Tensor, "b a"]:
        """Return the value of each action for a batch of checked observations."""
        observation, goal = self.as_tensors(observations)
        with self.autocast():
            log_probs = self.model.q(
                observation, goal, torch.from_numpy(steps_left).to(self.device)
            )
        return expectation(log_probs)

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> Tensor:
        """Return the best action for each observation (SB3's stateless policy call)."""
        return self.values(*self.arrays_and_clock(observation)).argmax(dim=-1)
