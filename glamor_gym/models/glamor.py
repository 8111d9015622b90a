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
from typing import NamedTuple, Self, Unpack

import torch
from gymnasium import spaces
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from glamor_gym.checks import as_integer
from glamor_gym.models.encoders import MOST_UNITS
from glamor_gym.models.pair_encoder import PairEncoder, PairOptions
from glamor_gym.models.recurrence import lstm


class Folded(NamedTuple):
    """M decoders prepared for B contexts (GLAMOR has M = 2: inverse dynamics, prior).

    Attributes:
        h: (M, B, H) first hidden states.
        c: (M, B, H) first cell states.
        constant: (M, B, 4H) what the context adds to the gates at every step, biases included.
        table: (M, A + 1, 4H) what the previous token adds; its last row is the start token's. A
            :class:`~glamor_gym.models.DurationModel` has such a table for each number of actions
            left, one after the other.
        recurrent: (M, H, 4H) weights of h @ recurrent.
        head: (M, H, tokens) weights of the logits: the A actions, and STOP where it is a token.
        head_bias: (M, 1, tokens).
    """

    h: Float[Tensor, "m b h"]
    c: Float[Tensor, "m b h"]
    constant: Float[Tensor, "m b 4h"]
    table: Float[Tensor, "m tokens 4h"]
    recurrent: Float[Tensor, "m h 4h"]
    head: Float[Tensor, "m h tokens"]
    head_bias: Float[Tensor, "m 1 tokens"]


