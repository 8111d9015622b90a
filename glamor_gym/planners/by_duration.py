"""Random shooting for models that predict a plan's length before its actions.

In: B encoded observations and goals. Out: one :class:`Plan` a row.

As in :mod:`~glamor_gym.planners.random_shooting` the best of N candidates by Equation 8 wins, the
ratio of a candidate's duration, log p(k | s, g) − log p(k | s), standing where STOP's z stands
there. Durations are drawn first, from softmax of that ratio and the taste for short plans. So all
lengths are known before the first action is, and no candidate is carried beyond its end.

With `vote`, the first action is not left to candidates: it is the one that is worth most over all
durations. Σ_k γ^k · p(k | s, g) / p(k | s) · p(a | s, g, k) / p(a | s, k) is, by Bayes' rule and up
to a factor that all actions share, Σ_k γ^k p(s_{t+k} = g | s, a), the discounted chance to be at
the goal after a. A single candidate's score is that of all its actions together, and where the
goal is far the luck of fifty later ones drowns what the first is worth.

With `stop_first`, a goal that is likely at most one step away is near: whether it is here or one
step away, the likelier decides, and the plan is STOP, or one action and STOP.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from glamor_gym.models.duration import EncodedPairs
from glamor_gym.models.glamor import Folded
from glamor_gym.models.recurrence import lstm_cell
from glamor_gym.planners.candidates import heuristic, sample
from glamor_gym.planners.random_shooting import best_of, sampling_noise
from glamor_gym.planners.settings import PlannerSettings
from glamor_gym.types import Plan

RULED_OUT = -1e9
"""Score of a duration that is not allowed."""

NEGLIGIBLE = 1e-5
"""Durations with a smaller share of the weight have no say in the first action."""


def plan_by_duration(
    encoded: EncodedPairs,
    max_actions: Int[Tensor, "b"],
    settings: PlannerSettings,
    generator: torch.Generator,
) -> Plan:
    """Find the best of N candidate plans for each of B observations.

    Args:
        encoded: see :meth:`glamor_gym.models.duration.DurationModel.encode`.
        max_actions: (B,) int64, the longest plan allowed in actions, STOP not counted: T − t.
        settings: see :class:`PlannerSettings`.
        generator: source of the sampling noise, on the device of `encoded`.

    Returns:
        The winners; ``plan.tokens`` has max(max_actions) + 1 columns.

    Raises:
        ValueError: a row of `max_actions` is below 1.
    """
    duration_z = _duration_z(encoded, settings)
    here, one_step_away = nearness(encoded, settings)
    chance = chances(duration_z, max_actions, settings, one_step_away)
    duration = draw_durations(chance, settings, generator)
    row = torch.arange(len(duration), device=duration.device) // settings.n_trials
    first = elected(encoded, chance, settings)[row] if elects(settings) else None
    order = duration.argsort(descending=True, stable=True)
    tokens, token_z = roll_out(
        encoded,
        row[order],
        duration[order],
        int(max_actions.max()) + 1,
        settings,
        generator,
        first=None if first is None else first[order],
    )
    tokens, token_z = (part[:, order.argsort()] for part in (tokens, token_z))
    # STOP comes after the last action, and brings the duration's z with it.
    stop, end = encoded.model.n_actions, duration[None]
    tokens.scatter_(0, end, stop)
    token_z.scatter_(0, end, duration_z[row].gather(1, duration[:, None]).t())

    found = best_of(tokens, token_z, len(max_actions), settings, stop)
    _stop_at_once(found, here, duration_z[:, 0], settings, stop)
    return found


def elects(settings: PlannerSettings) -> bool:
    """Return whether plans begin with the action of the highest worth, whatever candidates say."""
    return settings.vote and settings.guided


def next_tokens_by_duration(
    encoded: EncodedPairs, max_actions: Int[Tensor, "b"], settings: PlannerSettings
) -> Int[Tensor, "b 2"]:
    """Return how the plans of :func:`plan_by_duration` begin, where they are elected.

    No candidate has a part in it: it takes one step of the decoders where a plan takes T, and no
    noise.

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
    chance = chances(_duration_z(encoded, settings), max_actions, settings, one_step_away)
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
    near = (p.sum(dim=1) >= settings.arrival_probability) & settings.stop_first
    here = p[:, 0] >= p[:, 1]
    return near & here, near & ~here


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
    if settings.stop == "end":
        return (k == max_actions[:, None]).float()
    score = duration_z + k * math.log(settings.gamma)
    score = score if settings.guided else torch.zeros_like(score)
    longest = max_actions.masked_fill(one_step_away, 1)
    allowed = (k > 0) & (k <= longest[:, None])
    return score.masked_fill(~allowed, RULED_OUT).softmax(dim=-1)


