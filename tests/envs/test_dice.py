import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from scipy import stats

from glamor_gym.envs.dice import FAIR, LOADED, Dice
from glamor_gym.types import World


def rolls(action, number):
    env = Dice()
    env.reset(seed=0)
    faces = []
    for _ in range(number):
        env.reset()
        faces.append(int(env.step(action)[-1]["labels"]["face"]))
    return faces


def test_before_the_roll_there_is_no_face():
    env = Dice()
    observation, info = env.reset(seed=0)
    assert observation in env.observation_space
    assert observation.tolist() == [0.0] * 6
    assert info == {"labels": {"face": 0.0}}
    assert isinstance(env, World)


def test_the_loaded_die_always_gives_one():
    assert set(rolls(LOADED, 50)) == {1}


def test_the_fair_die_gives_each_face_as_often():
    counts = np.bincount(rolls(FAIR, 3000), minlength=7)[1:]
    assert stats.chisquare(counts).pvalue > 0.001


def test_the_roll_shows_the_face_and_ends_the_episode():
    env = Dice()
    env.reset(seed=3)
    observation, reward, terminated, truncated, info = env.step(FAIR)
    assert int(observation.argmax()) + 1 == info["labels"]["face"]
    assert observation.sum() == 1
    assert (reward, terminated, truncated) == (0.0, True, False)
    assert np.array_equal(env.goal_content(), observation)
    with pytest.raises(ResetNeeded, match="rolled already"):
        env.step(FAIR)


def test_the_same_seed_gives_the_same_rolls():
    assert rolls(FAIR, 20) == rolls(FAIR, 20)


def test_every_face_is_a_goal():
    goals = Dice().all_goals()
    assert [goal.labels["face"] for goal in goals] == [1, 2, 3, 4, 5, 6]
    assert np.array_equal([goal.content for goal in goals], np.eye(6, dtype=np.float32))
    assert np.array_equal(Dice().goal_screen(goals[2].content), goals[2].content)


@pytest.mark.parametrize("face", range(7))
def test_a_face_is_drawn_with_its_pips(face):
    observation = np.eye(7, 6, -1, dtype=np.float32)[face]
    picture = Dice().draw_observation(observation)
    # A pip is a black square of 6 × 6; the border is black too.
    assert (picture[1:-1, 1:-1] == 0).all(axis=2).sum() == face * 36


def test_rendering_needs_a_mode():
    env = Dice(render_mode="rgb_array")
    env.reset()
    assert env.render().shape == (40, 40, 3)
    assert Dice().render() is None


@pytest.mark.parametrize(("action", "error"), [(2, ValueError), (0.0, TypeError)])
def test_there_are_two_dice(action, error):
    env = Dice()
    env.reset()
    with pytest.raises(error, match="action must be an integer from 0 to 1"):
        env.step(action)