class ActionDecoder(nn.Module):
    """An LSTM over action tokens, given a context.

    Args:
        n_actions: number of actions A.
        context_size: width of the contexts.
        token_size: width of the linear layer before the LSTM (512 in the paper).
        hidden_size: width H of the LSTM (64 in the paper).
        emits_stop: whether STOP is among the outputs; else they are the A actions alone.
    """

    def __init__(
        self,
        n_actions: int,
        context_size: int,
        token_size: int,
        hidden_size: int,
        *,
        emits_stop: bool = True,
    ) -> None:
        super().__init__()
        hidden_size = as_integer(hidden_size, name="hidden_size", low=1, high=MOST_UNITS)
        token_size = as_integer(token_size, name="token_size", low=1, high=MOST_UNITS)
        n_actions = as_integer(n_actions, name="n_actions", low=1, high=MOST_UNITS)
        self.first_state = nn.Linear(context_size, 2 * hidden_size)
        self.context_in = nn.Linear(context_size, token_size)
        self.token_in = nn.Linear(n_actions, token_size, bias=False)
        self.cell = nn.LSTMCell(token_size, hidden_size)
        self.head = nn.Linear(hidden_size, n_actions + int(emits_stop))

    def fold(self, context: Float[Tensor, "b d"]) -> tuple[Tensor, ...]:
        """Compute everything that depends on the context alone, or on the token alone.

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
    """Prepare M decoders of one size for B contexts each."""
    pairs = zip(decoders, contexts, strict=True)
    return stacked(*(decoder.fold(context) for decoder, context in pairs))


def stacked(*folded: Iterable[Tensor]) -> Folded:
    """Put together what :meth:`ActionDecoder.fold` returned for M decoders of one size."""
    return Folded(*map(torch.stack, zip(*folded, strict=True)))


class Packing(NamedTuple):
    """How B sequences of falling length are packed by time: all first tokens, all second ones, ….

    Attributes:
        batch_sizes: how many sequences have a t-th token, for t = 0, 1, ….
        sequence: (N,) which sequence each of the N = Σ length packed tokens is of.
        time: (N,) which of its tokens it is.
    """

    batch_sizes: list[int]
    sequence: Int[Tensor, "n"]
    time: Int[Tensor, "n"]

    @property
    def n_sequences(self) -> int:
        """Number of sequences with a first token."""
        return self.batch_sizes[0] if self.batch_sizes else 0

    @classmethod
    def of(cls, length: Int[Tensor, "b"], longest: int, device: torch.device | str) -> Self:
        """Return the packing of sequences in order of falling length.

        Args:
            length: (B,) number of tokens of each sequence, on the CPU as in PyTorch's
                ``pack_padded_sequence``: from a GPU, each call would wait for all work before it.
            longest: at least the largest of them.
            device: where the sequences are.
        """
        counts = (torch.arange(longest)[:, None] < length).sum(dim=1)
        batch_sizes = counts.tolist()
        # Only the counts are sent to the device; a large transfer would wait for it.
        there, n_tokens = counts.to(device, non_blocking=True), sum(batch_sizes)
        slots = torch.arange(longest, device=device)
        time = slots.repeat_interleave(there, output_size=n_tokens)
        starts = there.cumsum(dim=0) - there
        return cls(batch_sizes, torch.arange(n_tokens, device=device) - starts[time], time)

    def pack(self, tokens: Int[Tensor, "b k"]) -> Int[Tensor, "n"]:
        """Return the tokens that count, packed."""
        return tokens[self.sequence, self.time]


def log_probs(
    folded: Folded,
    entries: Int[Tensor, "b k"],
    tokens: Int[Tensor, "b k"],
    packing: Packing,
) -> Float[Tensor, "m n"]:
    """Return log p of each given token after a given entry of the table.

    Args:
        folded: for the B contexts, in order of falling length.
        entries: row of ``folded.table`` that is the input before each token.
        tokens: the sequences, then anything.
        packing: of the sequences.

    Returns:
        (M, N), packed by time.
    """
    # Encoders may run in bfloat16; the decoders need float32.
    with torch.autocast(tokens.device.type, enabled=False):
        # index_select's gradient is several times as fast as that of square brackets.
        gate_inputs = folded.constant.index_select(1, packing.sequence)
        gate_inputs = gate_inputs + folded.table.index_select(1, packing.pack(entries))
        hidden = lstm(gate_inputs, folded.h, folded.c, folded.recurrent, packing.batch_sizes)
        logits = torch.baddbmm(folded.head_bias, hidden, folded.head)
        targets = packing.pack(tokens).expand(len(folded.table), -1)
        return logits.log_softmax(dim=-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)


class Losses(NamedTuple):
    """Equation 9's two terms.

    Attributes:
        inverse: mean of −log p_inv over tokens; where durations are predicted, the mean over
            actions plus that over durations.
        prior: the same of −log p_prior.
    """

    inverse: Float[Tensor, ""]
    prior: Float[Tensor, ""]


class GlamorModel(PairEncoder):
    """Encoders, mix and the two decoders.

    The inverse dynamics model sees observation and goal. The prior is conditioned on the
    observation's embedding alone; its gradient reaches that encoder too (§4.2).

    Args:
        observation_space: a Dict with Boxes ``observation`` and ``achieved_goal``.
        n_actions: number of actions A, STOP not counted.
        hidden_size: width of the LSTMs (64).
        token_size: width of the layer between token and LSTM (512).
        **options: see :class:`~glamor_gym.models.pair_encoder.PairEncoder`.

    Raises:
        ValueError: `encoder` or `fusion` is unknown.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        n_actions: int,
        *,
        hidden_size: int = 64,
        token_size: int = 512,
        **options: Unpack[PairOptions],
    ) -> None:
        super().__init__(observation_space, **options)
        self.n_actions = n_actions
        sizes = (n_actions, self.embedding_size, token_size, hidden_size)
        self.inverse_dynamics = ActionDecoder(*sizes)
        self.prior = ActionDecoder(*sizes)

    def fold(self, observation: Tensor, goal: Tensor) -> Folded:
        """Encode B observations and goals, and prepare the decoders for them."""
        state, pair = self.encoded(observation, goal)
        mixed = self.mix(torch.cat((state, pair), dim=-1))
        # Encoders may run in bfloat16; the decoders need float32.
        with torch.autocast(state.device.type, enabled=False):
            return fold((self.inverse_dynamics, self.prior), (mixed.float(), state.float()))

    def token_log_probs(
        self,
        observation: Tensor,
        goal: Tensor,
        tokens: Int[Tensor, "b k"],
        length: Int[Tensor, "b"],
    ) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
        """Return log p of every token that counts, under (inverse dynamics, prior).

        Sequences must come in order of falling length, with `length` on the CPU; the result is
        packed by time.
        """
        packing = Packing.of(length, tokens.shape[1], tokens.device)
        # Token t is predicted from token t − 1; the first from the start token.
        previous = functional.pad(tokens[:, :-1], (1, 0), value=self.n_actions)
        inverse, prior = log_probs(self.fold(observation, goal), previous, tokens, packing)
        return inverse, prior

    def losses(
        self,
        observation: Tensor,
        goal: Tensor,
        tokens: Int[Tensor, "b k"],
        length: Int[Tensor, "b"],
    ) -> Losses:
        """Return the terms of the loss, see :meth:`token_log_probs`."""
        inverse, prior = self.token_log_probs(observation, goal, tokens, length)
        return Losses(-inverse.mean(), -prior.mean())
