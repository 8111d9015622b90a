"""What plans begin with: against the sum over all durations, and the plans themselves."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from glamor_gym.models import EncodedPairs
from glamor_gym.planners import plan_by_duration
from glamor_gym.planners.action_values import best_first_action, next_tokens_by_duration
from tests.planners.small_duration_model import (
    FREE,
    GAMMA,
    HORIZON,
    N_ACTIONS,
    PADDING,
    STOP,
    at_all_distances,
    encode,
    make_model,
)


@torch.no_grad()
def test_the_first_action_is_the_one_worth_most_over_all_durations():
    model, n_rows = make_model(), 60
    for decoder in (model.inverse_dynamics, model.prior):
        decoder.context_in.weight.mul_(20.0)  # what is seen is to decide, not biases
    # Many durations are likely, and each has a first action of its own.
    model.countdown.mul_(3.0)
    for head in (model.duration, model.prior_duration):
        head[-1].weight.div_(3.0)
    torch.manual_seed(5)
    observation, goal = torch.randn(2, n_rows, 4)
    worth = torch.zeros(n_rows, N_ACTIONS)
    for action, k in itertools.product(range(N_ACTIONS), range(1, HORIZON + 1)):
        tokens = torch.tensor([[action, *[0] * (k - 1), STOP]]).expand(n_rows, -1)
        # Packed by time: what comes first are the first actions, one of each row.
        of_actions, of_duration = model.plan_log_probs(
            observation, goal, tokens, torch.full((n_rows,), k + 1)
        )
        z = of_actions[0, :n_rows] - of_actions[1, :n_rows] + of_duration[0] - of_duration[1]
        worth[:, action] += GAMMA**k * z.exp()
    best = worth.argmax(dim=1)
    runner_up = worth.scatter(1, best[:, None], 0.0).max(dim=1).values
    clear = worth.max(dim=1).values > 1.05 * runner_up  # elsewhere, rounding could decide
    assert clear.sum() > 40
    assert len(best[clear].unique()) > 1, "the rows could be mixed up"

    by_value = replace(FREE, vote=True, n_trials=2)  # candidates have no say
    encoded = model.encode(observation, goal)
    limits = torch.full((n_rows,), HORIZON)
    plan = plan_by_duration(encoded, limits, by_value, torch.Generator().manual_seed(0))
    assert plan.tokens[clear, 0].tolist() == best[clear].tolist()
    assert (next_tokens_by_duration(encoded, limits, by_value)[clear, 0] == best[clear]).all()


@torch.no_grad()
def test_a_duration_of_a_small_probability_counts_as_any_other():
    encoded = encode(make_model(), 40)
    certain = torch.eye(HORIZON + 1)[1 + torch.arange(40) % HORIZON]
    best = best_first_action(encoded, certain, FREE)
    assert len(best.unique()) > 1
    assert best_first_action(encoded, 1e-3 * certain, FREE).tolist() == best.tolist()


@torch.no_grad()
def test_without_guidance_candidates_have_their_say():
    one, n_rows = encode(make_model(), 1), 100
    many = EncodedPairs(
        one.model,
        one.state.expand(n_rows, -1),
        one.pair.expand(n_rows, -1),
        one.log_duration.expand(-1, n_rows, -1),
    )
    settings = replace(FREE, vote=True, guided=False, n_trials=1)
    limits = torch.full((n_rows,), HORIZON)
    plan = plan_by_duration(many, limits, settings, torch.Generator().manual_seed(0))
    assert set(plan.tokens[:, 0].tolist()) == set(range(N_ACTIONS))


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
    assert set(second.tolist()) == {STOP, PADDING}
    if stop == "end":
        assert torch.equal(second == STOP, limits == 1)
    assert (STOP in first.tolist()) == settings.stop_first
    with pytest.raises(ValueError, match="max_actions"):
        next_tokens_by_duration(encoded, torch.tensor([0, *limits[1:]]), settings)