def draw_durations(
    chance: Float[Tensor, "b durations"], settings: PlannerSettings, generator: torch.Generator
) -> Int[Tensor, "c"]:
    """Draw N durations for each row by their chances, row by row."""
    drawn: Int[Tensor, "b n"] = torch.multinomial(
        chance, settings.n_trials, replacement=True, generator=generator
    )
    return drawn.flatten()


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


def roll_out(
    encoded: EncodedPairs,
    row: Int[Tensor, "c"],
    duration: Int[Tensor, "c"],
    n_slots: int,
    settings: PlannerSettings,
    generator: torch.Generator,
    first: Int[Tensor, "c"] | None = None,
) -> tuple[Int[Tensor, "slots c"], Float[Tensor, "slots c"]]:
    """Sample the actions of C candidates.

    Args:
        encoded: the observations and goals.
        row: which of them each candidate is for.
        duration: how many actions each has; falling.
        n_slots: number of rows of what is returned.
        settings: see :class:`PlannerSettings`.
        generator: source of the noise.
        first: the first action of each; None for one that is sampled like the others.

    Returns:
        Actions and their z; after a candidate's last action, padding and zeros.
    """
    model = encoded.model
    folded = encoded.fold(row, duration)
    longest = int(duration[0])
    live = (torch.arange(longest, device=duration.device)[:, None] < duration).sum(dim=1).tolist()
    uniforms = sampling_noise(longest, len(row), generator)
    tokens = duration.new_full((n_slots, len(row)), model.n_actions + 1)
    token_z = torch.zeros(n_slots, len(row), device=duration.device)
    previous = torch.full_like(duration, model.n_actions)  # the start token
    h, c = folded.h, folded.c
    for slot, n in enumerate(live):
        entry = model.entry(duration[:n] - slot, previous[:n])
        z, h, c = extend(folded, entry, h[:, :n], c[:, :n], settings)
        if slot == 0 and first is not None:
            previous = first
        else:
            previous = sample(z, uniforms[slot, :n], stop_is_open=True, guided=settings.guided)
        tokens[slot, :n] = previous
        token_z[slot, :n] = z.gather(1, previous[:, None])[:, 0]
    return tokens, token_z


def _duration_z(encoded: EncodedPairs, settings: PlannerSettings) -> Float[Tensor, "b durations"]:
    log_p = encoded.log_duration
    return log_p[0] - log_p[1] if settings.use_prior else log_p[0]


def _stop_at_once(
    plans: Plan,
    arrived: Bool[Tensor, "b"],
    z: Float[Tensor, "b"],
    settings: PlannerSettings,
    stop: int,
) -> None:
    """Replace the plans of the rows that have arrived by STOP alone, in place."""
    plans.tokens[arrived] = stop + 1
    plans.tokens[arrived, 0] = stop
    plans.token_scores[arrived] = 0.0
    plans.token_scores[arrived, 0] = z[arrived]
    plans.length[arrived] = 1
    plans.log_score[arrived] = z[arrived] + math.log(settings.gamma)
