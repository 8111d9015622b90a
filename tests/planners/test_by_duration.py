"""Plans whose length comes first: against exhaustive search, a hand computation, and chance."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium import spaces
from scipy.stats import chisquare

from glamor_gym.models import DurationModel, EncodedPairs
from glamor_gym.planners import PlannerSettings, next_tokens_by_duration, plan_by_duration

N_ACTIONS, STOP, PADDING, HORIZON = 3, 3, 4, 4
GAMMA = 0.9
FREE = PlannerSettings(n_trials=20, clip_log_prob=-50.0, gamma=GAMMA)


def make_model() -> DurationModel:
    """A model whose weights are large enough for z to differ much between plans."""
    torch.manual_seed(2)
    box = spaces.Box(0, 1, (4,), np.float32)
    model = DurationModel(
        spaces.Dict(observation=box, achieved_goal=box),
        N_ACTIONS,
        HORIZON,
        embedding_size=16,
        hidden_size=8,
        token_size=8,
    )
    with torch.no_grad():
        model.countdown.normal_()
        for decoder in (model.inverse_dynamics, model.prior):
            decoder.head.weight.mul_(6.0)
        for head in (model.duration, model.prior_duration):
            head[-1].weight.mul_(4.0)
    return model


@torch.no_grad()
def encode(model: DurationModel, n_rows: int) -> EncodedPairs:
    torch.manual_seed(5)
    return model.encode(torch.rand(n_rows, 4), torch.rand(n_rows, 4))


def at_all_distances(n_rows: int) -> EncodedPairs:
    """Rows whose goals are here, one step away, or farther, as far as the model can tell."""
    encoded = encode(make_model(), n_rows)
    log_duration = torch.randn(2, n_rows, HORIZON + 1).mul(3.0).log_softmax(dim=-1)
    return EncodedPairs(encoded.model, encoded.state, encoded.pair, log_duration)


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


@pytest.mark.parametrize("stop_first", [True, False])
def test_a_goal_that_is_near_is_here_or_one_step_away_whichever_is_likelier(stop_first):
    encoded = at_all_distances(12)
    p = encoded.log_duration[0, :, :2].exp()
    near = p.sum(dim=1) >= p.sum(dim=1).median()
    here = near & (p[:, 0] >= p[:, 1])
    one_step = near & ~here
    assert here.any()
    assert one_step.any()
    settings = replace(
        FREE, stop_first=stop_first, arrival_probability=float(p.sum(dim=1).median())
    )
    limits = torch.full((12,), HORIZON)
    with torch.no_grad():
        found = plan_by_duration(encoded, limits, settings, torch.Generator().manual_seed(0))
    assert (found.length[here] == 1).all() == stop_first
    assert (found.length[one_step] == 2).all() == stop_first
    assert (found.length[~near] > 1).all()
    if stop_first:
        assert (found.tokens[here, 0] == STOP).all()
        assert (found.tokens[one_step, 1] == STOP).all()
        z = encoded.log_duration[0, :, 0] - encoded.log_duration[1, :, 0]
        torch.testing.assert_close(found.log_score[here], z[here] + math.log(GAMMA))
        torch.testing.assert_close(found.token_scores[here].sum(dim=1), z[here])


def test_a_limit_below_one_action_is_an_error():
    with pytest.raises(ValueError, match="max_actions"):
        plan_by_duration(encode(make_model(), 1), torch.tensor([0]), FREE, torch.Generator())


@torch.no_grad()
def test_the_first_action_is_elected_by_its_worth_over_all_durations():
    model, n_rows = make_model(), 6
    for decoder in (model.inverse_dynamics, model.prior):
        decoder.context_in.weight.mul_(20.0)  # what is seen is to decide, not biases
    torch.manual_seed(5)
    observation, goal = torch.randn(2, n_rows, 4)
    worth = torch.zeros(n_rows, N_ACTIONS)
    for action, k in itertools.product(range(N_ACTIONS), range(1, HORIZON + 1)):
        tokens = torch.tensor([[action, *[0] * (k - 1), STOP]]).expand(n_rows, -1)
        # Packed by time: what comes first are the first actions, one of each row.
        of_actions, of_duration = model(observation, goal, tokens, torch.full((n_rows,), k + 1))
        z = of_actions[0, :n_rows] - of_actions[1, :n_rows] + of_duration[0] - of_duration[1]
        worth[:, action] += GAMMA**k * z.exp()
    best = worth.argmax(dim=1)
    runner_up = worth.scatter(1, best[:, None], 0.0).max(dim=1).values
    assert (worth.max(dim=1).values > 1.05 * runner_up).all(), "luck could decide"
    assert len(best.unique()) > 1, "the rows could be mixed up"

    elects = replace(FREE, vote=True, n_trials=2)  # candidates have no say
    encoded = model.encode(observation, goal)
    limits = torch.full((n_rows,), HORIZON)
    plan = plan_by_duration(encoded, limits, elects, torch.Generator().manual_seed(0))
    assert plan.tokens[:, 0].tolist() == best.tolist()
    assert next_tokens_by_duration(encoded, limits, elects)[:, 0].tolist() == best.tolist()
    # The rest of the plan, and its score, are those of a candidate like any other.
    actions = tuple(plan.tokens[0, : plan.length[0] - 1].tolist())
    assert plan.log_score[0].item() == pytest.approx(score_of(encoded, actions, elects), abs=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("stop", ["free", "end"])
def test_the_beginning_is_that_of_the_whole_plan(stop):
    encoded = at_all_distances(16)
    near = encoded.log_duration[0, :, :2].exp().sum(dim=1)
    settings = replace(FREE, vote=True, stop=stop, stop_first=stop == "free")
    settings = replace(settings, arrival_probability=float(near.median()))
    limits = torch.tensor([1, 2, 3, 4, 4, 3, 2, 1] * 2)
    first, second = next_tokens_by_duration(encoded, limits, settings).t()
    plan = plan_by_duration(encoded, limits, settings, torch.Generator().manual_seed(0))
    assert first.tolist() == plan.tokens[:, 0].tolist()
    assert (plan.tokens[second == STOP, 1] == STOP).all()
    assert (plan.tokens[first == STOP, 1] == PADDING).all()
    assert set(second.tolist()) == ({STOP, PADDING} if stop == "free" else {PADDING})
    assert (STOP in first.tolist()) == settings.stop_first
    with pytest.raises(ValueError, match="max_actions"):
        next_tokens_by_duration(encoded, torch.tensor([0, *limits[1:]]), settings)
