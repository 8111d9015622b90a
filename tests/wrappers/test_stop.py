import ctypes
import multiprocessing

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.wrappers import OrderEnforcing

from glamor_gym.envs.gridworld import GridWorld
from glamor_gym.wrappers import StopAction


def test_stop_ends_the_episode_and_leaves_the_world(dot_world):
    world = dot_world()
    env = StopAction(world)
    env.reset()
    before, *_ = env.step(1)
    observation, reward, terminated, truncated, info = env.step(env.stop_action)
    assert np.array_equal(observation, before)
    assert (reward, terminated, truncated) == (0.0, True, False)
    assert info == {"labels": {"x": 1.0, "y": 2.0}, "stopped": True}
    assert (world.steps, world.x) == (1, 1)


def test_stop_is_the_last_action(dot_world):
    env = StopAction(dot_world())
    assert env.stop_action == 2
    assert env.action_space == gym.spaces.Discrete(3)
    assert env.get_wrapper_attr("stop_action") == 2
    assert env.get_action_meanings() == ["0", "1", "STOP"]
    named = OrderEnforcing(StopAction(GridWorld()))
    assert named.get_wrapper_attr("get_action_meanings")()[-2:] == ["left", "STOP"]


def test_other_actions_pass(dot_world):
    env = StopAction(dot_world(ends_at=2))
    assert env.reset()[1]["stopped"] is False
    assert env.step(1)[1:4] == (1.0, False, False)
    *_, terminated, _, info = env.step(0)
    assert terminated is True
    assert info["stopped"] is False


def test_stop_at_once_returns_the_first_observation_afresh(dot_world):
    env = StopAction(dot_world())
    first, info = env.reset()
    first[:] = 9
    info.clear()
    info["TimeLimit.truncated"] = True
    again, *_, info = env.step(env.stop_action)
    assert again[2, 0] == 200
    assert info == {"labels": {"x": 0.0, "y": 2.0}, "stopped": True}


@pytest.mark.parametrize("end", [{}, {"ends_at": 1}, {"cut_at": 1}])
def test_after_the_end_there_is_no_step(dot_world, end):
    env = StopAction(dot_world(**end))
    with pytest.raises(ResetNeeded):
        env.step(0)
    env.reset()
    env.step(0 if end else env.stop_action)
    with pytest.raises(ResetNeeded, match="reset"):
        env.step(env.stop_action)
    env.reset()
    env.step(0)


@pytest.mark.parametrize("action", [3, -1])
def test_an_action_out_of_range_is_refused(dot_world, action):
    env = StopAction(dot_world())
    env.reset()
    with pytest.raises(ValueError, match=f"action must be an integer from 0 to 2, got {action}"):
        env.step(action)


@pytest.mark.parametrize("action", [1.0, "1", True, None, np.array([2]), np.array([2, 2])])
def test_what_is_no_action_is_refused(dot_world, action):
    env = StopAction(dot_world())
    env.reset()
    with pytest.raises(TypeError, match="action must be an integer from 0 to 2"):
        env.step(action)


@pytest.mark.parametrize("action", [1, np.int64(1), np.uint8(1), np.array(1)])
def test_any_integer_is_an_action(dot_world, action):
    env = StopAction(dot_world())
    env.reset()
    assert env.step(action)[-1]["labels"]["x"] == 1.0


def test_a_second_stop_is_refused(dot_world):
    with pytest.raises(ValueError, match="not have a STOP action already"):
        StopAction(gym.wrappers.TimeLimit(StopAction(dot_world()), 5))


@pytest.mark.parametrize("space", [gym.spaces.Discrete(2, start=1), gym.spaces.Box(0, 1, (2,))])
def test_other_actions_than_counted_from_zero_are_refused(dot_world, space):
    world = dot_world()
    world.action_space = space
    with pytest.raises(ValueError, match="Discrete"):
        StopAction(world)


@pytest.mark.parametrize(
    "handle",
    [(number for number in range(3)), ctypes.pointer(ctypes.c_int(3)), multiprocessing.Lock()],
)
def test_infos_may_hold_what_has_no_copies(dot_world, handle):
    class WithHandle(gym.Wrapper):
        snapshot = None  # of an environment that remembers nothing

        def reset(self, **kwargs):
            observation, info = super().reset(**kwargs)
            return observation, {**info, "handle": handle}

    env = StopAction(WithHandle(dot_world()))
    env.reset()
    *_, info = env.step(env.stop_action)
    assert info["handle"] is handle
    env.reset()
    env.snapshot = env.snapshot
    *_, info = env.step(env.stop_action)
    assert info["handle"] is handle
