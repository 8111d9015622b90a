"""Random shooting with GLAMOR's heuristic: the best of N sampled action sequences (§3.3–3.4).

In: the two decoders, folded for B observations and goals. Out: one :class:`Plan` a row.

Candidates are sampled token by token from softmax(z), z = log p_inv − log p_prior, and scored by
Σ z + length · ln γ (Eq. 8), STOP included. All B × N candidates advance together; a step is one
table look-up, one product with the recurrent weights and one with the head. Sampling is by the
Gumbel-max trick, which costs one argmax and no synchronisation with the device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from glamor_gym.models.glamor import Folded
from glamor_gym.models.recurrence import lstm_cell
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
    device = folded.h.device
    n_rows, n_trials = folded.h.shape[1], settings.n_trials
    stop = folded.head.shape[-1] - 1
    n_tokens, start, padding = stop + 1, stop, stop + 1
    longest = int(max_actions.max())
    if int(max_actions.min()) < 1:
        raise ValueError(f"max_actions must be 1 or more in every row, got {max_actions.tolist()}")

    n_candidates = n_rows * n_trials
    row = torch.arange(n_rows, device=device).repeat_interleave(n_trials)
    last_slot = max_actions.to(device)[row]
    h, c = folded.h[:, row], folded.c[:, row]
    constant = folded.constant[:, row]
    previous = torch.full((n_candidates,), start, device=device)
    ended = torch.zeros(n_candidates, dtype=torch.bool, device=device)
    all_tokens = torch.full((n_candidates, longest + 1), padding, device=device)
    all_z = torch.zeros(n_candidates, longest + 1, device=device)

    for slot in range(longest + 1):
        # The two models' view of every candidate so far.
        gates = torch.baddbmm(constant + folded.table[:, previous], h, folded.recurrent)
        h, c = lstm_cell(gates, c)
        logits = torch.baddbmm(folded.head_bias, h, folded.head)
        z = heuristic(logits, settings)

        # Sample each candidate's next token among those allowed.
        allowed = allowed_tokens(slot, last_slot, n_tokens, settings)
        weight = z if settings.guided else torch.zeros_like(z)
        noise = torch.empty_like(z).exponential_(generator=generator).log_()
        token = (weight - noise).masked_fill_(~allowed, -math.inf).argmax(dim=-1)

        # Candidates that have ended keep their padding and their score.
        all_tokens[:, slot] = torch.where(ended, padding, token)
        all_z[:, slot] = z.gather(1, token[:, None])[:, 0].masked_fill(ended, 0.0)
        ended = ended | (token == stop)
        previous = token.clamp(max=start)
        if slot < longest and bool(ended.all()):
            break

    length = (all_tokens != padding).sum(dim=1)
    score = all_z.sum(dim=1) + length * math.log(settings.gamma)
    best = score.view(n_rows, n_trials).argmax(dim=1)
    best = best + torch.arange(n_rows, device=device) * n_trials
    return Plan(all_tokens[best], length[best], score[best], all_z[best])


def heuristic(
    logits: Float[Tensor, "2 n tokens"], settings: PlannerSettings
) -> Float[Tensor, "n tokens"]:
    """Return z of every token: log p_inv − log p_prior, with unlikely tokens ruled out (§A.3)."""
    log_p = logits.log_softmax(dim=-1)
    z = log_p[0] - log_p[1] if settings.use_prior else log_p[0]
    return z.masked_fill(log_p[0] < settings.clip_log_prob, CLIPPED_Z)


def allowed_tokens(
    slot: int,
    last_slot: Int[Tensor, "n"],
    n_tokens: int,
    settings: PlannerSettings,
) -> Bool[Tensor, "n tokens"]:
    """Return which tokens may come in a slot.

    STOP alone in the last slot; never STOP before it where it is to come at the end; and not in
    the first slot unless the model knows what having arrived looks like.
    """
    is_last = (last_slot == slot)[:, None]
    is_stop = torch.arange(n_tokens, device=last_slot.device) == n_tokens - 1
    stop_is_open = settings.stop != "end" and (slot > 0 or settings.stop_first)
    return torch.where(is_last, is_stop, ~is_stop | stop_is_open)
