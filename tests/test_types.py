"""The library's own types, where they do more than hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glamor_gym.goals import load_goal_set
from glamor_gym.types import Goal, Plan, Trajectory


def make_plan() -> Plan:
    tokens = torch.tensor([[0, 1, 4, 5], [4, 5, 5, 5], [2, 2, 2, 4]])
    return Plan(tokens, torch.tensor([3, 1, 4]), torch.arange(3.0), torch.zeros(3, 4))


def test_a_plan_is_a_sequence_of_the_plans_of_its_rows():
    plan = make_plan()
    rows = list(plan)
    assert [row.actions().tolist() for row in rows] == [[0, 1], [], [2, 2, 2]]
    assert all(len(row) == 1 for row in rows)
    assert torch.equal(plan[-1].tokens, rows[2].tokens)
    assert torch.equal(plan[-3].tokens, rows[0].tokens)


@pytest.mark.parametrize("index", [3, -4])
def test_there_are_no_more(index):
    with pytest.raises(IndexError):
        make_plan()[index]


def test_goals_are_equal_where_their_contents_and_labels_are():
    def make(**changed):
        return Goal(**{"content": np.arange(4), "kind": "frame", "labels": {"x": 1.0}} | changed)

    assert make() == make()
    assert make() != make(content=np.arange(4)[::-1])
    assert make() != make(labels=None)
    assert make() != "a goal"
    assert make(index=3) in [make(), make(index=3)]


def test_an_array_is_not_equal_to_its_absence():
    achieved, actions = np.zeros((2, 4)), np.zeros(1, np.int64)
    one, other = Trajectory(achieved, actions), Trajectory(achieved, actions, goal=np.zeros(4))
    assert one != other
    assert other != one


def test_goals_are_found_in_the_sets_of_the_package():
    goals = load_goal_set("GridWorld").evaluation
    assert goals[3] in goals
    assert goals.index(goals[3]) == 3
