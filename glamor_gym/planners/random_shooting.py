"""Random shooting with GLAMOR's heuristic: the best of N sampled action sequences (§3.3–3.4).

In: the two decoders, folded for B observations and goals. Out: one :class:`Plan` per row.

Candidates are sampled token by token from softmax(z), z = log p_inv − log p_prior, and scored by
Σ z + length · ln γ (Eq. 8), STOP included. All B × N candidates advance together; ended ones are
dropped from the batch.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from glamor_gym.models.glamor import Folded
from glamor_gym.planners.candidates import Candidates, check_limits
from glamor_gym.planners.settings import PlannerSettings
from glamor_gym.types import Plan

LOOK_EVERY = {"cpu": 4, "cuda": 16}
"""Number of slots between checks for ended candidates; on a GPU, a check synchronises."""


def plan(
    folded: Folded,
    max_actions: Int[Tensor, "b"],
    settings: PlannerSettings,
    generator: torch.Generator,
) -> Plan:
    """Find the best of N candidate plans for each of B observations.

    Args:
        folded: inverse dynamics model and prior (M = 2), float32.
        max_actions: (B,) int64, maximum number of actions per plan, without STOP: T − t.
        settings: see :class:`PlannerSettings`.
        generator: source of the sampling noise, on the device of `folded`.

    Returns:
        The best plans; ``plan.tokens`` has max(max_actions) + 1 columns.

    Raises:
        ValueError: a row of `max_actions` is below 1.
    """
    check_limits(max_actions)
    device = folded.h.device
    n_candidates = len(max_actions) * settings.n_trials
    uniforms = sampling_noise(int(max_actions.max()) + 1, n_candidates, generator)
    look_every = LOOK_EVERY.get(device.type, LOOK_EVERY["cuda"])
    return roll_out(folded, max_actions.to(device), uniforms, settings, look_every)


def sampling_noise(
    n_slots: int, n_candidates: int, generator: torch.Generator
) -> Float[Tensor, "slots c"]:
    """Draw the noise of a whole plan: one number in [0, 1) for each token."""
    return torch.rand(n_slots, n_candidates, generator=generator, device=generator.device)


def roll_out(
    folded: Folded,
    max_actions: Int[Tensor, "b"],
    uniforms: Float[Tensor, "slots c"],
    settings: PlannerSettings,
    look_every: int,
) -> Plan:
    """Sample all candidates from given noise and return the best ones.

    Args:
        folded: as in :func:`plan`.
        max_actions: as in :func:`plan`, on the device of `folded`.
        uniforms: noise for all tokens, with one row per slot: as many as the longest plan allowed
            has tokens, STOP included.
        settings: see :class:`PlannerSettings`.
        look_every: number of slots between checks for ended candidates, which are then dropped;
            sampling ends when none is left. The plans are the same.
    """
    n_slots, n_candidates = uniforms.shape
    stop = folded.head.shape[-1] - 1
    row = torch.arange(n_candidates, device=uniforms.device) // settings.n_trials
    candidates = Candidates(folded, max_actions[row], row, settings)
    tokens = row.new_full(uniforms.shape, stop + 1)
    token_z = torch.zeros_like(uniforms)
    for begin in range(0, n_slots, look_every):
        slots = slice(begin, begin + look_every)
        noise = uniforms[slots].index_select(1, candidates.index)
        new_tokens, new_z = candidates.extend(range(n_slots)[slots], noise)
        tokens[slots].index_copy_(1, candidates.index, new_tokens)
        token_z[slots].index_copy_(1, candidates.index, new_z)
        if not candidates.drop_ended():
            break
    return best_of(tokens, token_z, len(max_actions), settings, stop)


def best_of(
    tokens: Int[Tensor, "slots c"],
    token_z: Float[Tensor, "slots c"],
    n_rows: int,
    settings: PlannerSettings,
    stop: int,
) -> Plan:
    """Score all candidates by Equation 8 and return each row's best.

    Args:
        tokens: the candidates, row by row; what follows STOP is ignored, and overwritten.
        token_z: z of each token; overwritten after STOP as well.
        n_rows: number of observations B.
        settings: see :class:`PlannerSettings`; with `vote`, only the candidates that begin with
            the token elected are considered.
        stop: the STOP token.
    """
    is_stop = tokens == stop
    ended = is_stop.cumsum(dim=0) - is_stop.long() > 0
    tokens.masked_fill_(ended, stop + 1)
    token_z.masked_fill_(ended, 0.0)
    length = (tokens <= stop).sum(dim=0)
    score = token_z.sum(dim=0) + length * math.log(settings.gamma)
    ranked = score.view(n_rows, -1)
    if settings.vote:
        ranked = _only_the_elected(ranked, tokens[0].view(n_rows, -1), stop)
    best = ranked.argmax(dim=1)
    best += torch.arange(0, len(score), len(score) // n_rows, device=best.device)
    return Plan(tokens[:, best].t(), length[best], score[best], token_z[:, best].t())


def _only_the_elected(
    score: Float[Tensor, "b n"], first: Int[Tensor, "b n"], stop: int
) -> Float[Tensor, "b n"]:
    """Rule out all candidates but those whose first token has the largest Σ exp(score)."""
    weight = score.new_zeros(len(score), stop + 1).scatter_add_(1, first, score.softmax(dim=1))
    return score.masked_fill(first != weight.argmax(dim=1, keepdim=True), -math.inf)
