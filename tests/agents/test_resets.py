"""Whether somebody else has reset an environment, as far as its clock tells."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from glamor_gym.agents.resets import clock_was_set_back

CLOCK = spaces.Dict(steps_left=spaces.Box(0, 10, (1,), np.float32))


def was_set_back(before, after, going_on=True, space=CLOCK):
    """Return the answer for two environments, of which the first counts as it should."""
    moments = ({"steps_left": np.array([[5], [left]])} for left in (before, after))
    before, after = moments
    after["steps_left"][0] = 4
    return clock_was_set_back(space, before, after, np.array([True, going_on]))


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (9, 8, False),
        (9, 9, True),  # reset after its first step, and stepped once since
        (3, 9, True),
        (10, 9, False),  # reset before its first step, maybe: it looks the same
        (10, 10, False),  # a STOP that takes no time, say
    ],
)
def test_a_clock_that_does_not_fall_was_set_back(before, after, told):
    assert was_set_back(before, after) is told


def test_where_an_episode_ends_the_clock_may_begin_anew():
    assert not was_set_back(1, 10, going_on=False)


def test_without_a_clock_nothing_is_told():
    assert not was_set_back(3, 9, space=spaces.Dict())
