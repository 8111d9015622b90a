"""GCSL's model: π(a | s, g, t).

In: observations, goals and steps left. Out: logits of the A actions.
"""

from __future__ import annotations

from gymnasium import spaces
from jaxtyping import Float, Int
from torch import Tensor, nn

from glamor_gym.models.encoders import EncoderName
from glamor_gym.models.pair_encoder import Fusion
from glamor_gym.models.timed import TimedPairEncoder


class CloningModel(TimedPairEncoder):
    """The features of observation, goal and time, and a linear layer over the actions.

    Args:
        observation_space: see :class:`~glamor_gym.models.timed.TimedPairEncoder`.
        n_actions: number of actions A, STOP not counted.
        horizon: see there, as for the other arguments.
        encoder: likewise.
        fusion: likewise.
        prior_encoder: likewise.
        embedding_size: likewise.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        n_actions: int,
        horizon: int,
        *,
        encoder: EncoderName = "auto",
        fusion: Fusion = "late",
        prior_encoder: EncoderName | None = None,
        embedding_size: int = 512,
    ) -> None:
        super().__init__(
            observation_space,
            horizon,
            encoder=encoder,
            fusion=fusion,
            prior_encoder=prior_encoder,
            embedding_size=embedding_size,
        )
        self.head = nn.Linear(embedding_size, n_actions)

    def forward(
        self, observation: Tensor, goal: Tensor, steps_left: Int[Tensor, "b"]
    ) -> Float[Tensor, "b a"]:
        """Return float32 logits."""
        logits: Tensor = self.head(self.features(observation, goal, steps_left))
        return logits.float()
