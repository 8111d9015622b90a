"""The encoders of every goal-conditioned model.

In: observations ``(B, *observation.shape)`` and goals ``(B, *achieved_goal.shape)``, uint8
or float. Out: an embedding of the observation alone, and one of the observation with its goal.
"""

from __future__ import annotations

from typing import Literal, TypedDict, get_args

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float
from torch import Tensor, nn

from glamor_gym.checks import as_choice, as_instance, as_integer
from glamor_gym.models.encoders import MOST_UNITS, EncoderName, make_encoder, normalised
from glamor_gym.models.whitening import Whitening

Fusion = Literal["late", "early"]

MIX_SIZE = 256
"""Units of the mix's first layer."""


class LateOptions(TypedDict, total=False):
    """Arguments that a model of late fusion passes on to its :class:`PairEncoder`."""

    encoder: EncoderName
    embedding_size: int
    whiten: bool


class PairOptions(LateOptions, total=False):
    """Arguments that other models pass on to their :class:`PairEncoder`, which describes them."""

    fusion: Fusion
    prior_encoder: EncoderName | None


class PairEncoder(nn.Module):
    """Two encoders, one for the observation and one for the goal, and an MLP that mixes them.

    * ``fusion="late"`` (the paper's): the goal's encoder sees the goal alone.
    * ``fusion="early"``: it sees the observation beside the goal, so that its first convolution
      can already compare them. The observation's encoder may then be a smaller one
      (`prior_encoder`).

    Args:
        observation_space: a Dict with Boxes ``observation`` and ``achieved_goal``.
        encoder: see :func:`~glamor_gym.models.encoders.make_encoder`.
        fusion: see above.
        prior_encoder: the observation's encoder with early fusion; None for the same as `encoder`.
        embedding_size: width of embeddings and of the mix (512).
        whiten: see :class:`~glamor_gym.models.whitening.Whitening`; pictures only.

    Raises:
        ValueError: `encoder`, `fusion` or `prior_encoder` is unknown, or a width out of range.
        TypeError: an argument is of the wrong type.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        *,
        encoder: EncoderName = "auto",
        fusion: Fusion = "late",
        prior_encoder: EncoderName | None = None,
        embedding_size: int = 512,
        whiten: bool = False,
    ) -> None:
        super().__init__()
        self.fusion: Fusion = as_choice(fusion, get_args(Fusion), name="fusion")
        as_choice(prior_encoder, (None, *get_args(EncoderName)), name="prior_encoder")
        embedding_size = as_integer(embedding_size, name="embedding_size", low=1, high=MOST_UNITS)
        self.embedding_size = embedding_size
        as_instance(observation_space, spaces.Dict, name="observation_space")
        observation, goal = (
            as_instance(
                observation_space.spaces.get(key), spaces.Box, name=f"observation_space[{key!r}]"
            )
            for key in ("observation", "achieved_goal")
        )
        are_pictures = all(
            space.dtype == np.uint8 and len(space.shape) == 3 and space.shape[1:] == goal.shape[1:]
            for space in (observation, goal)
        )
        whiten = as_instance(whiten, bool, name="whiten") and are_pictures
        # Channels that are no stack of the goal's share their statistics.
        n_channels = goal.shape[0] if observation.shape[0] % goal.shape[0] == 0 else 1
        self.whitening = Whitening((n_channels, *goal.shape[1:])) if whiten else nn.Identity()
        smaller = prior_encoder if fusion == "early" else None
        self.observation_encoder = make_encoder(observation, smaller or encoder, embedding_size)
        seen = stacked_space(observation, goal) if fusion == "early" else goal
        self.goal_encoder = make_encoder(seen, encoder, embedding_size)
        self.mix = nn.Sequential(
            nn.Linear(2 * embedding_size, MIX_SIZE),
            nn.LayerNorm(MIX_SIZE),
            nn.ReLU(inplace=True),
            nn.Linear(MIX_SIZE, embedding_size),
            nn.ReLU(inplace=True),
        )

    def whitened(self, observation: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
        """Return pictures as the encoders take them, see :mod:`glamor_gym.models.whitening`.

        Only uint8 pictures are changed, so that what this returned may be passed in again.
        """
        return self.whitening(observation), self.whitening(goal)

    def measure_once(self, observation: Tensor, goal: Tensor) -> None:
        """Measure the statistics of whitening on these pictures; later calls do nothing.

        To be called with training batches only: evaluating an agent must not change it.
        """
        if isinstance(self.whitening, Whitening):
            self.whitening.measure_once(observation, goal)

    def embed_observation(self, observation: Tensor) -> Float[Tensor, "b d"]:
        """Return the embeddings of B observations alone."""
        embedding: Tensor = self.observation_encoder(self.whitening(observation))
        return embedding

    def embed_goal(self, goal: Tensor) -> Float[Tensor, "b d"]:
        """Return the embeddings of B goals alone; with late fusion only."""
        embedding: Tensor = self.goal_encoder(self.whitening(goal))
        return embedding

    def encoded(
        self, observation: Tensor, goal: Tensor
    ) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b d"]]:
        """Return the outputs of the two encoders for B observations and goals, before the mix."""
        observation, goal = self.whitened(observation, goal)
        shown = goal if self.fusion == "late" else stacked(observation, goal)
        return self.observation_encoder(observation), self.goal_encoder(shown)


def stacked(observation: Tensor, goal: Tensor) -> Tensor:
    """Put a goal beside its observation: as further channels of pictures, or of flat vectors.

    Pictures beside vectors become floats first, as an encoder would see them.
    """
    if observation.dtype != goal.dtype:
        observation, goal = normalised(observation), normalised(goal)
    if observation.dim() == 4 and observation.shape[2:] == goal.shape[2:]:
        return torch.cat((observation, goal), dim=1)
    return torch.cat((observation.flatten(1), goal.flatten(1)), dim=1)


def stacked_space(observation: spaces.Box, goal: spaces.Box) -> spaces.Box:
    """Return a space of the shape that :func:`stacked` makes of one observation and one goal."""
    one = [torch.zeros(1, *space.shape) for space in (observation, goal)]
    return spaces.Box(-np.inf, np.inf, tuple(stacked(*one).shape[1:]))
