"""Plans whose length comes first: against exhaustive search, a hand computation, and chance."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from glamor_gym.models import EncodedPairs
from glamor_gym.planners import PlannerSettings, plan_by_duration
from glamor_gym.planners.action_values import next_tokens_by_duration
from tests.planners.small_duration_model import (
    FREE,
    GAMMA,
    HORIZON,
    N_ACTIONS,
    PADDING,
    STOP,
    encode,
    make_model,
)


@torch.no_grad()
def score_of(encoded: EncodedPairs, actions: tuple[int, ...], settings: PlannerSettings) -> float:
    """Equation 8 for one plan of row 0, its layers called one by one."""
    model, k = encoded.model, len(actions)
    known = encoded.pair[:1] + model.duration_in.weight[k]
    for layer in model.mix[1:]:
        known = layer(known)
    total = (k + 1) * math.log(settings.gamma)
    log_k = encoded.log_duration[:, 0, k]
    total += (log_k[0] - log_k[1] * settings.use_prior).item()
    decoders = ((model.inverse_dynamics, known), (model.prior, encoded.state[:1]))
    states = [decoder.first_state(context).chunk(2, dim=-1) for decoder, context in decoders]
    previous = torch.zeros(N_ACTIONS)
    for slot, action in enumerate(actions):
        log_p = []
        for m, (decoder, context) in enumerate(decoders):
            x = decoder.context_in(context) + decoder.token_in(previous)
            gates = (
                x @ decoder.cell.weight_ih.t()
                + decoder.cell.bias_ih
                + decoder.cell.bias_hh
                + states[m][0] @ decoder.cell.weight_hh.t()
                + model.countdown[m, k - slot]
            )
            i, f, g, o = gates.chunk(4, dim=-1)
            c = torch.sigmoid(f) * states[m][1] + torch.sigmoid(i) * torch.tanh(g)
            states[m] = (torch.sigmoid(o) * torch.tanh(c), c)
            log_p.append(decoder.head(states[m][0]).log_softmax(-1)[0, action].item())
        z = log_p[0] - log_p[1] * settings.use_prior
        total += -20.0 if log_p[0] < settings.clip_log_prob else z
        previous = torch.eye(N_ACTIONS)[action]
    return total


def all_plans(settings: PlannerSettings):
    lengths = [HORIZON] if settings.stop == "end" else range(1, HORIZON + 1)
    for k in lengths:
        yield from itertools.product(range(N_ACTIONS), repeat=k)


@pytest.mark.parametrize(
    "settings",
    [
        FREE,
        replace(FREE, stop="end"),
        replace(FREE, use_prior=False),
        replace(FREE, clip_log_prob=-2.0),
        replace(FREE, guided=False),
        replace(FREE, gamma=0.5),
    ],
    ids=str,
)
def test_with_many_trials_it_finds_the_best_plan_of_all(settings):
    encoded = encode(make_model(), 1)
    settings = replace(settings, n_trials=6000)
    best = max(all_plans(settings), key=lambda plan: score_of(encoded, plan, settings))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        found = plan_by_duration(encoded, torch.tensor([HORIZON]), settings, generator)
    assert tuple(found.actions()) == best
    assert found.tokens[0, len(best)] == STOP
    assert abs(found.log_score[0].item() - score_of(encoded, best, settings)) < 1e-4


def test_candidates_are_drawn_from_softmax_of_the_durations_ratio():
    n_rows = 20_000
    one = encode(make_model(), 1)
    many = EncodedPairs(
        one.model,
        one.state.expand(n_rows, -1),
        one.pair.expand(n_rows, -1),
        one.log_duration.expand(-1, n_rows, -1),
    )
    settings = replace(FREE, n_trials=1)
    longest = torch.full((n_rows,), HORIZON - 1)
    with torch.no_grad():
        found = plan_by_duration(many, longest, settings, torch.Generator().manual_seed(0))
    ratio = (one.log_duration[0, 0] - one.log_duration[1, 0])[1:HORIZON].double()
    chance = (ratio + torch.arange(1, HORIZON) * math.log(GAMMA)).softmax(-1).numpy()
    counts = np.bincount(found.length.numpy() - 2, minlength=HORIZON - 1)
    assert chisquare(counts, chance * n_rows).pvalue > 1e-3


def test_rows_are_planned_as_if_they_were_alone_and_keep_to_their_limits():
    encoded = encode(make_model(), 3)
    settings = replace(FREE, n_trials=3000)
    limits = torch.tensor([4, 1, 2])
    with torch.no_grad():
        found = plan_by_duration(encoded, limits, settings, torch.Generator().manual_seed(0))
        for row, limit in enumerate(limits.tolist()):
            alone = EncodedPairs(
                encoded.model,
                encoded.state[row : row + 1],
                encoded.pair[row : row + 1],
                encoded.log_duration[:, row : row + 1],
            )
            single = plan_by_duration(
                alone, limits[row : row + 1], settings, torch.Generator().manual_seed(1)
            )
            assert found.length[row] <= limit + 1
            assert found.actions(row).tolist() == single.actions().tolist()
            rest = found.tokens[row, int(found.length[row]) :]
            assert (rest == PADDING).all()
    assert found.tokens.shape == found.token_scores.shape == (3, 5)


def test_a_limit_below_one_action_is_an_error():
    with pytest.raises(ValueError, match="max_actions"):
        plan_by_duration(encode(make_model(), 1), torch.tensor([0]), FREE, torch.Generator())


@torch.no_grad()
def test_what_follows_an_action_chosen_by_value_is_scored_like_any_other_plan():
    encoded = encode(make_model(), 1)
    by_value = replace(FREE, vote=True)
    limit = torch.tensor([HORIZON])
    (first,) = next_tokens_by_duration(encoded, limit, by_value)[:, 0].tolist()
    plan = plan_by_duration(encoded, limit, by_value, torch.Generator().manual_seed(0))
    actions = tuple(plan.actions())
    assert actions[0] == first
    assert plan.log_score[0].item() == pytest.approx(score_of(encoded, actions, by_value), abs=1e-3)
