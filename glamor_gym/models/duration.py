"""GLAMOR with a plan's length predicted before its actions: p(k | s, g) · p(a_1 … a_k | s, g, k).

In: observations and goals (and, in training, token sequences).
Out: log-probabilities of durations and of actions, under inverse dynamics and under the prior.

The paper's sequence models learn by themselves when to emit STOP. But much in a picture tells the
time without depending on the agent: enemies, a clock, an oxygen bar. A model that can use them
reads the time off them; it then neither acts precisely near a goal nor notices that it has
arrived, because in the goal's picture the enemies are elsewhere. Here it can do neither:

* the actions are predicted *given* k, and at every step given the number of actions left, so that
  whatever tells the time adds nothing;
* k is predicted from the embeddings that the actions have shaped; only a share of its gradient
  (`duration_gradient`) reaches them. It is not simply cut: where nothing moves but the agent, that
  gradient teaches more than any other.

The product over a plan is p(a_1 … a_k, STOP | s, g) as in the paper (§3.3), and Equation 8 scores
it as there, except that a duration, unlike a token, is never clipped. In the loss, durations weigh
more than Equation 9 would have them, see :meth:`DurationModel.losses`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

import torch
from gymnasium import spaces
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from glamor_gym.checks import as_integer, as_number, as_probability
from glamor_gym.models.glamor import ActionDecoder, Folded, Losses, Packing, log_probs, stacked
from glamor_gym.models.pair_encoder import MIX_SIZE, PairEncoder, PairOptions

LONGEST_HORIZON = 2**14
"""Longest horizon of a model, and so of an agent."""


class DurationModel(PairEncoder):
    """Encoders, two predictors of the duration, and two decoders of the actions given it.

    Args:
        observation_space: a Dict with Boxes ``observation`` and ``achieved_goal``.
        n_actions: number of actions A, STOP not counted.
        horizon: longest plan T in actions.
        hidden_size: width of the LSTMs (64).
        token_size: width of the layer between token and LSTM (512).
        duration_gradient: share of the duration's gradient that reaches the encoders.
        first_action_weight: extra weight of each plan's first action in the loss: an agent that
            plans anew at every step takes no other, and without this it is one action in 25 at a
            horizon of 100.
        **options: see :class:`~glamor_gym.models.pair_encoder.PairEncoder`.

    Raises:
        ValueError: an argument is out of range or unknown.
        TypeError: an argument is of the wrong type.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        n_actions: int,
        horizon: int,
        *,
        hidden_size: int = 64,
        token_size: int = 512,
        duration_gradient: float = 0.0,
        first_action_weight: float = 0.0,
        **options: Unpack[PairOptions],
    ) -> None:
        super().__init__(observation_space, **options)
        self.n_actions = n_actions
        self.horizon = as_integer(horizon, name="horizon", low=1, high=LONGEST_HORIZON)
        self.duration_gradient = as_probability(duration_gradient, name="duration_gradient")
        self.first_action_weight = as_number(first_action_weight, name="first_action_weight", low=0)
        n_durations = self.horizon + 1
        width = self.embedding_size
        sizes = (n_actions, width, token_size, hidden_size)
        self.inverse_dynamics = ActionDecoder(*sizes, emits_stop=False)
        self.prior = ActionDecoder(*sizes, emits_stop=False)
        # The duration enters between the first layer of the mix and its normalisation, and as a
        # countdown into the gates of both decoders.
        self.duration_in = nn.Embedding(n_durations, MIX_SIZE)
        nn.init.normal_(self.duration_in.weight, std=0.5)
        self.countdown = nn.Parameter(torch.zeros(2, n_durations, 4 * hidden_size))
        self.duration = _duration_head(2 * width, n_durations)
        self.prior_duration = _duration_head(width, n_durations)

    def encode(self, observation: Tensor, goal: Tensor) -> EncodedPairs:
        """Encode B observations with their goals, and predict the durations between them."""
        state, pair = self.encoded(observation, goal)
        both = torch.cat((state, pair), dim=-1)
        share = self.duration_gradient
        seen = both.detach() * (1.0 - share) + both * share
        predicted = self.duration(seen), self.prior_duration(seen[:, : state.shape[1]])
        return EncodedPairs(
            self, state, self.mix[0](both), torch.stack(predicted).float().log_softmax(dim=-1)
        )

    def plan_log_probs(
        self,
        observation: Tensor,
        goal: Tensor,
        tokens: Int[Tensor, "b k"],
        length: Int[Tensor, "b"],
    ) -> tuple[Float[Tensor, "2 n"], Float[Tensor, "2 b"]]:
        """Return log p of the actions and of the durations, each under (inverse dynamics, prior).

        Args:
            observation: (B, …).
            goal: (B, …).
            tokens: sequences of actions, STOP last, in order of falling length.
            length: number of tokens that count, STOP included: k + 1; on the CPU.

        Returns:
            (2, N) for the N = Σ k actions, packed by time; (2, B) for the durations.
        """
        packing = Packing.of(length - 1, tokens.shape[1] - 1, tokens.device)
        n_plans = packing.n_sequences  # the others, which come last, have k = 0
        duration = (length - 1).to(tokens.device, non_blocking=True)
        k, actions = duration[:n_plans], tokens[:n_plans, :-1]
        previous = functional.pad(actions[:, :-1], (1, 0), value=self.n_actions)
        left = k[:, None] - torch.arange(actions.shape[1], device=k.device)
        entries = left * (self.n_actions + 1) + previous

        encoded = self.encode(observation, goal)
        of_duration = encoded.log_duration.gather(-1, duration.expand(2, -1).unsqueeze(-1))
        folded = encoded.fold(torch.arange(n_plans, device=k.device), k)
        # A row for each number of actions left and previous token: there are more tokens than rows.
        table = self.countdown[:, :, None] + folded.table[:, None]
        folded = folded._replace(table=table.flatten(1, 2))
        return log_probs(folded, entries, actions, packing), of_duration.squeeze(-1)

    def losses(
        self,
        observation: Tensor,
        goal: Tensor,
        tokens: Int[Tensor, "b k"],
        length: Int[Tensor, "b"],
    ) -> Losses:
        """Return the terms of the loss, see :meth:`plan_log_probs`.

        Each term is the mean over actions plus the mean over durations: as one token among 50, a
        duration would hardly count. With `first_action_weight`, that much of the mean over the
        plans' first actions is added.
        """
        n_plans = int((length > 1).sum()) if self.first_action_weight else 0
        of_actions, of_durations = self.plan_log_probs(observation, goal, tokens, length)
        log_p = _mean(of_actions) + of_durations.mean(dim=1)
        if self.first_action_weight:  # packed by time, first actions come first
            log_p = log_p + self.first_action_weight * _mean(of_actions[:, :n_plans])
        inverse, prior = log_p
        return Losses(-inverse, -prior)

    def token_inputs(
        self, folded: Folded, left: Int[Tensor, "c"], previous: Int[Tensor, "c"]
    ) -> Float[Tensor, "2 c 4h"]:
        """Return the decoders' inputs for the first C of the pairs they are folded for.

        Args:
            folded: the decoders, from :meth:`EncodedPairs.fold`.
            left: (C,) number of actions to go.
            previous: (C,) previous token; A for the start.
        """
        constant = folded.constant[:, : len(previous)]
        return constant + (self.countdown[:, left] + folded.table[:, previous])


