"""GCSL's policy, with its optimiser.

In: checked observations and steps left. Out: logits of actions, or actions.
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
from glamor_gym.models.cloning import CloningModel
from glamor_gym.models.encoders import EncoderName
from glamor_gym.models.pair_encoder import Fusion
from glamor_gym.names import naming_options


class GCSLPolicy(ModelPolicy):
    """π(a | s, g, t) and its AdamW.

    Args:
        observation_space: a Dict with ``observation``, ``achieved_goal`` and ``desired_goal``.
        action_space: Discrete(A + 1), STOP last.
        lr_schedule: SB3's schedule: share of training left → learning rate.
        encoder: see :func:`~glamor_gym.models.encoders.make_encoder`.
        fusion: ``"late"`` or ``"early"``, see
            :class:`~glamor_gym.models.pair_encoder.PairEncoder`.
        prior_encoder: encoder of the observation alone with early fusion, None for the same as
            `encoder`; ignored with late fusion.
        embedding_size: width of embeddings and mix.
        whiten: see :class:`~glamor_gym.models.whitening.Whitening`. Not in the paper.
        weight_decay: of AdamW.
        precision: see :class:`~glamor_gym.agents.settings.CollectionSettings`.
        horizon: T, largest number of steps left.
    """

    model: CloningModel

    @naming_options
    def __init__(
        self,
        observation_space: spaces.Dict,
        action_space: spaces.Discrete,
        lr_schedule: Schedule,
        *,
        encoder: EncoderName = "auto",
        fusion: Fusion = "late",
        prior_encoder: EncoderName | None = None,
        embedding_size: int = 512,
        whiten: bool = False,
        weight_decay: float = 0.01,
        precision: Precision = "auto",
        horizon: int = 50,
    ) -> None:
        super().__init__(observation_space, action_space, precision=precision, horizon=horizon)
        self.model = CloningModel(
            observation_space,
            int(action_space.n) - 1,
            horizon,
            encoder=encoder,
            fusion=fusion,
            prior_encoder=prior_encoder,
            embedding_size=embedding_size,
            whiten=whiten,
        )
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=lr_schedule(1.0), weight_decay=weight_decay, fused=True
        )

    @torch.inference_mode()
    def logits(
        self, observations: Mapping[str, NDArray[Any]], steps_left: NDArray[np.int64]
    ) -> Float[Tensor, "b a"]:
        """Return the logits of the actions for a batch of checked observations."""
        observation, goal = self.as_tensors(observations)
        with self.autocast():
            logits: Tensor = self.model(
                observation, goal, torch.from_numpy(steps_left).to(self.device)
            )
        return logits

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> Tensor:
        """Return an action for each observation (SB3's stateless policy call)."""
        arrays, steps_left = self.arrays_and_clock(observation)
        logits = self.logits(arrays, steps_left)
        if deterministic:
            return logits.argmax(dim=-1)
        return torch.multinomial(logits.softmax(dim=-1), 1)[:, 0]
