from __future__ import annotations

import numpy as np
import pytest

from glamor_gym.evaluation import NoopAgent, shortest_path_rate
from tests.evaluation.players import LEFT, UP, Shifted, Walker


class Cornered:
    """Walks into the upper left corner and waits there till its time is up."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        steps_left = observation["steps_left"][:, 0]
        return np.where(steps_left > 5, UP, LEFT), state


def test_a_walker_takes_a_shortest_way_to_every_goal():
    assert shortest_path_rate(Walker()) == 1.0


def test_a_detour_is_not_a_shortest_way():
    assert shortest_path_rate(Walker(detour=True)) == 0.0


def test_only_goals_that_are_reached_count():
    # Without a move it is at 1 of 49 goals; along the row it started in, at 7.
    assert shortest_path_rate(NoopAgent(4)) == pytest.approx(1 / 49)
    assert shortest_path_rate(Shifted(), n_envs=5) == pytest.approx(7 / 49)


def test_to_be_found_there_at_last_is_not_enough():
    assert shortest_path_rate(Cornered()) == 0.0


def test_coming_by_is_enough_where_the_agent_has_no_use_for_stop():
    # It starts in the centre, takes three moves to the upper edge and bumps into it twice.
    assert shortest_path_rate(Cornered(), must_stop=False) == pytest.approx(4 / 49)


def test_worlds_without_a_list_of_goals_are_refused():
    with pytest.raises(ValueError, match="small worlds"):
        shortest_path_rate(NoopAgent(18), "Seaquest")
