"""Resets that the vector of an agent has not seen, told by clock and goal."""

from __future__ import annotations

import numpy as np
import pytest

from glamor_gym.agents.resets import clock_was_set_back
from tests.agents.small_agents import make_grid


def episode(goal):
    """Return the first moments of an episode, as a vector of one environment shows them."""
    env = make_grid()
    moments = [env.reset(seed=0, options={"goal": goal})[0]]
    moments += [env.step(0)[0] for _ in range(3)]
    return [{key: value[None] for key, value in moment.items()} for moment in moments]


@pytest.mark.parametrize(
    ("before", "after", "was_reset"),
    [
        ((0, 0), (0, 1), False),
        ((0, 1), (0, 2), False),
        ((0, 0), (5, 1), True),  # the clock looks right, the goal does not
        ((0, 2), (5, 1), True),
        ((0, 2), (0, 2), True),
    ],
    ids=str,
)
def test_a_step_is_of_the_episode_that_it_follows(before, after, was_reset):
    episodes = {goal: episode(goal) for goal in (0, 5)}
    moments = [episodes[goal][step] for goal, step in (before, after)]
    space = make_grid().observation_space
    assert clock_was_set_back(space, *moments, np.array([True])) == was_reset
    assert not clock_was_set_back(space, *moments, np.array([False]))
