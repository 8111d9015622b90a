import numpy as np
import pytest

from glamor_gym.goals import GoalList, GoalSetError
from tests.goals.toy_goals import NAMES, SHAPES, goal_list


@pytest.mark.parametrize("kind", SHAPES)
def test_goals_are_records_of_a_read_only_content_and_named_labels(kind):
    goals = goal_list(kind, 3)
    goal = goals[-1]
    assert (goal.index, goal.kind) == (2, kind)
    np.testing.assert_array_equal(goal.content, goals.content[2])
    assert dict(goal.labels) == {"x": goals.labels[2, 0], "y": goals.labels[2, 1]}
    assert goal.lagged_labels["y"] == goal.labels["y"] + 1
    with pytest.raises(ValueError, match="read-only"):
        goal.content[0] = 0
    assert [each.index for each in goals[1:]] == [1, 2]
    assert len(list(goals)) == 3
    with pytest.raises(IndexError):
        goals[3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "sound"}, "kind must be one of"),
        ({"content": np.zeros((3, 6, 5), np.float32)}, "dtype"),
        ({"content": np.zeros((2, 6, 5), np.uint8)}, "3 entries, got 2"),
        ({"labels": np.zeros((3, 1))}, "labels must have shape"),
        ({"lagged_labels": np.zeros((2, 2))}, "lagged_labels must have shape"),
        ({"label_names": ("x", "x")}, "label_names must be distinct strings"),
        ({"label_names": ("x", 1)}, "label_names must be distinct strings"),
    ],
)
def test_lists_that_do_not_fit_are_refused(change, message):
    arguments = {
        "kind": "screen",
        "label_names": NAMES,
        "content": np.zeros((3, 6, 5), np.uint8),
        "labels": np.zeros((3, 2)),
        "lagged_labels": np.zeros((3, 2)),
    }
    with pytest.raises(GoalSetError, match=message):
        GoalList(**(arguments | change))
