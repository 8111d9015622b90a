import dataclasses

import numpy as np
import pytest

from glamor_gym.envs import make_world
from glamor_gym.goals import (
    GoalList,
    GoalSet,
    build_goal_set,
    goal_sheet,
    load_goal_set,
    verify_goal_set,
)
from glamor_gym.tasks import get_task


def changed(name="GridWorld", *, task=None, bounds=None, **tables):
    """Return the goals of a task with some tables of the evaluation goals replaced."""
    good = load_goal_set(name)
    goals = good.evaluation
    arguments = {
        "kind": goals.kind,
        "label_names": goals.label_names,
        "content": goals.content,
        "labels": goals.labels,
        "lagged_labels": goals.lagged_labels,
    }
    return GoalSet(
        task or good.task,
        evaluation=GoalList(**(arguments | tables)),
        training=good.training,
        bounds=bounds or good.bounds,
        provenance=good.provenance,
    )


def with_contents(name, turn):
    """Return the goals of a task with other contents, all turned alike."""
    good = load_goal_set(name)
    lists = {
        split: GoalList(
            goals.kind, goals.label_names, turn(goals.content), goals.labels, goals.lagged_labels
        )
        for split, goals in (("evaluation", good.evaluation), ("training", good.training))
    }
    return GoalSet(name, **lists, bounds=good.bounds, provenance=good.provenance)


def test_a_good_set_has_no_problems():
    assert verify_goal_set(changed()) == []


def test_each_problem_is_named():
    good = load_goal_set("GridWorld").evaluation
    short = {part: getattr(good, part)[:3] for part in ("content", "labels", "lagged_labels")}
    repeated = np.repeat(good.content[:1], 30, axis=0)
    not_finite = np.where(good.labels == 3, np.nan, good.labels)
    assert verify_goal_set(changed(task="Maze")) == ["there is no task 'Maze'"]
    assert verify_goal_set(changed(**short)) == ["there are 3 evaluation goals instead of 30"]
    assert verify_goal_set(changed(content=repeated)) == [
        "only 1 of 30 evaluation goals are distinct"
    ]
    assert verify_goal_set(changed(labels=not_finite)) == [
        "some labels of evaluation goals are not finite"
    ]
    assert verify_goal_set(changed(bounds={"x": (2.0, 2.0), "y": (0.0, 6.0)})) == ["x has range 0"]


def test_goals_of_another_world_are_found_out():
    problems = verify_goal_set(changed(task="Dice"))
    assert "labels are ('x', 'y'), the task has ('face',)" in problems
    problems = verify_goal_set(changed(task="Pong"))
    assert "evaluation goals are of kind 'frame', the task needs 'screen'" in problems


def test_contents_that_the_world_cannot_show_are_found_out():
    problems = verify_goal_set(with_contents("pendulum-swingup", lambda states: states[:, :1]))
    assert len(problems) == 2
    assert problems[0].startswith("evaluation goal 0 cannot be shown: content must be")
    longer = with_contents("Dice", lambda faces: np.pad(faces, ((0, 0), (0, 1))))
    assert "evaluation goal 0 is shown with the wrong shape (7,)" in verify_goal_set(longer)


def test_a_damaged_file_is_a_problem(tmp_path):
    path = tmp_path / "damaged.npz"
    load_goal_set("GridWorld").save(path)
    with np.load(path) as archive:
        members = dict(archive)
    members["training_content"] = members["training_content"][::-1]
    np.savez(path, **members)
    assert "training_content does not have the hash" in verify_goal_set(load_goal_set(path))[0]


@pytest.mark.parametrize("name", ["pendulum-swingup", "Seaquest"])
def test_the_sheet_shows_the_goals_in_their_order(name):
    goal_set = load_goal_set(name)
    sheet = goal_sheet(goal_set, "evaluation")
    assert sheet.shape == (5 * 84 - 4, 6 * 108 - 4)
    assert sheet.dtype == np.uint8
    world = make_world(name).unwrapped
    world.reset(seed=0)
    eighth = sheet[84:164, 108:212]
    shown = world.goal_screen(goal_set.evaluation[7].content)
    if shown.shape == eighth.shape:
        np.testing.assert_array_equal(eighth, shown)
    else:
        assert eighth.mean() == pytest.approx(shown.mean(), abs=0.5)
    assert (sheet[80:84] == 255).all()
    assert (sheet[:, 104:108] == 255).all()


def test_small_worlds_draw_their_goals():
    sheet = goal_sheet(load_goal_set("GridWorld"), "training")
    cells = 85  # 7 cells of 12 pixels, and the last line
    columns = 35
    assert sheet.shape[1] == columns * (cells + 4) - 4
    # The first state is the upper left corner.
    assert sheet[6, 6] < 100 < sheet[6, 18]


def test_goals_of_a_task_of_ones_own_are_looked_at_with_it():
    own = dataclasses.replace(get_task("Dice"), name="Casino")
    goal_set = build_goal_set(own)
    assert "command" not in goal_set.provenance
    assert verify_goal_set(goal_set) == ["there is no task 'Casino'"]
    assert verify_goal_set(goal_set, task=own) == []
    assert verify_goal_set(goal_set, task=get_task("Dice")) == [
        "the goals are of 'Casino', not of 'Dice'"
    ]
    with pytest.raises(ValueError, match="unknown task 'Casino'"):
        goal_sheet(goal_set)
    expected = goal_sheet(build_goal_set("Dice"))
    np.testing.assert_array_equal(goal_sheet(goal_set, task=own), expected)


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="which must be one of"):
        goal_sheet(load_goal_set("GridWorld"), "test")
