"""What is carried between two calls of `predict`."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glamor_gym.agents.episodes import NO_ACTION
from glamor_gym.agents.plan_state import PlanState, copied, lengths_of, padded, tokens_at

HORIZON = 3
STOP = 4


def two_plans() -> PlanState:
    """Two environments: one before the second of two actions, one before its STOP."""
    tokens = np.array([[0, 1, STOP, NO_ACTION], [2, STOP, NO_ACTION, NO_ACTION]])
    steps, cursor, length = np.array([1, 5]), np.array([1, 1]), np.array([3, 2])
    return PlanState(steps, tokens, cursor, length, np.array([0.5, -0.25]))


def before_the_first() -> PlanState:
    return PlanState.before_the_first(2, HORIZON)


def test_before_the_first_plan_there_is_no_token():
    state = PlanState.before_the_first(2, HORIZON)
    assert [part.shape for part in state] == [(2,), (2, HORIZON + 1), (2,), (2,), (2,)]
    assert state.next_tokens.tolist() == [NO_ACTION, NO_ACTION]
    assert state.length.tolist() == [0, 0]
    assert state.steps.tolist() == state.cursor.tolist() == [0, 0]
    assert np.isnan(state.log_score).all()
    state.steps[:] = 9
    assert state.cursor.tolist() == [0, 0]  # they share nothing


def test_the_token_under_the_cursor_is_next():
    state = two_plans()
    assert state.next_tokens.tolist() == [1, STOP]
    assert tokens_at(state.tokens, np.array([0, 2])).tolist() == [0, NO_ACTION]


def test_a_step_moves_clock_and_cursor_and_the_cursor_stays_in_the_plan():
    state = two_plans()
    for steps, cursor in (([2, 6], [2, 2]), ([3, 7], [3, 3]), ([4, 8], [3, 3])):
        state = state.advanced()
        assert (state.steps.tolist(), state.cursor.tolist()) == (steps, cursor)
    assert two_plans().steps.tolist() == [1, 5]


def test_taking_a_state_copies_it_and_clears_what_begins():
    given = two_plans()
    copy = copied(given, before_the_first(), np.array([False, True]))
    assert copy.steps.tolist() == [1, 0]
    assert copy.cursor.tolist() == [1, 0]
    assert copy.tokens.tolist() == [[0, 1, STOP, NO_ACTION], [NO_ACTION] * 4]
    assert copy.log_score[0] == 0.5
    assert np.isnan(copy.log_score[1])
    copy.tokens[:] = 7
    for part, before in zip(given, two_plans(), strict=True):
        np.testing.assert_array_equal(part, before)


def test_one_flag_may_stand_for_all_and_none_for_nothing():
    assert copied(two_plans(), before_the_first(), np.array([True])).length.tolist() == [0, 0]
    assert copied(two_plans(), before_the_first(), None).length.tolist() == [3, 2]
    assert copied(None, before_the_first(), None).length.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ((np.zeros(2),) * 3, "what predict returned"),
        ("none", "what predict returned"),
        (7, "what predict returned"),
        (PlanState.before_the_first(3, HORIZON), "of 2 environments"),
        (PlanState.before_the_first(2, HORIZON + 1), "of 2 environments"),
    ],
)
def test_what_is_no_state_of_these_environments_is_refused(state, message):
    with pytest.raises(ValueError, match=message):
        copied(state, before_the_first(), None)


@pytest.mark.parametrize("state", [None, two_plans()])
def test_flags_of_other_environments_are_refused(state):
    with pytest.raises(ValueError, match=r"episode_start must be of shape \(2,\), got \(3,\)"):
        copied(state, before_the_first(), np.zeros(3, dtype=bool))


def test_plans_are_padded_to_the_horizon():
    plans = torch.tensor([[0, STOP, STOP + 1], [3, 1, STOP]])
    expected = [[0, STOP, NO_ACTION, NO_ACTION], [3, 1, STOP, NO_ACTION]]
    tokens = padded(plans, STOP, HORIZON)
    assert tokens.tolist() == expected
    assert lengths_of(tokens).tolist() == [2, 3]
