"""Goals look like the observations, whatever wrappers lie between the world and its user."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box
from gymnasium.wrappers import (
    DelayObservation,
    MaxAndSkipObservation,
    RepeatAction,
    TransformObservation,
)

from glamor_gym.types import Goal
from glamor_gym.wrappers import GoalEnv, ScreenToFrame, StackFrames

SIZE = (3, 8)


def crop(env):
    return TransformObservation(env, lambda screen: screen[:3], Box(0, 255, SIZE, np.uint8))


def invert(env):
    return TransformObservation(env, lambda screen: 255 - screen, env.observation_space)


class Upside(gym.Wrapper):
    """Turns screens upside down, and goals too."""

    def __init__(self, env):
        super().__init__(env)
        self.observation_space = Box(0, 255, env.observation_space.shape, np.uint8)

    def reset(self, **kwargs):
        screen, info = self.env.reset(**kwargs)
        return screen[::-1], info

    def step(self, action):
        screen, *rest = self.env.step(action)
        return screen[::-1], *rest

    def goal_screen(self, content):
        return self.env.get_wrapper_attr("goal_screen")(content)[::-1]


class Narrow(gym.Wrapper):
    """Shows the left half of a screen, and cannot show goals."""

    def __init__(self, env):
        super().__init__(env)
        self.observation_space = Box(0, 255, (6, 4), np.uint8)


def make(world):
    return GoalEnv(world, [Goal(np.zeros((6, 8), np.uint8), "screen")], ranges={}, horizon=5)


@pytest.mark.parametrize("inner", [crop, invert, Upside, partial(RepeatAction, num_repeats=1)])
@pytest.mark.parametrize("outer", [invert, partial(RepeatAction, num_repeats=1)])
def test_a_goal_of_this_moment_is_what_is_seen(dot_world, inner, outer):
    world = outer(ScreenToFrame(inner(dot_world()), SIZE))
    env = make(world)
    env.reset()
    env.step(1)
    seen = env.step(1)[0]["achieved_goal"]
    assert seen.any()
    content = world.get_wrapper_attr("goal_content")()
    goal, info = env.reset(options={"goal": Goal(content, "screen")})
    assert np.array_equal(goal["desired_goal"], seen)
    assert not info["is_success"]
    assert not np.array_equal(goal["achieved_goal"], seen)


def test_a_world_may_draw_its_next_goal_screen_into_the_same_array(dot_world):
    drawn = np.full((1, 6, 8), 7, np.uint8)

    class Frames(dot_world):
        def picture(self, x):
            return super().picture(x)[np.newaxis]

        def goal_screen(self, content):
            return drawn

    env = make(Frames())
    env.reset()
    drawn[:] = 0
    assert (env.step(1)[0]["desired_goal"] == 7).all()


@pytest.mark.parametrize(
    "wrap", [Narrow, partial(DelayObservation, delay=1), partial(MaxAndSkipObservation, skip=2)]
)
def test_a_wrapper_that_goals_cannot_be_passed_through_is_refused(dot_world, wrap):
    with pytest.raises(ValueError, match=r"(Narrow|DelayObs.*|Max.*) changes observations only"):
        ScreenToFrame(wrap(dot_world()), SIZE)


def test_so_are_stacks_before_the_goals_are_put_there(dot_world):
    frames = StackFrames(ScreenToFrame(dot_world(), SIZE), 2)
    with pytest.raises(ValueError, match="the wrapper StackFrames changes observations only"):
        make(frames)


def test_goals_that_are_kept_as_they_are_shown_may_have_any_wrapper(dot_world):
    world = dot_world()
    world.goal_kind = "frame"
    stacks = StackFrames(ScreenToFrame(Narrow(world), (6, 8)), 2)
    goals = [Goal(np.zeros((2, 6, 8), np.uint8), "frame")]
    observation, _ = GoalEnv(stacks, goals, ranges={}, horizon=5).reset()
    assert observation["desired_goal"].shape == (2, 6, 8)
