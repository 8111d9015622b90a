"""What a plan of a model that predicts durations begins with, chosen before there are candidates.

In: B encoded observations and goals. Out: the first action of each, or STOP.

The first action is the one that is worth most over all durations. Σ_k γ^k · p(k | s, g) / p(k | s)
· p(a | s, g, k) / p(a | s, k) is, by Bayes' rule and up to a factor that all actions share,
Σ_k γ^k p(s_{t+k} = g | s, a), the discounted chance to be at the goal after a. A single candidate's
score is that of all its actions together, and where the goal is far the luck of fifty later ones
drowns what the first is worth.

A goal that is likely at most one step away is near: whether it is here or one step away, the
likelier decides, and the plan is STOP, or one action and STOP.
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
"""Score of a duration that is not allowed."""

NEGLIGIBLE = 1e-5
"""Durations with a smaller share of the weight have no say in the first action."""


def elects(settings: PlannerSettings) -> bool:
    """Return whether plans begin with the action of the highest worth, whatever candidates say."""
    return settings.vote and settings.guided


def next_tokens_by_duration(
    encoded: EncodedPairs, max_actions: Int[Tensor, "b"], settings: PlannerSettings
) -> Int[Tensor, "b 2"]:
    """Return how plans begin, where that is elected.

    They are those of :func:`~glamor_gym.planners.by_duration.plan_by_duration`. No candidate has a
    part in it: it takes one step of the decoders where a plan takes T, and no noise.

    Args:
        encoded: see there.
        max_actions: likewise.
        settings: likewise, with `vote` and `guided`.

    Returns:
        The first token; and STOP as the second where the goal is one step away, else padding: the
        plan goes on somehow, or is over.

    Raises:
        ValueError: a row of `max_actions` is below 1.
    """
    here, one_step_away = nearness(encoded, settings)
    chance = chances(duration_ratio(encoded, settings), max_actions, settings, one_step_away)
    stop, padding = encoded.model.n_actions, encoded.model.n_actions + 1
    first = elected(encoded, chance, settings).masked_fill(here, stop)
    second = torch.full_like(first, padding).masked_fill(one_step_away, stop)
    return torch.stack((first, second), dim=1)


def nearness(
    encoded: EncodedPairs, settings: PlannerSettings
) -> tuple[Bool[Tensor, "b"], Bool[Tensor, "b"]]:
    """Return where the goal is reached, and where it is one step away; nowhere, if not near.

    Args:
        encoded: B observations and goals.
        settings: with `stop_first`, near is where p(k ≤ 1 | s, g) ≥ `arrival_probability`; without
            it nothing is.
    """
    p = encoded.log_duration[0, :, :2].exp()
    near = (p.sum(dim=1) >= settings.arrival_probability) & settings.may_stop_first
    here = p[:, 0] >= p[:, 1]
    return near & here, near & ~here


def elected(
    encoded: EncodedPairs, chance: Float[Tensor, "b durations"], settings: PlannerSettings
) -> Int[Tensor, "b"]:
    """Return the first action that is worth most over all durations.

    Args:
        encoded: B observations and goals.
        chance: of each duration, in proportion to γ^k · p(k | s, g) / p(k | s).
        settings: see :class:`PlannerSettings`.
    """
    row, k = (chance > NEGLIGIBLE).nonzero(as_tuple=True)
    folded = encoded.fold(row, k)
    start = torch.full_like(k, encoded.model.n_actions)
    z, _, _ = extend(folded, encoded.model.entry(k, start), folded.h, folded.c, settings)
    weighted = chance[row, k][:, None] * z.exp()
    worth = weighted.new_zeros(len(chance), z.shape[1]).index_add_(0, row, weighted)
    return worth.argmax(dim=1)


def chances(
    duration_z: Float[Tensor, "b durations"],
    max_actions: Int[Tensor, "b"],
    settings: PlannerSettings,
    one_step_away: Bool[Tensor, "b"],
) -> Float[Tensor, "b durations"]:
    """Return how likely a candidate of each row is to have each duration, of one action or more.

    Args:
        duration_z: log p(k | s, g) − log p(k | s) for k = 0 … T.
        max_actions: the largest duration of each row.
        settings: with ``stop="end"`` every candidate takes the largest; unguided ones are
            uniform.
        one_step_away: rows whose only duration is 1.

    Raises:
        ValueError: a row of `max_actions` is below 1.
    """
    if int(max_actions.min()) < 1:
        raise ValueError(f"max_actions must be 1 or more in every row, got {max_actions.tolist()}")
    max_actions = max_actions.to(duration_z.device)
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
    """Return log p(k | s, g) − log p(k | s) for k = 0 … T; without the prior, the former alone."""
    log_p = encoded.log_duration
    return log_p[0] - log_p[1] if settings.use_prior else log_p[0]


def extend(
    folded: Folded,
    entry: Int[Tensor, "c"],
    h: Float[Tensor, "2 c h"],
    c: Float[Tensor, "2 c h"],
    settings: PlannerSettings,
) -> tuple[Float[Tensor, "c actions"], Float[Tensor, "2 c h"], Float[Tensor, "2 c h"]]:
    """Take one step of both decoders for the first C of the pairs that they are folded for.

    Args:
        folded: the decoders.
        entry: which row of their table each pair takes.
        h: hidden states.
        c: cell states.
        settings: see :class:`PlannerSettings`.

    Returns:
        z of every action, and the new states.
    """
    inputs = folded.constant[:, : len(entry)] + folded.table[:, entry]
    h, c = lstm_cell(torch.baddbmm(inputs, h, folded.recurrent), c)
    return heuristic(torch.baddbmm(folded.head_bias, h, folded.head), settings), h, c
