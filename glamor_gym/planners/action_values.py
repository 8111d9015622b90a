"""First actions by value, Σ_k γ^k p(k|s,g)/p(k|s) · p(a|s,g,k)/p(a|s,k), without sampling.

In: B observations and goals, encoded by a model that predicts durations. Out: the first token of
each row's plan, and whether STOP is the second.

By Bayes' rule this value is, up to a factor that all actions share, Σ_k γ^k p(s_{t+k} = g | s, a):
the discounted probability of being at the goal after a. (Without `use_prior`, the denominators are
left out.) The score of a single candidate covers all of its actions, so that for a distant goal
the sampling noise of fifty later actions drowns the value of the first.

With `stop_first`, a goal is near if it is at most one step away with at least the probability
`arrival_probability`. The plan is then STOP alone or one action and STOP, whichever of the two
durations is likelier.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from glamor_gym.models.duration import EncodedPairs
from glamor_gym.models.glamor import Folded
from glamor_gym.models.recurrence import lstm_cell
from glamor_gym.planners.candidates import heuristic
from glamor_gym.planners.settings import PlannerSettings

RULED_OUT = -1e9
"""Logit of a duration that is not allowed."""

NEGLIGIBLE = 1e-5
"""Durations of at most this probability are left out of the sum over k."""


def acts_by_value(settings: PlannerSettings) -> bool:
    """Return whether plans begin with the action of highest value, not with a candidate's."""
    return settings.vote and settings.guided


def next_tokens_by_duration(
    encoded: EncodedPairs, max_actions: Int[Tensor, "b"], settings: PlannerSettings
) -> Int[Tensor, "b 2"]:
    """Return the beginnings of the plans that ``plan_by_duration`` would make.

    No candidates are sampled: this takes one step of the decoders instead of T, and no noise.

    Args:
        encoded: the observations and goals.
        max_actions: (B,) int64, maximum number of actions per plan, without STOP: T − t ≥ 1.
        settings: see :class:`PlannerSettings`; `vote` and `guided` must be set.

    Returns:
        The first token of each plan, and the second: STOP if the goal is one step away, else
        padding, which means that the plan has ended or that its second token is not known.
    """
    here, one_step_away = arrival(encoded, settings)
    chance = duration_probabilities(
        duration_ratio(encoded, settings), max_actions, settings, one_step_away
    )
    stop, padding = encoded.model.n_actions, encoded.model.n_actions + 1
    first = best_first_action(encoded, chance, settings).masked_fill(here, stop)
    second = torch.full_like(first, padding).masked_fill(one_step_away, stop)
    return torch.stack((first, second), dim=1)


def arrival(
    encoded: EncodedPairs, settings: PlannerSettings
) -> tuple[Bool[Tensor, "b"], Bool[Tensor, "b"]]:
    """Return which rows are at their goal, and which one step from it; neither if not near.

    Args:
        encoded: B observations and goals.
        settings: if `may_stop_first`, a goal is near if p(k ≤ 1 | s, g) ≥ `arrival_probability`;
            else no goal is.
    """
    p = encoded.log_duration[0, :, :2].exp()
    near = (p.sum(dim=1) >= settings.arrival_probability) & settings.may_stop_first
    here = p[:, 0] >= p[:, 1]
    return near & here, near & ~here


def best_first_action(
    encoded: EncodedPairs, chance: Float[Tensor, "b durations"], settings: PlannerSettings
) -> Int[Tensor, "b"]:
    """Return the first action of highest value over all durations, see the module's docstring.

    Args:
        encoded: B observations and goals.
        chance: (B, T + 1) probability of each duration, see :func:`duration_probabilities`.
        settings: see :class:`PlannerSettings`.
    """
    row, k = _pairs_that_count(chance)
    folded = encoded.fold(row, k)
    start = torch.full_like(k, encoded.model.n_actions)
    z, _, _ = decoder_step(folded, encoded.model.entry(k, start), folded.h, folded.c, settings)
    weighted = chance[row, k][:, None] * z.exp()
    worth = weighted.new_zeros(len(chance), z.shape[1]).index_add_(0, row, weighted)
    return worth.argmax(dim=1)


def _pairs_that_count(
    chance: Float[Tensor, "b durations"],
) -> tuple[Int[Tensor, "c"], Int[Tensor, "c"]]:
    """Return row and duration of all pairs whose chance is not negligible.

    On a GPU all pairs are returned: to leave some out, it would have to be waited for.
    """
    if not chance.is_cuda:
        row, k = (chance > NEGLIGIBLE).nonzero(as_tuple=True)
        return row, k
    n_rows, n_durations = chance.shape
    row = torch.arange(n_rows, device=chance.device).repeat_interleave(n_durations)
    return row, torch.arange(n_durations, device=chance.device).repeat(n_rows)


def duration_probabilities(
    duration_z: Float[Tensor, "b durations"],
    max_actions: Int[Tensor, "b"],
    settings: PlannerSettings,
    one_step_away: Bool[Tensor, "b"],
) -> Float[Tensor, "b durations"]:
    """Return the distribution from which the durations of each row's candidates are drawn.

    Args:
        duration_z: (B, T + 1) log p(k | s, g) − log p(k | s) for k = 0 … T.
        max_actions: (B,) largest duration of each row, 1 or more; the smallest is 1.
        settings: with ``stop="end"``, all candidates have the largest duration; without `guided`,
            the distribution is uniform.
        one_step_away: (B,) rows whose only duration is 1.

    Returns:
        softmax(duration_z + k · ln γ) over the allowed durations, 0 for the others.
    """
    max_actions = max_actions.to(duration_z.device, non_blocking=True)
    k = torch.arange(duration_z.shape[1], device=duration_z.device)
    score = duration_z + k * math.log(settings.gamma)
    score = score if settings.guided else torch.zeros_like(score)
    longest = max_actions.masked_fill(one_step_away, 1)
    shortest = longest if settings.stop == "end" else torch.ones_like(longest)
    allowed = (k >= shortest[:, None]) & (k <= longest[:, None])
    return score.masked_fill(~allowed, RULED_OUT).softmax(dim=-1)


def duration_ratio(
    encoded: EncodedPairs, settings: PlannerSettings
) -> Float[Tensor, "b durations"]:
    """Return log p(k | s, g) − log p(k | s) for k = 0 … T; log p(k | s, g) if not `use_prior`."""
    log_p = encoded.log_duration
    return log_p[0] - log_p[1] if settings.use_prior else log_p[0]


def decoder_step(
    folded: Folded,
    entry: Int[Tensor, "c"],
    h: Float[Tensor, "2 c h"],
    c: Float[Tensor, "2 c h"],
    settings: PlannerSettings,
) -> tuple[Float[Tensor, "c actions"], Float[Tensor, "2 c h"], Float[Tensor, "2 c h"]]:
    """Advance both decoders by one step, for the first C of the pairs they are folded for.

    Args:
        folded: the decoders.
        entry: (C,) row of the folded table for each pair, see
            :meth:`~glamor_gym.models.duration.DurationModel.entry`.
        h: (2, C, H) hidden states.
        c: (2, C, H) cell states.
        settings: see :class:`PlannerSettings`.

    Returns:
        z of every action, and the new hidden and cell states.
    """
    inputs = folded.constant[:, : len(entry)] + folded.table[:, entry]
    h, c = lstm_cell(torch.baddbmm(inputs, h, folded.recurrent), c)
    return heuristic(torch.baddbmm(folded.head_bias, h, folded.head), settings), h, c
