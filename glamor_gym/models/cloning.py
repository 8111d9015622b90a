"""GCSL's model: π(a | s, g, t).

In: observations, goals and steps left. Out: logits of the A actions.
"""

from __future__ import annotations

from typing import Unpack

import torch
from gymnasium import spaces
from jaxtyping import Float, Int
from torch import Tensor, nn

from glamor_gym.checks import as_integer
from glamor_gym.models.encoders import MOST_UNITS
from glamor_gym.models.pair_encoder import PairOptions
from glamor_gym.models.timed import TimedPairEncoder


class CloningModel(TimedPairEncoder):
    """The features of observation, goal and time, and a linear layer that maps them to actions.

    Args:
        observation_space: a Dict with Boxes ``observation`` and ``achieved_goal``.
        n_actions: number of actions A, STOP not counted.
        horizon: T, the most steps that can be left.
        **options: of :class:`~glamor_gym.models.pair_encoder.PairEncoder`.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        n_actions: int,
        horizon: int,
        **options: Unpack[PairOptions],
    ) -> None:
        super().__init__(observation_space, horizon, **options)
        n_actions = as_integer(n_actions, name="n_actions", low=1, high=MOST_UNITS)
        self.head = nn.Linear(self.embedding_size, n_actions)

    def forward(
        self, observation: Tensor, goal: Tensor, steps_left: Int[Tensor, "b"]
    ) -> Float[Tensor, "b a"]:
        """Return float32 logits."""
        features = self.features(*self.encoded(observation, goal), steps_left)
        with torch.autocast(features.device.type, enabled=False):
            logits: Tensor = self.head(features)
            return logits
