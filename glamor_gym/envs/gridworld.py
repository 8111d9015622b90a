"""An empty grid world, where shortest paths are known (§4.7.1, Fig. 3a).

In: a direction to move in. Out: the agent's cell as the observation, one-hot; its column and row
as the labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from glamor_gym.checks import as_integer, as_render_mode
from glamor_gym.snapshots import Snapshot
from glamor_gym.types import Goal, GoalKind

MOVES = ((0, -1), (1, 0), (0, 1), (-1, 0))
"""(Δx, Δy) of the actions up, right, down, left."""

_CELL = 12  # pixels per cell when drawn


class GridWorld(gym.Env[NDArray[np.float32], np.int64]):
    """A `size` × `size` room; the agent starts in the middle, and walls stop it.

    Observation: float32 (size²,), one-hot at ``y * size + x``. Action: ``Discrete(4)``: up,
    right, down, left. Labels: ``x``, the column from the left, and ``y``, the row from the top,
    both from 0. Nothing is random, and nothing ends an episode.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012
    goal_kind: GoalKind = "frame"
    reset_options: tuple[str, ...] = ()

    def __init__(self, size: int = 7, *, render_mode: str | None = None) -> None:
        """Build the room.

        Args:
            size: number of cells along a wall.
            render_mode: None or ``"rgb_array"``.

        Raises:
            TypeError: `size` is not an integer.
            ValueError: `size` is below 1, or there is no such render mode.
        """
        self.size = as_integer(size, name="size", low=1)
        self.render_mode = as_render_mode(render_mode)
        self.observation_space = spaces.Box(0.0, 1.0, (self.size**2,), np.float32)
        self.action_space = spaces.Discrete(len(MOVES))
        self._x = self._y = self.size // 2

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Put the agent in the middle of the room."""
        super().reset(seed=seed)
        self._x = self._y = self.size // 2
        return self.goal_content(), self._info()

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Move by one cell, or stay where a wall is in the way.

        Raises:
            TypeError: `action` is not a single integer.
            ValueError: `action` is out of range.
        """
        right, down = MOVES[as_integer(action, name="action", low=0, high=len(MOVES) - 1)]
        self._x = min(max(self._x + right, 0), self.size - 1)
        self._y = min(max(self._y + down, 0), self.size - 1)
        return self.goal_content(), 0.0, False, False, self._info()

    def goal_content(self) -> NDArray[np.float32]:
        """Return the agent's cell, as an observation."""
        return self._one_hot(self._x, self._y)

    def goal_screen(self, content: NDArray[Any]) -> NDArray[Any]:
        """Return a copy of `content`: goals are stored as observations."""
        return content.copy()

    def all_goals(self) -> list[Goal]:
        """Return every cell as a goal, row by row."""
        return [
            Goal(
                self._one_hot(x, y),
                "frame",
                {"x": float(x), "y": float(y)},
                index=y * self.size + x,
            )
            for y in range(self.size)
            for x in range(self.size)
        ]

    def get_action_meanings(self) -> list[str]:
        """Return the name of each action."""
        return ["up", "right", "down", "left"]

    def draw_observation(self, observation: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the room with the agent as a dark cell, uint8 (12·size + 1, 12·size + 1, 3)."""
        side = _CELL * self.size + 1
        picture = np.full((side, side, 3), 255, np.uint8)
        picture[::_CELL] = picture[:, ::_CELL] = 200
        for index in np.flatnonzero(observation):
            row, column = divmod(int(index), self.size)
            top, left = row * _CELL, column * _CELL
            picture[top + 2 : top + _CELL - 1, left + 2 : left + _CELL - 1] = (30, 60, 150)
        return picture

    def render(self) -> NDArray[np.uint8] | None:
        """Return a picture of the room, see :meth:`draw_observation`; None without a mode."""
        return None if self.render_mode is None else self.draw_observation(self.goal_content())

    @property
    def snapshot(self) -> Snapshot:
        """The agent's position; can be set."""
        return {"x": self._x, "y": self._y}

    @snapshot.setter
    def snapshot(self, snapshot: Mapping[str, Any]) -> None:
        self._x, self._y = snapshot["x"], snapshot["y"]

    def _one_hot(self, x: int, y: int) -> NDArray[np.float32]:
        cell = np.zeros(self.size**2, np.float32)
        cell[y * self.size + x] = 1.0
        return cell

    def _info(self) -> dict[str, Any]:
        return {"labels": {"x": float(self._x), "y": float(self._y)}}
