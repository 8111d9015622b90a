import gymnasium as gym
import numpy as np
import pytest

from glamor_gym.tasks import TASKS
from glamor_gym.wrappers import make_pipeline

ACTIONS = {
    "Bowling": 6, "Boxing": 18, "Breakout": 4, "Frostbite": 18, "MontezumaRevenge": 18,
    "MsPacman": 9, "Pitfall": 18, "Pong": 6, "PrivateEye": 18, "Qbert": 6, "Riverraid": 18,
    "Seaquest": 18, "Skiing": 3, "Tennis": 18, "ball_in_cup-catch": 9, "cartpole-balance": 3,
    "finger-spin": 9, "manipulator-bring_ball": 11, "pendulum-swingup": 3, "point_mass-easy": 9,
    "reacher-hard": 9, "GridWorld": 4, "Dice": 2,
}  # fmt: skip


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_frames_discrete_actions_and_labels(name):
    env = make_pipeline(name, render_profile="fast")
    observation, info = env.reset(seed=0)
    shape = {"GridWorld": (49,), "Dice": (6,)}.get(name, (1, 80, 104))
    assert env.observation_space.shape == observation.shape == shape
    assert observation in env.observation_space
    assert env.action_space == gym.spaces.Discrete(ACTIONS[name])
    assert set(info["labels"]) == set(TASKS[name].labels)
    *_, info = env.step(0)
    assert set(info["labels"]) == set(TASKS[name].labels)
    assert all(type(value) is float for value in info["labels"].values())
    env.close()


@pytest.mark.parametrize("name", ["Pong", "pendulum-swingup"])
def test_a_goal_looks_like_the_moment_it_was_taken_at(name):
    env = make_pipeline(name, frame_size=(40, 52))
    env.reset(seed=0)
    for _ in range(3):
        frame, *_ = env.step(1)
    content = env.get_wrapper_attr("goal_content")()
    shown = env.get_wrapper_attr("goal_screen")(content)
    assert shown.shape == (1, 40, 52)
    assert np.array_equal(shown, frame)
    env.close()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"task": "Pongg"}, "unknown task 'Pongg'; did you mean Pong"),
        ({"sticky": -0.1}, "sticky must be a finite number at least 0 and at most 1, got -0.1"),
        (
            {"task": "GridWorld", "sticky": 0.1},
            "sticky is for Atari tasks only, got 0.1 for GridWorld",
        ),
        ({"render_profile": "slow"}, "render_profile must be one of .*got 'slow'"),
        ({"frame_size": (80,)}, r"frame_size must be \(height, width\).*\(80,\)"),
        ({"frame_size": (0, 104)}, "frame_size must be"),
    ],
)
def test_bad_arguments_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        make_pipeline(**{"task": "Pong", **kwargs})


def test_sticky_reaches_the_console():
    env = make_pipeline("Pong", sticky=1.0)
    frames = []
    for action in (2, 3):
        env.reset(seed=0)
        frames.append([env.step(action)[0] for _ in range(10)])
    assert np.array_equal(*frames)  # it repeats the first action, NOOP, for ever
