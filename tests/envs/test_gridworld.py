import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glamor_gym.envs.dice import Dice
from glamor_gym.envs.gridworld import GridWorld
from glamor_gym.types import World

UP, RIGHT, DOWN, LEFT = range(4)


def test_the_agent_starts_in_the_middle():
    env = GridWorld()
    observation, info = env.reset(seed=0)
    assert observation in env.observation_space
    assert np.flatnonzero(observation).tolist() == [24]
    assert info == {"labels": {"x": 3.0, "y": 3.0}}
    assert isinstance(env, World)


@pytest.mark.parametrize(
    ("action", "x", "y"), [(UP, 3, 2), (RIGHT, 4, 3), (DOWN, 3, 4), (LEFT, 2, 3)]
)
def test_the_four_moves(action, x, y):
    env = GridWorld()
    env.reset()
    observation, reward, terminated, truncated, info = env.step(action)
    assert np.flatnonzero(observation).tolist() == [7 * y + x]
    assert info["labels"] == {"x": x, "y": y}
    assert (reward, terminated, truncated) == (0.0, False, False)


@pytest.mark.parametrize(
    ("action", "x", "y"), [(UP, 3, 0), (RIGHT, 6, 3), (DOWN, 3, 6), (LEFT, 0, 3)]
)
def test_walls_stop_the_agent(action, x, y):
    env = GridWorld()
    env.reset()
    for _ in range(5):
        *_, info = env.step(action)
    assert info["labels"] == {"x": x, "y": y}


@given(st.lists(st.integers(0, 3), max_size=30))
def test_the_picture_and_the_labels_agree(actions):
    env = GridWorld(5)
    observation, info = env.reset()
    for action in actions:
        observation, *_, info = env.step(action)
    assert observation.sum() == 1
    row, column = divmod(int(observation.argmax()), 5)
    assert info["labels"] == {"x": column, "y": row}
    assert np.array_equal(env.goal_content(), observation)


def test_every_cell_is_a_goal():
    goals = GridWorld().all_goals()
    assert len(goals) == 49
    assert np.array_equal([goal.content for goal in goals], np.eye(49, dtype=np.float32))
    assert [goal.index for goal in goals] == list(range(49))
    assert goals[9].labels == {"x": 2.0, "y": 1.0}


def test_a_goal_is_shown_as_it_is_kept():
    env = GridWorld()
    content = env.all_goals()[3].content
    shown = env.goal_screen(content)
    assert np.array_equal(shown, content)
    assert shown is not content


def test_rendering_shows_the_agents_cell():
    env = GridWorld(3, render_mode="rgb_array")
    env.reset()
    env.step(RIGHT)
    picture = env.render()
    assert (picture.shape, picture.dtype) == ((37, 37, 3), np.uint8)
    dark = np.argwhere((picture == (30, 60, 150)).all(axis=2)) // 12
    assert np.unique(dark, axis=0).tolist() == [[1, 2]]  # row 1, column 2
    assert GridWorld().render() is None


@pytest.mark.parametrize(("action", "error"), [(4, ValueError), (-1, ValueError), (1.0, TypeError)])
def test_what_is_no_move_is_refused(action, error):
    env = GridWorld()
    env.reset()
    with pytest.raises(error, match="action must be an integer from 0 to 3"):
        env.step(action)


def test_a_room_without_cells_is_refused():
    with pytest.raises(ValueError, match="size must be an integer ≥ 1, got 0"):
        GridWorld(0)


@pytest.mark.parametrize("world", [GridWorld, Dice])
def test_other_render_modes_are_refused(world):
    with pytest.raises(
        ValueError, match="render_mode must be one of None, 'rgb_array', got 'human'"
    ):
        world(render_mode="human")
