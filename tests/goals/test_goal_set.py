from dataclasses import replace

import numpy as np
import pytest

from glamor_gym.goals import GoalList, GoalSet, GoalSetError, load_goal_set
from glamor_gym.goals import goal_set as goal_set_module
from glamor_gym.tasks import get_task
from tests.goals.toy_goals import NAMES, goal_list, goal_set, with_content


def test_ranges_are_the_widths_of_the_bounds():
    assert goal_set(bounds={"x": (-1.0, 3.5), "y": (2.0, 2.0)}).ranges == {"x": 4.5, "y": 0.0}


def test_the_hash_depends_on_every_part():
    changed = [
        goal_set(evaluation=goal_list(count=3, seed=5)),
        goal_set(training=goal_list(count=8, seed=5)),
        goal_set(bounds={"x": (0.0, 9.0), "y": (0.0, 1.0)}),
        goal_set(provenance={"seed": 5}),
        goal_set(version=4),
    ]
    assert len({goal_set().hash, *(each.hash for each in changed)}) == 6
    assert goal_set().hash == goal_set().hash


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"evaluation": goal_list("state")}, "same kind"),
        ({"bounds": {"x": (0, 1)}}, "bounds must name"),
        ({"bounds": {"x": (0, 1), "y": (1, 0)}}, r"bounds\['y'\]"),
        ({"bounds": {"x": (0, 1), "y": (0, float("nan"))}}, r"bounds\['y'\]"),
        ({"training": goal_list(count=0)}, "training must hold"),
        ({"training": with_content(np.zeros((8, 1, 5), np.uint8))}, "same dtype and shape"),
        ({"training": with_content(np.zeros((8, 6, 4), np.uint8))}, "same dtype and shape"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change, message):
    with pytest.raises(GoalSetError, match=message):
        goal_set(**change)


@pytest.mark.parametrize("value", [np.int64(3), float("nan"), {1}])
def test_a_provenance_that_json_cannot_hold_is_named(value):
    with pytest.raises(TypeError, match="provenance must be JSON-serialisable"):
        goal_set(provenance={"seed": value})


def test_a_set_stays_as_it_is_when_the_arrays_it_was_made_of_change(tmp_path):
    content, labels = np.zeros((3, 6, 5), np.uint8), np.ones((3, 2))
    made = goal_set(evaluation=GoalList("screen", NAMES, content, labels, labels))
    before = made.hash
    content[:], labels[:] = 7, 2
    assert made.evaluation.content.max() == 0
    assert made.evaluation.labels.max() == made.evaluation.lagged_labels.max() == 1
    made.save(tmp_path / "toy.npz")
    assert GoalSet.load(tmp_path / "toy.npz").hash == before


def test_a_set_is_found_by_path(tmp_path):
    saved = tmp_path / "toy.npz"
    goal_set().save(saved)
    assert load_goal_set(saved).hash == load_goal_set(str(saved)).hash == goal_set().hash


def test_an_unknown_task_is_named():
    with pytest.raises(ValueError, match="unknown task 'Pongg'"):
        load_goal_set("Pongg")


def test_a_task_whose_goals_are_still_to_be_built_is_told_where_they_belong(monkeypatch):
    task = replace(get_task("Pong"), name="Pong2")
    monkeypatch.setattr(goal_set_module, "get_task", lambda _: task)
    with pytest.raises(GoalSetError, match=r"goals build Pong2 --out .*data/Pong2\.npz`"):
        load_goal_set("Pong2")


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_goal_set(tmp_path / "nowhere.npz")
