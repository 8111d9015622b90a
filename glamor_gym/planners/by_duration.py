"""Random shooting for models that predict a plan's length before its actions.

In: B encoded observations and goals. Out: one :class:`Plan` a row.

As in :mod:`~glamor_gym.planners.random_shooting` the best of N candidates by Equation 8 wins, the
ratio of a candidate's duration, log p(k | s, g) − log p(k | s), standing where STOP's z stands
there. Durations are drawn first, from softmax of that ratio and the taste for short plans. So all
lengths are known before the first action is, and no candidate is carried beyond its end.

With `vote`, the first action is chosen before the others, by what it is worth on the average over
durations: Σ_k γ^k · p(k | s, g) / p(k | s) · p(a | s, g, k) / p(a | s, k) is, by Bayes' rule and up
to a factor that all actions share, Σ_k γ^k p(s_{t+k} = g | s, a), the discounted chance to be at
the goal after a. A single candidate's score is that of all its actions together, and where the
goal is far the luck of fifty later ones drowns what the first is worth.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from glamor_gym.models.duration import EncodedPairs
from glamor_gym.models.recurrence import lstm_cell
from glamor_gym.planners.candidates import heuristic, sample
from glamor_gym.planners.random_shooting import best_of, sampling_noise
from glamor_gym.planners.settings import PlannerSettings
from glamor_gym.types import Plan

RULED_OUT = -1e9
"""Score of a duration that is not allowed."""


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
        The winners; ``plan.tokens`` has max(max_actions) + 1 columns. With `stop_first`, the plan
        is STOP alone where p(k ≤ arrival_steps | s, g) is `arrival_probability` or more.

    Raises:
        ValueError: a row of `max_actions` is below 1.
    """
    if int(max_actions.min()) < 1:
        raise ValueError(f"max_actions must be 1 or more in every row, got {max_actions.tolist()}")
    n_slots = int(max_actions.max()) + 1
    max_actions = max_actions.to(encoded.pair.device)
    log_p = encoded.log_duration
    duration_z = log_p[0] - log_p[1] if settings.use_prior else log_p[0]

    duration = draw_durations(duration_z, max_actions, settings, generator)
    row = torch.arange(len(duration), device=duration.device) // settings.n_trials
    order = duration.argsort(descending=True, stable=True)
    tokens, token_z = roll_out(encoded, row[order], duration[order], n_slots, settings, generator)
    tokens, token_z = (part[:, order.argsort()] for part in (tokens, token_z))
    # STOP comes after the last action, and brings the duration's z with it.
    stop, end = encoded.model.n_actions, duration[None]
    tokens.scatter_(0, end, stop)
    token_z.scatter_(0, end, duration_z[row].gather(1, duration[:, None]).t())

    found = best_of(tokens, token_z, len(max_actions), settings, stop)
    if settings.stop_first:
        near = log_p[0, :, : settings.arrival_steps + 1].exp().sum(dim=1)
        arrived = near >= settings.arrival_probability
        _stop_at_once(found, arrived, duration_z[:, 0], settings, stop)
    return found


def draw_durations(
    duration_z: Float[Tensor, "b durations"],
    max_actions: Int[Tensor, "b"],
    settings: PlannerSettings,
    generator: torch.Generator,
) -> Int[Tensor, "c"]:
    """Draw N durations of one action or more for each row, row by row.

    Args:
        duration_z: log p(k | s, g) − log p(k | s) for k = 0 … T.
        max_actions: the largest duration of each row.
        settings: with ``stop="end"`` every candidate takes the largest; unguided ones are
            uniform.
        generator: source of the noise.
    """
    if settings.stop == "end":
        return max_actions.repeat_interleave(settings.n_trials)
    k = torch.arange(duration_z.shape[1], device=duration_z.device)
    score = duration_z + k * math.log(settings.gamma)
    score = score if settings.guided else torch.zeros_like(score)
    allowed = (k > 0) & (k <= max_actions[:, None])
    chance = score.masked_fill(~allowed, RULED_OUT).softmax(dim=-1)
    drawn: Int[Tensor, "b n"] = torch.multinomial(
        chance, settings.n_trials, replacement=True, generator=generator
    )
    return drawn.flatten()


def roll_out(
    encoded: EncodedPairs,
    row: Int[Tensor, "c"],
    duration: Int[Tensor, "c"],
    n_slots: int,
    settings: PlannerSettings,
    generator: torch.Generator,
) -> tuple[Int[Tensor, "slots c"], Float[Tensor, "slots c"]]:
    """Sample the actions of C candidates.

    Args:
        encoded: the observations and goals.
        row: which of them each candidate is for.
        duration: how many actions each has; falling.
        n_slots: number of rows of what is returned.
        settings: see :class:`PlannerSettings`.
        generator: source of the noise.

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
        gates = torch.baddbmm(
            folded.constant[:, :n] + folded.table[:, entry], h[:, :n], folded.recurrent
        )
        h, c = lstm_cell(gates, c[:, :n])
        z = heuristic(torch.baddbmm(folded.head_bias, h, folded.head), settings)
        if slot == 0 and settings.vote and settings.guided:
            previous = elected(z, row, len(encoded.state))
        else:
            previous = sample(z, uniforms[slot, :n], stop_is_open=True, guided=settings.guided)
        tokens[slot, :n] = previous
        token_z[slot, :n] = z.gather(1, previous[:, None])[:, 0]
    return tokens, token_z


def elected(z: Float[Tensor, "c actions"], row: Int[Tensor, "c"], n_rows: int) -> Int[Tensor, "c"]:
    """Return, for each candidate, the first action that is worth most over its row's durations.

    Args:
        z: log p(a | s, g, k) − log p(a | s, k) for every action and each candidate's k, which was
            drawn by its own worth.
        row: which observation each candidate is for.
        n_rows: number of observations B.
    """
    worth = z.new_zeros(n_rows, z.shape[1]).index_add_(0, row, z.exp())
    return worth.argmax(dim=1)[row]


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