@dataclass(frozen=True)
class EncodedPairs:
    """B observations with their goals, encoded by a :class:`DurationModel`.

    Attributes:
        model: that model.
        state: (B, d) embeddings of the observations, the prior's context.
        pair: (B, m) of observations with goals, before the duration is known.
        log_duration: (2, B, T + 1) log p(k) for k = 0 … T, under inverse dynamics and prior.
    """

    model: DurationModel
    state: Float[Tensor, "b d"]
    pair: Float[Tensor, "b m"]
    log_duration: Float[Tensor, "2 b durations"]

    def fold(self, row: Int[Tensor, "c"], duration: Int[Tensor, "c"]) -> Folded:
        """Make the decoders ready for C pairs with a duration each.

        Args:
            row: which of the B observations.
            duration: its number of actions k.

        Returns:
            Decoders whose inputs are :meth:`DurationModel.token_inputs`.
        """
        model = self.model
        with torch.autocast(self.pair.device.type, enabled=False):
            known = self.pair.float()[row] + model.duration_in(duration)
            inverse = model.inverse_dynamics.fold(model.mix[1:](known))
            # The prior does not know the duration: it is folded once for each observation.
            h, c, constant, *shared = model.prior.fold(self.state.float())
            return stacked(inverse, (h[row], c[row], constant[row], *shared))


def _mean(of_actions: Float[Tensor, "2 n"]) -> Float[Tensor, "2"]:
    """Return the mean over actions; zero for a batch without actions."""
    return of_actions.sum(dim=1) / max(1, of_actions.shape[1])


def _duration_head(n_inputs: int, n_durations: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(n_inputs, MIX_SIZE),
        nn.LayerNorm(MIX_SIZE),
        nn.ReLU(),
        nn.Linear(MIX_SIZE, n_durations),
    )
