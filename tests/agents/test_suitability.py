"""Spaces that agents cannot be trained in."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary

from glamor_gym.agents.suitability import check_spaces
from tests.agents.small_agents import make_grid


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
        ({"more": MultiBinary(3)}, r"got MultiBinary\(3\) for 'more'"),
        ({"observation": Box(0, 255, (40, 40, 3), np.uint8)}, "pictures with channels first"),
    ],
)
def test_spaces_that_no_agent_can_take_are_refused(changes, told):
    known = make_grid().observation_space.spaces
    with pytest.raises(ValueError, match=told):
        check_spaces(Dict({**known, **changes}), Discrete(5))
