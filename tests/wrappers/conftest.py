"""A world small enough to work out by hand: a bright dot on a dark screen."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

HEIGHT, WIDTH = 6, 8


class DotWorld(gym.Env):
    """The dot starts at x = 0 in row 2; actions: 0 stays, 1 goes right. Screen: uint8 (6, 8).

    Attributes:
        ends_at: number of the step at which the world terminates; 0 for never.
        cut_at: number of the step at which the world truncates; 0 for never.
    """

    goal_kind = "screen"
    reset_options = ("colour",)

    def __init__(self, *, colour=False, ends_at=0, cut_at=0):
        self.colour = colour
        self.ends_at = ends_at
        self.cut_at = cut_at
        self.steps = 0
        self.x = 0
        self.observation_space = spaces.Box(0, 255, self.picture(0).shape, np.uint8)
        self.action_space = spaces.Discrete(2)

    def picture(self, x):
        screen = np.zeros((HEIGHT, WIDTH), np.uint8)
        screen[2, x] = 200
        return np.repeat(screen[:, :, None], 3, axis=2) if self.colour else screen

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = self.x = 0
        return self.picture(self.x), self.info()

    def step(self, action):
        self.steps += 1
        self.x = min(self.x + int(action), WIDTH - 1)
        return (
            self.picture(self.x),
            1.0,
            self.steps == self.ends_at,
            self.steps == self.cut_at,
            self.info(),
        )

    def info(self):
        return {"labels": {"x": float(self.x), "y": 2.0}}

    def goal_content(self):
        return self.picture(self.x)

    def goal_screen(self, content):
        return content.copy()


@pytest.fixture
def dot_world():
    """The class of the world with the dot."""
    return DotWorld
