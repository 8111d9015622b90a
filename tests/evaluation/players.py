"""Agents whose every move is known, to be evaluated."""

from __future__ import annotations

import numpy as np

STOP = 4
UP, RIGHT, DOWN, LEFT = range(4)


def cells(vectors):
    """Column and row of one-hot vectors of the 7 × 7 room."""
    index = np.asarray(vectors).argmax(axis=-1)
    return index % 7, index // 7


class Walker:
    """Walks a shortest way through the room: columns first, then rows; then stops."""

    def __init__(self, stops=True, detour=False):
        self.stops = stops
        self.detour = detour

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        x, y = cells(observation["achieved_goal"])
        goal_x, goal_y = cells(observation["desired_goal"])
        there = STOP if self.stops else UP
        actions = np.select(
            [goal_x > x, goal_x < x, goal_y > y, goal_y < y], [RIGHT, LEFT, DOWN, UP], there
        )
        if self.detour:  # two moves that cancel each other come first
            steps_left = observation["steps_left"][:, 0]
            actions = np.select([steps_left == 10, steps_left == 9], [UP, DOWN], actions)
        return actions, state


class Shifted:
    """Reaches the right column, in whatever row it starts."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        x, _ = cells(observation["achieved_goal"])
        goal_x, _ = cells(observation["desired_goal"])
        return np.select([goal_x > x, goal_x < x], [RIGHT, LEFT], STOP), state


class Oracle:
    """Rolls the loaded die (1) exactly when a one is wanted, else the fair one (0)."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return (np.asarray(observation["desired_goal"])[:, 0] == 1).astype(int), state
