"""DISCERN's networks: a distributional Q(s, a | g, t), and a discriminator of goals.

In: observations, goals and steps left; or pictures of goals and of what was achieved.
Out: log-probabilities of values by action; or unit vectors whose products tell goals apart.
"""

from __future__ import annotations

import copy
from typing import Unpack

import torch
from gymnasium import spaces
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from glamor_gym.checks import as_integer
from glamor_gym.models.encoders import MOST_UNITS
from glamor_gym.models.pair_encoder import LateOptions, PairOptions
from glamor_gym.models.timed import TimedPairEncoder


class QNetwork(TimedPairEncoder):
    """A dueling network (Wang et al., 2016) over a categorical value.

    Args:
        observation_space: a Dict with Boxes ``observation`` and ``achieved_goal``.
        n_actions: number of actions A, STOP not counted.
        horizon: T, the most steps that can be left.
        n_atoms: number of atoms of the value, at least 2.
        **options: of :class:`~glamor_gym.models.pair_encoder.PairEncoder`.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        n_actions: int,
        horizon: int,
        *,
        n_atoms: int = 51,
        **options: Unpack[PairOptions],
    ) -> None:
        super().__init__(observation_space, horizon, **options)
        self.n_actions = as_integer(n_actions, name="n_actions", low=1, high=MOST_UNITS)
        self.n_atoms = as_integer(n_atoms, name="n_atoms", low=2, high=MOST_UNITS)
        self.value = nn.Linear(self.embedding_size, n_atoms)
        self.advantage = nn.Linear(self.embedding_size, n_actions * n_atoms)

    def forward(
        self, observation: Tensor, goal: Tensor, steps_left: Int[Tensor, "b"]
    ) -> Float[Tensor, "b a z"]:
        """Return float32 log-probabilities of the atoms of each action's value."""
        return self.log_probs(*self.encoded(observation, goal), steps_left)

    def log_probs(
        self,
        observation: Float[Tensor, "b d"],
        goal: Float[Tensor, "b d"],
        steps_left: Int[Tensor, "b"],
    ) -> Float[Tensor, "b a z"]:
        """Return the same for observations and goals that are embedded already."""
        features = self.features(observation, goal, steps_left)
        with torch.autocast(features.device.type, enabled=False):
            advantage = self.advantage(features).unflatten(-1, (self.n_actions, self.n_atoms))
            advantage = advantage - advantage.mean(dim=1, keepdim=True)
            logits: Tensor = self.value(features)[:, None] + advantage
            return logits.log_softmax(dim=-1)


class Discriminator(nn.Module):
    """ξ: a linear layer, tanh, and normalisation to length 1 (Warde-Farley et al., 2019).

    Args:
        embedding_size: width of its input.
        size: width of its vectors.
    """

    def __init__(self, embedding_size: int, size: int) -> None:
        super().__init__()
        size = as_integer(size, name="discriminator_size", low=1, high=MOST_UNITS)
        self.layer = nn.Linear(embedding_size, size)

    def forward(self, embedding: Float[Tensor, "b d"]) -> Float[Tensor, "b e"]:
        """Return float32 vectors of length 1."""
        with torch.autocast(embedding.device.type, enabled=False):
            return functional.normalize(torch.tanh(self.layer(embedding.float())), dim=-1)


class DiscernModel(nn.Module):
    """The Q network, its target network, and the discriminator on its goal encoder.

    Args:
        observation_space: a Dict with Boxes ``observation`` and ``achieved_goal``.
        n_actions: number of actions A, STOP not counted.
        horizon: T, the most steps that can be left.
        n_atoms: number of atoms of the value, at least 2.
        discriminator_size: width of the discriminator's vectors.
        **options: of :class:`~glamor_gym.models.pair_encoder.PairEncoder`: `encoder`,
            `embedding_size` and `whiten`. Goals are fused late, as ξ sees them alone.

    Raises:
        ValueError: an argument is out of range or unknown.
        TypeError: an argument is of the wrong type, or another option is given.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        n_actions: int,
        horizon: int,
        *,
        n_atoms: int = 51,
        discriminator_size: int = 128,
        **options: Unpack[LateOptions],
    ) -> None:
        super().__init__()
        self.q = QNetwork(
            observation_space,
            n_actions,
            horizon,
            n_atoms=n_atoms,
            fusion="late",
            prior_encoder=None,
            **options,
        )
        self.target = copy.deepcopy(self.q).requires_grad_(False)
        self.discriminator = Discriminator(self.q.embedding_size, discriminator_size)

    def measure_once(self, observation: Tensor, goal: Tensor) -> None:
        """Measure the statistics of whitening, for both networks on the same pictures.

        See :meth:`PairEncoder.measure_once <glamor_gym.models.pair_encoder.PairEncoder>`.
        """
        self.q.measure_once(observation, goal)
        self.target.measure_once(observation, goal)

    def copy_to_target(self) -> None:
        """Copy the Q network's weights to the target network."""
        self.target.load_state_dict(self.q.state_dict())

    def xi(self, frames: Tensor) -> Float[Tensor, "b e"]:
        """Return ξ of B frames, achieved or goals; no gradient goes back into the encoder."""
        with torch.no_grad():
            embedding = self.q.embed_goal(frames)
        vectors: Tensor = self.discriminator(embedding)
        return vectors


def decoy_loss(
    achieved: Float[Tensor, "b e"], goals: Float[Tensor, "b e"], decoys: Int[Tensor, "b k"]
) -> Float[Tensor, ""]:
    """Return the cross-entropy of picking each row's goal among its K decoys.

    softmax(β ξ(s_T)·ξ(g)) over the goal and the decoys, with β = K + 1.

    Args:
        achieved: ξ of the achieved frames.
        goals: ξ of the goals.
        decoys: for each row, the rows of `goals` that are its decoys.
    """
    beta = decoys.shape[1] + 1
    rows = torch.arange(len(goals), device=goals.device)[:, None]
    choices = goals[torch.cat((rows, decoys), dim=1)]  # the right one comes first
    logits = beta * torch.einsum("be,bke->bk", achieved, choices)
    return functional.cross_entropy(logits, torch.zeros_like(rows[:, 0]))
