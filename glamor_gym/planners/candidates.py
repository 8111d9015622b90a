"""The candidates of random shooting: action sequences that are extended token by token.

In: folded decoders and noise. Out: a token and its z for every candidate and slot.

All candidates of all observations advance together. Each token takes one table look-up, one
product with the recurrent weights, one with the head, and a handful of element-wise operations.
Only :meth:`Candidates.drop_ended` waits for the device.

Where STOP may not be sampled, its probability is zero under both models, and the actions' sum to 1:
a model that would rather stop would otherwise have all actions clipped, which would then be as
likely as each other. In its last slot, where it is forced, STOP keeps its probability.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from glamor_gym.models.glamor import Folded
from glamor_gym.planners.settings import PlannerSettings

CLIPPED_Z = -20.0
"""z of a token below `clip_log_prob`: so low that softmax(z) hardly ever samples it, and a plan
with it only wins where every candidate has one."""

KEEP_ALL = 0.8
"""Ended candidates are carried along until the share of unfinished ones falls below this."""


def check_limits(max_actions: Int[Tensor, "b"]) -> None:
    """Check that every plan may have an action.

    Args:
        max_actions: (B,) maximum number of actions of each row's plan, on the CPU.

    Raises:
        ValueError: a row is below 1.
    """
    if int(max_actions.min()) < 1:
        raise ValueError(f"max_actions must be 1 or more in every row, got {max_actions.tolist()}")


class Candidates:
    """The candidates that are still being extended.

    Args:
        folded: the decoders, for B observations.
        last_slot: (C,) the slot in which each candidate must stop.
        row: (C,) which observation each candidate belongs to.
        settings: see :class:`~glamor_gym.planners.PlannerSettings`.

    Attributes:
        index: (C',) which of the C candidates remain.
    """

    def __init__(
        self,
        folded: Folded,
        last_slot: Int[Tensor, "c"],
        row: Int[Tensor, "c"],
        settings: PlannerSettings,
    ) -> None:
        self.settings = settings
        self.stop = folded.head.shape[-1] - 1
        self.index = torch.arange(len(row), device=row.device)
        self._last_slot = last_slot
        self._previous = torch.full_like(row, self.stop)  # stands for the start token
        self._going_on = torch.ones_like(row, dtype=torch.bool)
        self._models = LSTMPair(folded, row)

    def extend(
        self, slots: range, uniforms: Float[Tensor, "slots c"]
    ) -> tuple[Int[Tensor, "slots c"], Float[Tensor, "slots c"]]:
        """Sample a token in each of these slots, for ended candidates as well.

        Args:
            slots: the next slots.
            uniforms: noise for the remaining candidates.

        Returns:
            The tokens and their z; those after a candidate's STOP are meaningless.
        """
        tokens, heuristics = [], []
        for slot, uniform in zip(slots, uniforms, strict=True):
            logits = self._models.next_logits(self._previous)
            is_last, stop_is_open = self._last_slot == slot, self.settings.stop_is_open(slot)
            if not stop_is_open:
                logits[..., self.stop].masked_fill_(~is_last, -torch.inf)
            z = heuristic(logits, self.settings)
            token = sample(z, uniform, stop_is_open, self.settings.guided)
            self._previous = torch.where(is_last, self.stop, token)
            tokens.append(self._previous)
            heuristics.append(z)
        new = torch.stack(tokens)
        self._going_on &= (new != self.stop).all(dim=0)
        return new, torch.stack(heuristics).gather(-1, new.unsqueeze(-1)).squeeze(-1)

    def drop_ended(self) -> bool:
        """Drop ended candidates if there are many; return whether any is unfinished."""
        kept: Int[Tensor, "k"] = self._going_on.nonzero()[:, 0]
        if 0 < len(kept) < KEEP_ALL * len(self.index):
            self.index, self._previous, self._last_slot, self._going_on = (
                part[kept] for part in (self.index, self._previous, self._last_slot, self._going_on)
            )
            self._models.keep(kept)
        return len(kept) > 0


class LSTMPair:
    """Both decoders' recurrence over a set of candidates, in place and without gradients.

    The contributions of context and previous token are summed in advance and looked up together.
    All gates and the cell's tanh are computed by σ, which takes a tenth of tanh's time on a CPU:
    tanh x = 2 σ(2x) − 1. To this end the cell state is stored doubled and the hidden state halved,
    and the weights compensate; factors of two cause no rounding error.

    Args:
        folded: the decoders, for B rows.
        row: (C,) which row each candidate belongs to.
    """

    def __init__(self, folded: Folded, row: Int[Tensor, "c"]) -> None:
        n_models, n_rows, width = folded.constant.shape
        n_tokens, size = folded.table.shape[1], width // 4
        doubled = torch.ones(width, device=row.device)
        doubled[2 * size : 3 * size] = 2.0
        inputs = (folded.constant[:, :, None] + folded.table[:, None]) * doubled
        self._inputs = inputs.view(n_models * n_rows * n_tokens, width)
        self._recurrent = folded.recurrent * (2.0 * doubled)
        self._head, self._head_bias = folded.head * 2.0, folded.head_bias
        self._half_h, self._twice_c = folded.h[:, row] * 0.5, folded.c[:, row] * 2.0
        models = torch.arange(n_models, device=row.device)[:, None]
        self._first_input = (models * n_rows + row) * n_tokens
        # One buffer for all steps: allocating new pages for the gates of every step would cost
        # more than the arithmetic.
        self._buffer = inputs.new_empty(n_models * len(row), width)

    def next_logits(self, previous: Int[Tensor, "c"]) -> Float[Tensor, "2 c tokens"]:
        """Advance by one step, given the previous tokens (STOP stands for the start token)."""
        index = (self._first_input + previous).flatten()
        gates = self._buffer[: len(index)]
        torch.index_select(self._inputs, 0, index, out=gates)
        gates = gates.view(len(self._half_h), len(previous), -1)
        gates.baddbmm_(self._half_h, self._recurrent).sigmoid_()
        i, f, half_g, o = gates.chunk(4, dim=-1)  # g = tanh(…) = 2 half_g − 1
        self._twice_c.mul_(f).addcmul_(i, half_g, value=4.0).sub_(i, alpha=2.0)
        torch.sigmoid(self._twice_c, out=self._half_h).sub_(0.5).mul_(o)
        return torch.baddbmm(self._head_bias, self._half_h, self._head)

    def keep(self, kept: Int[Tensor, "k"]) -> None:
        """Drop all candidates but these."""
        self._half_h, self._twice_c, self._first_input = (
            part[:, kept] for part in (self._half_h, self._twice_c, self._first_input)
        )


def heuristic(
    logits: Float[Tensor, "2 c tokens"], settings: PlannerSettings
) -> Float[Tensor, "c tokens"]:
    """Return z of every token: log p_inv − log p_prior, with unlikely tokens ruled out (§A.3)."""
    log_p = logits.log_softmax(dim=-1)
    z = log_p[0] - log_p[1] if settings.use_prior else log_p[0]
    unlikely: Bool[Tensor, "c tokens"] = log_p[0] < settings.clip_log_prob
    return z.masked_fill(unlikely, CLIPPED_Z)


def sample(
    z: Float[Tensor, "c tokens"],
    uniform: Float[Tensor, "c"],
    stop_is_open: bool,
    guided: bool,
) -> Int[Tensor, "c"]:
    """Sample a token for each candidate by inverse transform sampling.

    Args:
        z: (C, tokens), see :func:`heuristic`.
        uniform: one number in [0, 1) for each candidate.
        stop_is_open: whether all tokens may be sampled; else all but the last, STOP.
        guided: sample from softmax(z); else uniformly.
    """
    n_open = z.shape[1] if stop_is_open else z.shape[1] - 1
    if guided:
        cumulative = z[:, :n_open].softmax(dim=-1).cumsum_(dim=-1)
        token = torch.searchsorted(cumulative, uniform[:, None], right=True)[:, 0]
    else:
        token = (uniform * n_open).long()
    # Rounding may leave the last sum below 1; a number above it selects the last token.
    return token.clamp_(max=n_open - 1)
