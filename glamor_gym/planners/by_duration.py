"""Random shooting for models that predict a plan's duration before its actions.

In: B encoded observations and goals. Out: one :class:`Plan` per row.

As in :mod:`~glamor_gym.planners.random_shooting`, the best of N candidates by Equation 8 wins; the
z of STOP is the log-ratio of the candidate's duration, log p(k | s, g) − log p(k | s). Durations
are drawn first, from softmax(log-ratio + k · ln γ). All lengths are then known before the first
action is sampled, and no candidate is extended beyond its end.

Two choices are made without candidates: with `vote` and `guided`, the first action, see
:mod:`~glamor_gym.planners.action_values`; with `stop_first`, whether the goal is near, see
:mod:`~glamor_gym.planners.durations`.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from glamor_gym.models.duration import EncodedPairs
from glamor_gym.planners.action_values import best_first_action, decoder_step
from glamor_gym.planners.candidates import sample
from glamor_gym.planners.durations import arrival, duration_probabilities, duration_ratio
from glamor_gym.planners.random_shooting import best_of, sampling_noise
from glamor_gym.planners.settings import PlannerSettings
from glamor_gym.types import Plan


def plan_by_duration(
    encoded: EncodedPairs,
    max_actions: Int[Tensor, "b"],
    settings: PlannerSettings,
    generator: torch.Generator,
) -> Plan:
    """Find the best of N candidate plans for each of B observations.

    Args:
        encoded: the observations and goals, from
            :meth:`~glamor_gym.models.duration.DurationModel.encode`.
        max_actions: (B,) int64, maximum number of actions per plan, without STOP: T − t.
        settings: see :class:`PlannerSettings`.
        generator: source of the sampling noise, on the device of `encoded`.

    Returns:
        The best plans; ``plan.tokens`` has max(max_actions) + 1 columns.

    Raises:
        ValueError: a row of `max_actions` is below 1.
    """
    duration_z = duration_ratio(encoded, settings)
    here, one_step_away = arrival(encoded, settings)
    chance = duration_probabilities(duration_z, max_actions, settings, one_step_away)
    drawn: Int[Tensor, "b n"] = torch.multinomial(
        chance, settings.n_trials, replacement=True, generator=generator
    )
    duration = drawn.flatten()
    row = torch.arange(len(duration), device=duration.device) // settings.n_trials
    first = best_first_action(encoded, chance, settings)[row] if settings.acts_by_value else None
    order = duration.argsort(descending=True, stable=True)
    tokens, token_z = sample_actions(
        encoded,
        row[order],
        duration[order],
        int(max_actions.max()) + 1,
        settings,
        generator,
        first=None if first is None else first[order],
    )
    back = order.argsort()
    tokens, token_z = tokens[:, back], token_z[:, back]
    # STOP follows the last action; its z is the log-ratio of the duration.
    stop, end = encoded.model.n_actions, duration[None]
    tokens.scatter_(0, end, stop)
    token_z.scatter_(0, end, duration_z[row].gather(1, duration[:, None]).t())

    found = best_of(tokens, token_z, len(max_actions), settings, stop)
    _stop_at_once(found, here, duration_z[:, 0], settings, stop)
    return found


def sample_actions(
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
        row: (C,) which of them each candidate is for.
        duration: (C,) number of actions of each candidate, in descending order.
        n_slots: number of rows of the returned tensors.
        settings: see :class:`PlannerSettings`.
        generator: source of the sampling noise.
        first: (C,) first action of each candidate; None to sample it like the others.

    Returns:
        Actions and their z, (n_slots, C) each; padding and zeros after a candidate's last action.
    """
    model = encoded.model
    folded = encoded.fold(row, duration)
    slots = torch.arange(n_slots, device=duration.device)
    live = [n for n in (slots[:, None] < duration).sum(dim=1).tolist() if n]
    uniforms = sampling_noise(len(live), len(row), generator)
    tokens = duration.new_full((n_slots, len(row)), model.n_actions + 1)
    token_z = torch.zeros(n_slots, len(row), device=duration.device)
    previous = torch.full_like(duration, model.n_actions)  # the start token
    h, c = folded.h, folded.c
    for slot, n in enumerate(live):
        inputs = model.token_inputs(folded, duration[:n] - slot, previous[:n])
        z, h, c = decoder_step(folded, inputs, h[:, :n], c[:, :n], settings)
        if slot == 0 and first is not None:
            previous = first
        else:
            previous = sample(z, uniforms[slot, :n], stop_is_open=True, guided=settings.guided)
        tokens[slot, :n] = previous
        token_z[slot, :n] = z.gather(1, previous[:, None])[:, 0]
    return tokens, token_z


def _stop_at_once(
    plans: Plan,
    arrived: Bool[Tensor, "b"],
    z: Float[Tensor, "b"],
    settings: PlannerSettings,
    stop: int,
) -> None:
    """Replace the plans of the rows in `arrived` by STOP alone, in place."""
    # By masks: on a GPU, indexing with one would wait for the number of rows in it.
    plans.tokens.masked_fill_(arrived[:, None], stop + 1)
    plans.tokens[:, 0].masked_fill_(arrived, stop)
    plans.token_scores.masked_fill_(arrived[:, None], 0.0)
    plans.token_scores[:, 0] = torch.where(arrived, z, plans.token_scores[:, 0])
    plans.length.masked_fill_(arrived, 1)
    plans.log_score.copy_(torch.where(arrived, z + math.log(settings.gamma), plans.log_score))
