"""Features for a policy or a value function that also sees the number of steps left.

In: embeddings of observations and goals, and steps left. Out: a feature vector of all three (§4.2).
"""

from __future__ import annotations

import math
from typing import Unpack

import torch
from gymnasium import spaces
from jaxtyping import Float, Int
from torch import Tensor, nn

from glamor_gym.checks import as_integer
from glamor_gym.models.pair_encoder import PairEncoder, PairOptions


def time_features(steps_left: Int[Tensor, "b"], horizon: int) -> Float[Tensor, "b 2"]:
    """Return (sin 2πt/T, cos 2πt/T) for t steps left of T (§4.2)."""
    angle = steps_left * (2 * math.pi / horizon)
    return torch.stack((angle.sin(), angle.cos()), dim=-1)


class TimedPairEncoder(PairEncoder):
    """GLAMOR's encoders and mix, followed by a layer that also sees the time.

    Args:
        observation_space: a Dict with Boxes ``observation`` and ``achieved_goal``.
        horizon: T, the most steps that can be left.
        **options: of :class:`~glamor_gym.models.pair_encoder.PairEncoder`; `embedding_size` is
            also the width of the features.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        horizon: int,
        **options: Unpack[PairOptions],
    ) -> None:
        super().__init__(observation_space, **options)
        self.horizon = as_integer(horizon, name="horizon", low=1)
        width = self.embedding_size
        self.with_time = nn.Sequential(nn.Linear(width + 2, width), nn.ReLU(inplace=True))

    def features(
        self,
        observation: Float[Tensor, "b d"],
        goal: Float[Tensor, "b d"],
        steps_left: Int[Tensor, "b"],
    ) -> Float[Tensor, "b d"]:
        """Return the features of B encoded observations, goals and times, the input of the heads.

        They are float32 even if the encoders run in bfloat16, and so should the heads be: in
        bfloat16, actions that differ by less than 1 % of their value or logit would tie.
        """
        embeddings = torch.cat((observation, goal), dim=-1)
        with torch.autocast(embeddings.device.type, enabled=False):
            mixed = self.mix(embeddings.float())
            time = time_features(steps_left, self.horizon)
            features: Tensor = self.with_time(torch.cat((mixed, time), dim=-1))
            return features
