"""Which goals are near: by the probability of durations, and what is then planned."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from glamor_gym.models import EncodedPairs
from glamor_gym.planners import plan_by_duration
from glamor_gym.planners.durations import arrival, duration_probabilities
from tests.planners.small_duration_model import FREE, GAMMA, HORIZON, STOP, at_all_distances


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


@pytest.mark.parametrize("stop", ["never", "end"])
def test_an_agent_that_may_not_stop_does_not_ask_whether_its_goal_is_near(stop):
    """However small a probability of being near would be enough."""
    encoded, limits = at_all_distances(12), torch.full((12,), HORIZON)
    bold = replace(FREE, stop_first=True, arrival_probability=1e-6)

    def lengths(settings):
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            return plan_by_duration(encoded, limits, settings, generator).length.tolist()

    assert max(lengths(bold)) == 2
    as_it_is = "free" if stop == "never" else stop
    expected = lengths(replace(bold, stop=as_it_is, stop_first=False))
    assert lengths(replace(bold, stop=stop)) == expected
    assert max(expected) > 2


def test_the_least_probability_is_enough_and_a_tie_means_here():
    one = at_all_distances(2)
    p = torch.tensor([[0.2, 0.2, 0.2, 0.2, 0.2], [0.1, 0.2, 0.3, 0.2, 0.2]])
    encoded = EncodedPairs(one.model, one.state, one.pair, p.log().expand(2, -1, -1))
    least = float(encoded.log_duration[0, 0, :2].exp().sum())
    here, one_step = arrival(encoded, replace(FREE, stop_first=True, arrival_probability=least))
    assert here.tolist() == [True, False]
    assert one_step.tolist() == [False, False]


def test_without_guidance_all_durations_allowed_are_as_likely():
    settings, limits = replace(FREE, guided=False), torch.tensor([4, 2, 4])
    one_step_away = torch.tensor([False, False, True])
    chance = duration_probabilities(torch.randn(3, HORIZON + 1), limits, settings, one_step_away)
    by_hand = [[0, 0.25, 0.25, 0.25, 0.25], [0, 0.5, 0.5, 0, 0], [0, 1, 0, 0, 0]]
    torch.testing.assert_close(chance, torch.tensor(by_hand))
