"""The goal sets that the package comes with."""

from importlib import resources

import numpy as np
import pytest

from glamor_gym.envs import make_world
from glamor_gym.goals import GoalSet, GoalSetError, load_goal_set, verify_goal_set
from glamor_gym.tasks import TASKS
from glamor_gym.wrappers import label_tolerance
from tests.test_checkers import QUICK

each_task = pytest.mark.parametrize("name", TASKS)


@each_task
def test_it_is_whole_and_fits_its_task(name):
    goal_set = load_goal_set(name)
    assert goal_set.task == name
    assert verify_goal_set(goal_set) == []


@each_task
def test_it_tells_how_it_was_made(name):
    provenance = load_goal_set(name).provenance
    assert provenance["command"] == f"glamor-gym goals build {name} --seed 0 --episodes 2000"
    assert "numpy" in provenance["versions"]


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in TASKS],
)
def test_few_evaluation_goals_are_where_episodes_begin(name):
    """Doing nothing at all should reach next to none of them."""
    goal_set = load_goal_set(name)
    world = make_world(name, render_profile=None)
    tolerance = np.array([label_tolerance(extent) for extent in goal_set.ranges.values()])
    reached = []
    for seed in range(5):
        _, info = world.reset(seed=seed)
        start = np.array([info["labels"][label] for label in goal_set.label_names])
        reached.append((np.abs(goal_set.evaluation.labels - start) < tolerance).all(axis=1))
    world.close()
    assert np.mean(reached) < 0.15


def test_all_files_together_are_small():
    files = resources.files("glamor_gym.goals").joinpath("data").iterdir()
    sizes = {file.name: len(file.read_bytes()) for file in files if file.name.endswith(".npz")}
    assert set(sizes) == {f"{name}.npz" for name in TASKS}
    assert sum(sizes.values()) < 25e6


def test_a_set_is_read_once():
    assert load_goal_set("Pong") is load_goal_set("glamor/Pong-v0")


@pytest.mark.parametrize("name", ["Qbert", "GridWorld"])
def test_held_out_goals_are_others_and_always_the_same(name):
    goal_set = load_goal_set(name)
    pictures = [goal.content.tobytes() for goal in goal_set.held_out]
    assert len(set(pictures)) == len(pictures)
    assert not set(pictures) & {content.tobytes() for content in goal_set.evaluation.content}
    assert set(pictures) <= {content.tobytes() for content in goal_set.training.content}
    with resources.as_file(resources.files("glamor_gym.goals") / "data" / f"{name}.npz") as file:
        again = GoalSet.load(file).held_out
    assert [goal.index for goal in again] == [goal.index for goal in goal_set.held_out]


def test_there_are_as_many_held_out_goals_as_the_world_has():
    assert len(load_goal_set("Qbert").held_out) == 30
    # 49 cells: those that are not among the evaluation goals are left.
    cells = {content.tobytes() for content in load_goal_set("GridWorld").evaluation.content}
    assert len(load_goal_set("GridWorld").held_out) == 49 - len(cells)
    with pytest.raises(GoalSetError, match="Dice has no training goal"):
        _ = load_goal_set("Dice").held_out
