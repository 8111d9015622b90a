"""Random shooting with GLAMOR's heuristic: the best of N sampled action sequences (§3.3–3.4).

In: the two decoders, folded for B observations and goals. Out: one :class:`Plan` a row.

Candidates are sampled token by token from softmax(z), z = log p_inv − log p_prior, and scored by
Σ z + length · ln γ (Eq. 8), STOP included. All B × N candidates advance together; a step is one
table look-up, one product with the recurrent weights and one with the head; candidates that have
ended leave the batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from glamor_gym.models.glamor import Folded
from glamor_gym.types import Plan

StopRule = Literal["free", "end", "never"]

CLIPPED_Z = -20.0
"""z of a token that the clip rules out: as good as never sampled, ruinous if it is."""


@dataclass(frozen=True)
class PlannerSettings:
    """How plans are made.

    Attributes:
        n_trials: number N of candidates for each observation.
        clip_log_prob: tokens with log p_inv below this are not expanded (`clip-p-actions`).
        use_prior: subtract the prior's log-probability; without it, z = log p_inv.
        gamma: γ of Eq. 8, the taste for short plans.
        stop: ``"free"``: STOP may come in any slot but the first; ``"end"``: only in the last
            slot (the paper's plan-end, §4.7.2); ``"never"``: plans as ``"free"``, but the agent
            does not end its episodes (naive-end).
        stop_first: whether STOP may come first too. Needs a model that was taught what having
            arrived looks like (`stay_fraction`); the paper's was not.
        guided: sample candidates from softmax(z); else uniformly, as in Fig. 4.
    """

    n_trials: int = 50
    clip_log_prob: float = -3.15
    use_prior: bool = True
    gamma: float = 0.99
    stop: StopRule = "free"
    stop_first: bool = False
    guided: bool = True

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: a setting is out of its range; the message names it.
        """
        if self.n_trials < 1:
            raise ValueError(f"n_trials must be 1 or more, got {self.n_trials}")
        if not 0.0 < self.gamma <= 1.0:
            raise ValueError(f"gamma must lie in (0, 1], got {self.gamma}")
        if not self.clip_log_prob < 0.0:
            raise ValueError(f"clip_log_prob must be below 0, got {self.clip_log_prob}")
        if self.stop not in ("free", "end", "never"):
            raise ValueError(f"stop must be 'free', 'end' or 'never', got {self.stop!r}")


def plan(
    folded: Folded,
    max_actions: Int[Tensor, "b"],
    settings: PlannerSettings,
    generator: torch.Generator,
) -> Plan:
    """Find the best of N candidate plans for each of B observations.

    Args:
        folded: inverse dynamics model and prior (M = 2), float32.
        max_actions: (B,) int64, the longest plan allowed in actions, STOP not counted: T − t.
        settings: see :class:`PlannerSettings`.
        generator: source of the sampling noise, on the device of `folded`.

    Returns:
        The winners; ``plan.tokens`` has max(max_actions) + 1 columns.

    Raises:
        ValueError: a row of `max_actions` is below 1.
    """
    if int(max_actions.min()) < 1:
        raise ValueError(f"max_actions must be 1 or more in every row, got {max_actions.tolist()}")
    device = folded.h.device
    n_rows, n_trials = folded.h.shape[1], settings.n_trials
    n_slots = int(max_actions.max()) + 1
    stop = folded.head.shape[-1] - 1
    n_candidates = n_rows * n_trials
    uniforms = sampling_noise(n_slots, n_candidates, generator)
    tokens = torch.full((n_slots, n_candidates), stop + 1, device=device)
    token_z = torch.zeros(n_slots, n_candidates, device=device)

    # The candidates still being extended: where they are written, their row, their state.
    candidate = torch.arange(n_candidates, device=device)
    row = candidate // n_trials
    last_slot = max_actions.to(device)[row]
    previous = torch.full_like(candidate, stop)  # the start token has STOP's place in the table
    model = LSTMPair(folded, row)

    for slot in range(n_slots):
        z = heuristic(model.next_logits(row, previous), settings)
        stop_is_open = settings.stop != "end" and (slot > 0 or settings.stop_first)
        token = sample(z, uniforms[slot, candidate], stop_is_open, settings.guided)
        token = torch.where(last_slot == slot, stop, token)
        tokens[slot, candidate] = token
        token_z[slot, candidate] = z.gather(1, token[:, None])[:, 0]

        # Go on with those that have not ended. On a GPU looking costs more than going on.
        going_on = token != stop
        if device.type == "cpu" or slot % 8 == 7 or slot == n_slots - 1:
            kept = going_on.nonzero()[:, 0]
            if not len(kept):
                break
            if len(kept) < KEEP_ALL * len(candidate):
                candidate, row, token, last_slot = (
                    part[kept] for part in (candidate, row, token, last_slot)
                )
                model.keep(kept)
        previous = token

    # What was sampled after STOP, by candidates that were carried along, does not count.
    ended = (tokens == stop).cumsum(dim=0) - (tokens == stop).long() > 0
    tokens.masked_fill_(ended, stop + 1)
    token_z.masked_fill_(ended, 0.0)
    length = (tokens <= stop).sum(dim=0)
    score = token_z.sum(dim=0) + length * math.log(settings.gamma)
    best = score.view(n_rows, n_trials).argmax(dim=1)
    best = best + torch.arange(n_rows, device=device) * n_trials
    return Plan(tokens[:, best].t(), length[best], score[best], token_z[:, best].t())


KEEP_ALL = 0.8
"""Candidates that have ended are carried along until fewer than this share is left."""


class LSTMPair:
    """Both decoders' recurrence over a set of candidates, in place and without gradients.

    Context and previous token enter as one look-up; all gates go through one sigmoid, since
    tanh x = 2 σ(2x) − 1 and the doubling can be done in the weights beforehand.

    Args:
        folded: the decoders, for B rows.
        row: (C,) which row each candidate belongs to.
    """

    def __init__(self, folded: Folded, row: Int[Tensor, "c"]) -> None:
        n_models, n_rows, width = folded.constant.shape
        self.n_tokens, self.size = folded.table.shape[1], width // 4
        doubled = torch.ones(width, device=row.device)
        doubled[2 * self.size : 3 * self.size] = 2.0
        inputs = (folded.constant[:, :, None] + folded.table[:, None]) * doubled
        self.inputs = inputs.view(n_models * n_rows * self.n_tokens, width)
        self.model_offset = torch.arange(n_models, device=row.device)[:, None] * (
            n_rows * self.n_tokens
        )
        self.recurrent = folded.recurrent * doubled
        self.head, self.head_bias = folded.head, folded.head_bias
        self.h, self.c = folded.h[:, row], folded.c[:, row]
        # One buffer for all steps: fresh pages for every step's gates would cost more than the
        # arithmetic.
        self.buffer = self.inputs.new_empty(n_models * len(row), width)

    def next_logits(
        self, row: Int[Tensor, "c"], previous: Int[Tensor, "c"]
    ) -> Float[Tensor, "2 c tokens"]:
        """Take one step with the previous tokens (STOP stands for the start)."""
        index = (row * self.n_tokens + previous + self.model_offset).flatten()
        gates = self.buffer[: len(index)]
        torch.index_select(self.inputs, 0, index, out=gates)
        gates = gates.view(len(self.h), len(row), -1).baddbmm_(self.h, self.recurrent)
        i, f, g, o = gates.sigmoid_().chunk(4, dim=-1)
        self.c.mul_(f).addcmul_(i, g.mul_(2.0).sub_(1.0))
        torch.tanh(self.c, out=self.h).mul_(o)
        return torch.baddbmm(self.head_bias, self.h, self.head)

    def keep(self, kept: Int[Tensor, "k"]) -> None:
        """Forget all candidates but these."""
        self.h, self.c = self.h[:, kept], self.c[:, kept]


def heuristic(
    logits: Float[Tensor, "2 c tokens"], settings: PlannerSettings
) -> Float[Tensor, "c tokens"]:
    """Return z of every token: log p_inv − log p_prior, with unlikely tokens ruled out (§A.3)."""
    log_p = logits.log_softmax(dim=-1)
    z = log_p[0] - log_p[1] if settings.use_prior else log_p[0]
    return z.masked_fill(log_p[0] < settings.clip_log_prob, CLIPPED_Z)


def sampling_noise(
    n_slots: int, n_candidates: int, generator: torch.Generator
) -> Float[Tensor, "slots c"]:
    """Draw the noise of a whole plan: one number in [0, 1) for each token."""
    return torch.rand(n_slots, n_candidates, generator=generator, device=generator.device)


def sample(
    z: Float[Tensor, "c tokens"],
    uniform: Float[Tensor, "c"],
    stop_is_open: bool,
    guided: bool,
) -> Int[Tensor, "c"]:
    """Sample a token for each candidate by inverting the distribution function.

    Args:
        z: what softmax is taken of, STOP last.
        uniform: one number in [0, 1) for each candidate.
        stop_is_open: whether STOP may be sampled.
        guided: sample from softmax(z); else every token is as likely.
    """
    n_open = z.shape[1] if stop_is_open else z.shape[1] - 1
    if not guided:
        return (uniform * n_open).long().clamp_(max=n_open - 1)
    cumulative = z[:, :n_open].softmax(dim=-1).cumsum(dim=-1)
    # Rounding may leave the last sum below 1: then the last token it is.
    return (cumulative[:, :-1] <= uniform[:, None]).sum(dim=-1)
