"""Environments that agents cannot be trained or judged in."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary
from gymnasium.wrappers import TransformObservation
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.monitor import Monitor

from glamor_gym.agents import suitability
from glamor_gym.agents.suitability import check_spaces
from tests.agents.small_agents import make_agent, make_grid


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"steps_left": Box(0, 10, (), np.float32)}, r"steps_left as a Box of shape \(1,\)"),
        (
            dict.fromkeys(("achieved_goal", "desired_goal"), Box(0, 48, (), np.float32)),
            "achieved_goal as a Box of one axis or more, got Box",
        ),
        (
            {"desired_goal": Box(0, 1, (50,), np.float32)},
            "desired_goal of the shape and dtype of achieved_goal",
        ),
        ({"more": MultiBinary(3)}, r"have more as a .* got MultiBinary\(3\)"),
        (
            {"observation": Box(0, 1, (2**12, 2**12 + 1), np.int8)},
            "have observation as a .* from 1 to 16777216, got 16781312",
        ),
        ({"more": Box(0, 1, (0,), np.int8)}, "have more as a .* from 1 to 16777216, got 0"),
        ({"observation": Box(0, 255, (40, 40, 3), np.uint8)}, "pictures with channels first"),
        ({"observation": Box(0, 255, (40, 40), np.uint8)}, r"pictures .* \(C, H, W\), got Box"),
    ],
)
def test_spaces_that_no_agent_can_take_are_refused(changes, told):
    known = make_grid().observation_space.spaces
    with pytest.raises(ValueError, match=told):
        check_spaces(Dict({**known, **changes}), Discrete(5))


def test_bounds_that_no_file_has_room_for_are_refused(monkeypatch):
    known = make_grid().observation_space.spaces
    uneven = Dict({**known, "more": Box(np.zeros(99), np.arange(99.0) + 1)})
    check_spaces(uneven, Discrete(5))
    monkeypatch.setattr(suitability, "MAX_HEADER_BYTES", 500)
    with pytest.raises(ValueError, match="fewer bounds that differ"):
        check_spaces(uneven, Discrete(5))
    even = Dict({**known, "more": Box(0, 1, (10**5,))})
    monkeypatch.setattr(suitability, "MAX_HEADER_BYTES", 1000)
    check_spaces(even, Discrete(5))


def test_an_entry_that_no_agent_reads_is_told_where_the_agent_is_made():
    env = make_grid()
    more = Dict({**env.observation_space.spaces, "speed": Box(-1, 1, (1,), np.float32)})
    seen = TransformObservation(env, lambda one: {**one, "speed": np.zeros(1, np.float32)}, more)
    with pytest.warns(UserWarning, match="the agent does not read 'speed'") as told:
        make_agent(seen)
    assert told[0].filename.endswith("small_agents.py")


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("progress_bar", [False, True])
def test_an_evaluation_with_other_actions_is_refused_before_the_first_step(several, progress_bar):
    agent = make_agent()
    callback = EvalCallback(Monitor(gym.make("glamor/Dice-v0")), eval_freq=1_000)
    with pytest.raises(ValueError, match=r"agent's actions Discrete\(5\), got Discrete\(3\)"):
        agent.learn(100, [callback] if several else callback, progress_bar=progress_bar)
    assert agent.num_timesteps == 0
    assert agent.learn(10, reset_num_timesteps=False).num_timesteps == 10
