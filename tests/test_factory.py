import gymnasium as gym
import numpy as np
import pytest

import glamor_gym  # noqa: F401
from glamor_gym.factory import make_goal_env
from glamor_gym.goals import GoalSetError, load_goal_set
from glamor_gym.types import Goal


def test_the_defaults_are_those_of_the_task():
    pong = load_goal_set("Pong")
    env = gym.make("glamor/Pong-v0").unwrapped
    assert (env.horizon, env.reward, env.label_lag) == (50, "image", 0)
    assert env.goals is pong.training
    assert env.ranges == dict(pong.ranges)
    assert env.observation_space["observation"].shape == (4, 80, 104)
    assert env.stop_action == 6


def test_evaluation_goals_are_drawn_on_request():
    evaluation = load_goal_set("GridWorld").evaluation
    env = make_goal_env("GridWorld", goals="eval")
    assert len(env.goals) == len(evaluation) == 30
    for k in (0, 29):
        observation, info = env.reset(options={"goal": k})
        assert info["goal_labels"] == evaluation[k].labels
        assert np.array_equal(observation["desired_goal"], evaluation[k].content)
    with pytest.raises(ValueError, match="from 0 to 29, got 30"):
        env.reset(options={"goal": 30})


def test_all_states_of_a_small_world():
    env = make_goal_env("GridWorld", goals="all")
    assert len(env.goals) == 49
    assert env.ranges == {"x": 6.0, "y": 6.0}
    assert make_goal_env("Dice", goals="all").ranges == {"face": 5.0}
    with pytest.raises(ValueError, match="goals='all' is for small worlds; Pong"):
        make_goal_env("Pong", goals="all")


def test_goals_of_a_file(tmp_path):
    path = tmp_path / "own.npz"
    load_goal_set("Dice").save(path)
    for given in (path, str(path)):
        env = gym.make("glamor/Dice-v0", goals=given).unwrapped
        assert len(env.goals) == len(load_goal_set("Dice").training)
    with pytest.raises(ValueError, match="goals must be a goal set of GridWorld, got one of Dice"):
        make_goal_env("GridWorld", goals=str(path))
    path.write_bytes(b"nothing")
    with pytest.raises(GoalSetError, match="own"):
        make_goal_env("Dice", goals=str(path))
    with pytest.raises(FileNotFoundError):
        make_goal_env("Dice", goals=str(tmp_path / "none.npz"))


@pytest.mark.parametrize("goals", ["test", "", 3, np.arange(3)])
def test_other_goals_are_refused(goals):
    with pytest.raises(ValueError, match="goals must be 'train', 'eval', 'held-out', 'all' or"):
        make_goal_env("Dice", goals=goals)


@pytest.mark.parametrize(
    ("goals", "hint"),
    [
        ("evl", r"got 'evl'; did you mean eval\?$"),
        ("heldout", r"did you mean held-out\?$"),
        ("2", r"got '2'; a single goal is chosen by reset\(options=\{'goal': 2\}\)$"),
        (2, r"got 2; a single goal is chosen by reset"),
        ("goals.npy", r"got 'goals.npy'$"),
    ],
)
def test_what_may_be_meant_by_other_goals_is_said(goals, hint):
    with pytest.raises(ValueError, match=hint):
        make_goal_env("Dice", goals=goals)


def test_a_stored_screen_and_the_picture_of_it_are_the_same_goal():
    env = make_goal_env("Pong", goals="eval", frame_size=(40, 52))
    by_index, info = env.reset(options={"goal": 4})
    goal = env.goals[4]
    assert goal.kind == "screen"
    by_goal, _ = env.reset(options={"goal": goal})
    picture = by_index["desired_goal"]
    assert picture.shape == (1, 40, 52)
    by_picture, no_labels = env.reset(options={"goal": Goal(picture, "frame")})
    assert np.array_equal(picture, by_goal["desired_goal"])
    assert np.array_equal(picture, by_picture["desired_goal"])
    assert set(info["goal_labels"]) == {"ball_x", "ball_y", "enemy_y", "player_y"}
    assert no_labels["goal_labels"] == {}


def test_the_dice_end_by_the_roll_and_not_by_the_horizon():
    env = make_goal_env("Dice")
    env.reset(seed=0)
    assert env.step(1)[2:4] == (True, False)
    env.reset()
    assert env.step(env.stop_action)[2:4] == (True, False)


def test_gymnasium_collects_what_is_rendered():
    env = gym.make("glamor/GridWorld-v0", render_mode="rgb_array_list")
    env.reset()
    env.step(0)
    pictures = env.render()
    assert len(pictures) == 2
    assert all(picture.shape[-1] == 3 for picture in pictures)


def test_parts_of_a_file_of_goals(tmp_path):
    path = str(tmp_path / "own.npz")
    own = load_goal_set("GridWorld")
    own.save(path)
    parts = {"train": own.training, "eval": own.evaluation, "held-out": own.held_out}
    for part, goals in parts.items():
        env = gym.make("glamor/GridWorld-v0", goals=f"{path}:{part}").unwrapped
        assert [goal.labels for goal in env.goals] == [goal.labels for goal in goals]
    with pytest.raises(ValueError, match="':eval' or ':held-out' after it, got"):
        make_goal_env("GridWorld", goals=f"{path}:all")
