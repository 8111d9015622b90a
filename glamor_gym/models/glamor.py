"""GLAMOR's two sequence models: p(a_1 … a_k, STOP | s, g) and p(a_1 … a_k, STOP | s).

In: observations and goals (and, in training, token sequences).
Out: log-probabilities of tokens under the inverse dynamics model and under the action prior
(§3.3–3.4, Fig. 1).

Tokens are the A actions and STOP (= A). Each model is an LSTM whose first state is linear in its
context and whose input at each step is a linear layer over the context beside the one-hot
previous token. That layer and the LSTM's own input product are both linear, so together they are
one vector per context plus one row of a table per token: :func:`fold`. Training
and planning both start from that.

The authors' head has one more output, for padding, which they drop and renormalise in planning;
here padding never enters a softmax.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from glamor_gym.models.encoders import EncoderName, make_encoder
from glamor_gym.models.recurrence import lstm_packed

Fusion = Literal["late", "early"]


class Folded(NamedTuple):
    """M decoders made ready for B contexts (GLAMOR has M = 2: inverse dynamics, prior).

    Attributes:
        h: (M, B, H) first hidden states.
        c: (M, B, H) first cell states.
        constant: (M, B, 4H) what the context adds to the gates at every step, biases included.
        table: (M, A + 1, 4H) what the previous token adds; its last row is the start token's.
        recurrent: (M, H, 4H) weights of h @ recurrent.
        head: (M, H, A + 1) weights of the logits.
        head_bias: (M, 1, A + 1).
    """

    h: Float[Tensor, "m b h"]
    c: Float[Tensor, "m b h"]
    constant: Float[Tensor, "m b 4h"]
    table: Float[Tensor, "m tokens 4h"]
    recurrent: Float[Tensor, "m h 4h"]
    head: Float[Tensor, "m h tokens"]
    head_bias: Float[Tensor, "m 1 tokens"]

    def float(self) -> Folded:
        """Return the same in float32: sampling and scores want more than bfloat16."""
        return Folded(*(part.float() for part in self))


class ActionDecoder(nn.Module):
    """An LSTM over action tokens, given a context.

    Args:
        n_actions: number of actions A.
        context_size: width of the contexts.
        token_size: width of the linear layer before the LSTM (512 in the paper).
        hidden_size: width H of the LSTM (64 in the paper).
    """

    def __init__(
        self, n_actions: int, context_size: int, token_size: int, hidden_size: int
    ) -> None:
        super().__init__()
        self.first_state = nn.Linear(context_size, 2 * hidden_size)
        self.context_in = nn.Linear(context_size, token_size)
        self.token_in = nn.Linear(n_actions, token_size, bias=False)
        self.cell = nn.LSTMCell(token_size, hidden_size)
        self.head = nn.Linear(hidden_size, n_actions + 1)

    def fold(self, context: Float[Tensor, "b d"]) -> tuple[Tensor, ...]:
        """Do everything that depends on the context alone, or on the token alone.

        Returns:
            The parts of a :class:`Folded`, without the axis M.
        """
        h, c = self.first_state(context).chunk(2, dim=-1)
        biases = self.cell.bias_ih + self.cell.bias_hh
        constant = functional.linear(self.context_in(context), self.cell.weight_ih, biases)
        table = functional.linear(self.token_in.weight.t(), self.cell.weight_ih)
        return (
            h,
            c,
            constant,
            functional.pad(table, (0, 0, 0, 1)),  # the start token is a zero vector
            self.cell.weight_hh.t(),
            self.head.weight.t(),
            self.head.bias.unsqueeze(0),
        )


def fold(decoders: Iterable[ActionDecoder], contexts: Iterable[Float[Tensor, "b d"]]) -> Folded:
    """Make M decoders of one size ready for B contexts each."""
    parts = [decoder.fold(context) for decoder, context in zip(decoders, contexts, strict=True)]
    return Folded(*map(torch.stack, zip(*parts, strict=True)))


def log_probs(
    folded: Folded, tokens: Int[Tensor, "b k"], length: Int[Tensor, "b"]
) -> Float[Tensor, "m n"]:
    """Return log p of each given token under each model, sequences packed by time.

    Args:
        folded: for the B contexts, in order of falling `length`.
        tokens: the sequences, STOP last, then anything.
        length: number of tokens that count.

    Returns:
        (M, N) with N = Σ length: the first tokens of all sequences, then the second ones, …
    """
    n_models, start = folded.table.shape[0], folded.table.shape[1] - 1
    in_time = torch.arange(tokens.shape[1], device=tokens.device)[:, None] < length
    batch_sizes = in_time.sum(dim=1).tolist()
    # Token t is predicted from token t − 1; the first from the start token.
    previous = functional.pad(tokens[:, :-1], (1, 0), value=start).t()[in_time]
    sequence = in_time.nonzero()[:, 1]
    gate_inputs = folded.constant[:, sequence] + folded.table[:, previous]
    hidden = lstm_packed(gate_inputs, folded.h, folded.c, folded.recurrent, batch_sizes)
    logits = torch.baddbmm(folded.head_bias, hidden, folded.head)
    targets = tokens.t()[in_time].expand(n_models, -1)
    return logits.log_softmax(dim=-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)


class GlamorModel(nn.Module):
    """Encoders, mix and the two decoders.

    The inverse dynamics model sees observation and goal; the prior sees the observation alone.

    One encoder is for the observation, one for the goal; their embeddings are mixed by an MLP.
    The prior is conditioned on the observation's embedding, and its gradient reaches that encoder
    too (§4.2).

    * ``fusion="late"`` (the paper's): the goal's encoder sees the goal alone.
    * ``fusion="early"``: it sees the observation beside the goal, so that its first convolution
      can already compare them. The observation's encoder may then be a smaller one.

    Args:
        observation_space: a Dict with Boxes ``observation`` and ``achieved_goal``.
        n_actions: number of actions A, STOP not counted.
        encoder: see :func:`~glamor_gym.models.encoders.make_encoder`.
        fusion: see above.
        prior_encoder: the observation's encoder with early fusion; None for the same as `encoder`.
        embedding_size: width of embeddings and of the mix (512).
        hidden_size: width of the LSTMs (64).
        token_size: width of the layer between token and LSTM (512).

    Raises:
        ValueError: `encoder` or `fusion` is unknown.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        n_actions: int,
        *,
        encoder: EncoderName = "auto",
        fusion: Fusion = "late",
        prior_encoder: EncoderName | None = None,
        embedding_size: int = 512,
        hidden_size: int = 64,
        token_size: int = 512,
    ) -> None:
        super().__init__()
        if fusion not in get_args(Fusion):
            raise ValueError(f"fusion must be one of {', '.join(get_args(Fusion))}; got {fusion!r}")
        self.n_actions = n_actions
        self.fusion: Fusion = fusion
        observation, goal = observation_space["observation"], observation_space["achieved_goal"]
        assert isinstance(observation, spaces.Box)
        assert isinstance(goal, spaces.Box)
        own = prior_encoder if fusion == "early" and prior_encoder else encoder
        self.observation_encoder = make_encoder(observation, own, embedding_size)
        beside = stacked_space(observation, goal) if fusion == "early" else goal
        self.goal_encoder = make_encoder(beside, encoder, embedding_size)
        self.mix = nn.Sequential(
            nn.Linear(2 * embedding_size, 256),
            nn.LayerNorm(256),
            nn.ReLU(inplace=True),
            nn.Linear(256, embedding_size),
            nn.ReLU(inplace=True),
        )
        sizes = (n_actions, embedding_size, token_size, hidden_size)
        self.inverse_dynamics = ActionDecoder(*sizes)
        self.prior = ActionDecoder(*sizes)

    def fold(self, observation: Tensor, goal: Tensor) -> Folded:
        """Encode B observations and goals, and make the decoders ready for them."""
        state = self.observation_encoder(observation)
        shown = goal if self.fusion == "late" else stacked(observation, goal)
        mixed = self.mix(torch.cat((state, self.goal_encoder(shown)), dim=-1))
        return fold((self.inverse_dynamics, self.prior), (mixed, state)).float()

    def forward(
        self,
        observation: Tensor,
        goal: Tensor,
        tokens: Int[Tensor, "b k"],
        length: Int[Tensor, "b"],
    ) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
        """Return log p of every token that counts, under (inverse dynamics, prior).

        Sequences must come in order of falling length; the result is packed by time.
        """
        inverse, prior = log_probs(self.fold(observation, goal), tokens, length)
        return inverse, prior


def stacked(observation: Tensor, goal: Tensor) -> Tensor:
    """Put a goal beside its observation: as further channels of pictures, or of flat vectors."""
    if observation.dim() == 4 and observation.shape[2:] == goal.shape[2:]:
        return torch.cat((observation, goal), dim=1)
    return torch.cat((observation.flatten(1), goal.flatten(1)), dim=1)


def stacked_space(observation: spaces.Box, goal: spaces.Box) -> spaces.Box:
    """Return the space of what :func:`stacked` makes of one observation and one goal."""
    one = [torch.zeros(1, *space.shape) for space in (observation, goal)]
    shape = tuple(stacked(*one).shape[1:])
    is_picture = observation.dtype == np.uint8
    return spaces.Box(0, 255 if is_picture else 1, shape, np.uint8 if is_picture else np.float32)
