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
from glamor_gym.models.encoders import MOST_UNITS, EncoderName
from glamor_gym.models.pair_encoder import PairOptions
from glamor_gym.models.timed import TimedPairEncoder


class QNetwork(TimedPairEncoder):
    """A dueling network (Wang et al., 2016) over a categorical value.

    Args:
        observation_space: see :class:`~glamor_gym.models.timed.TimedPairEncoder`.
        n_actions: number of actions A, STOP not counted.
        horizon: T, the most steps that can be left.
        n_atoms: number of atoms of the value, from 2 on.
        **options: see there.
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
        self.n_atoms = as_integer(n_atoms, name="n_atoms", low=2)
        self.value = nn.Linear(self.embedding_size, n_atoms)
        self.advantage = nn.Linear(self.embedding_size, n_actions * n_atoms)

    def forward(
        self, observation: Tensor, goal: Tensor, steps_left: Int[Tensor, "b"]
    ) -> Float[Tensor, "b a z"]:
        """Return float32 log-probabilities of the atoms of each action's value."""
        features = self.features(observation, goal, steps_left)
        advantage = self.advantage(features).unflatten(-1, (self.n_actions, self.n_atoms))
        advantage = advantage - advantage.mean(dim=1, keepdim=True)
        logits: Tensor = self.value(features)[:, None] + advantage
        return logits.float().log_softmax(dim=-1)


class Discriminator(nn.Module):
    """ξ: a linear layer, tanh, and normalisation to length 1 (Warde-Farley et al., 2019).

    Args:
        embedding_size: width of what it is put on.
        size: width of its vectors.
    """

    def __init__(self, embedding_size: int, size: int) -> None:
        super().__init__()
        self.layer = nn.Linear(embedding_size, size)

    def forward(self, embedding: Float[Tensor, "b d"]) -> Float[Tensor, "b e"]:
        """Return float32 vectors of length 1; no gradient goes back into `embedding`."""
        return functional.normalize(torch.tanh(self.layer(embedding.detach())).float(), dim=-1)


class DiscernModel(nn.Module):
    """The Q network, the copy of it that makes targets, and the discriminator on its encoder.

    Encoders are fused late: the discriminator sees goals alone.

    Args:
        observation_space: see :class:`QNetwork`.
        n_actions: likewise.
        horizon: likewise.
        n_atoms: likewise.
        encoder: likewise.
        embedding_size: likewise.
        whiten: likewise.
        discriminator_size: width of the discriminator's vectors.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        n_actions: int,
        horizon: int,
        *,
        n_atoms: int = 51,
        encoder: EncoderName = "auto",
        embedding_size: int = 512,
        whiten: bool = False,
        discriminator_size: int = 128,
    ) -> None:
        super().__init__()
        self.q = QNetwork(
            observation_space,
            n_actions,
            horizon,
            n_atoms=n_atoms,
            encoder=encoder,
            embedding_size=embedding_size,
            whiten=whiten,
        )
        self.target = copy.deepcopy(self.q).requires_grad_(False)
        self.discriminator = Discriminator(embedding_size, discriminator_size)

    def measure_once(self, observation: Tensor, goal: Tensor) -> None:
        """See :meth:`~glamor_gym.models.pair_encoder.PairEncoder.measure_once`; for both networks.

        The same pictures measure both, so that the target sees what the Q network sees.
        """
        self.q.measure_once(observation, goal)
        self.target.measure_once(observation, goal)

    def copy_to_target(self) -> None:
        """Let the target network be the Q network as it is now."""
        self.target.load_state_dict(self.q.state_dict())

    def tell_apart(self, achieved: Tensor) -> Float[Tensor, "b e"]:
        """Return ξ of B frames, achieved ones and goals alike."""
        with torch.no_grad():
            embedding = self.q.embed_goal(achieved)
        vectors: Tensor = self.discriminator(embedding)
        return vectors


def decoy_loss(
    achieved: Float[Tensor, "b e"], goals: Float[Tensor, "b e"], decoys: Int[Tensor, "b k"]
) -> Float[Tensor, ""]:
    """Return the cross-entropy of picking each row's goal among its K decoys.

    softmax(β ξ(s_T)·ξ(g)) over the goal and the decoys, with β = K + 1.

    Args:
        achieved: ξ of what was achieved.
        goals: ξ of what was asked for.
        decoys: rows of `goals` that stand beside each row's own, which comes first.
    """
    beta = decoys.shape[1] + 1
    own = torch.arange(len(goals), device=goals.device)[:, None]
    choices = goals[torch.cat((own, decoys), dim=1)]
    logits = beta * torch.einsum("be,bke->bk", achieved, choices)
    return functional.cross_entropy(logits, torch.zeros_like(own[:, 0]))
