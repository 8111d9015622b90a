"""One roll of a fair or a loaded die: shows why cloning relabelled data goes wrong (App. A.1).

In: which die to roll. Out: the face that is up as the observation, one-hot (zeros before the
roll), and as the label.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from glamor_gym.checks import as_integer, as_render_mode
from glamor_gym.snapshots import Snapshot, random_state, set_random_state
from glamor_gym.types import Goal, GoalKind

FACES = 6
FAIR, LOADED = 0, 1

OUTCOMES = np.array([[1 / FACES] * FACES, np.eye(FACES)[0]])
"""(2, 6) float64: probability of each face, for the fair and the loaded die."""

_CELL = 8  # pixels per pip when drawn, on a grid of 3 × 3
_PIPS = (
    (),
    ((1, 1),),
    ((0, 0), (2, 2)),
    ((0, 0), (1, 1), (2, 2)),
    ((0, 0), (0, 2), (2, 0), (2, 2)),
    ((0, 0), (0, 2), (1, 1), (2, 0), (2, 2)),
    ((0, 0), (0, 2), (1, 0), (1, 2), (2, 0), (2, 2)),
)


class Dice(gym.Env[NDArray[np.float32], np.int64]):
    """Roll one of two dice, once.

    Observation: float32 (6,), zeros before the roll, then one-hot at face − 1. Action:
    ``Discrete(2)``: 0, the fair die, gives each face with probability 1/6; 1, the loaded die,
    always gives 1. Label: ``face``, 1 to 6, and 0 before the roll. The roll ends the episode
    (``terminated``).
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 1}  # noqa: RUF012
    goal_kind: GoalKind = "frame"
    reset_options: tuple[str, ...] = ()

    def __init__(self, *, render_mode: str | None = None) -> None:
        """Build the world.

        Args:
            render_mode: None or ``"rgb_array"``.

        Raises:
            ValueError: there is no such render mode.
        """
        self.render_mode = as_render_mode(render_mode)
        self.observation_space = spaces.Box(0.0, 1.0, (FACES,), np.float32)
        self.action_space = spaces.Discrete(2)
        self._face = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Clear the face; the dice can be rolled again."""
        super().reset(seed=seed)
        self._face = 0
        return self.goal_content(), self._info()

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Roll the fair (0) or the loaded (1) die.

        Raises:
            TypeError: `action` is not a single integer.
            ValueError: `action` is neither 0 nor 1.
            ResetNeeded: the die was rolled already.
        """
        action = as_integer(action, name="action", low=0, high=1)
        if self._face:
            raise ResetNeeded("call reset() first: the die was rolled already")
        self._face = 1 if action == LOADED else int(self.np_random.integers(1, FACES + 1))
        return self.goal_content(), 0.0, True, False, self._info()

    def goal_content(self) -> NDArray[np.float32]:
        """Return the face that is up, as an observation."""
        return _one_hot(self._face)

    def goal_screen(self, content: NDArray[Any]) -> NDArray[Any]:
        """Return a copy of `content`: goals are stored as observations."""
        return content.copy()

    def all_goals(self) -> list[Goal]:
        """Return every face as a goal, from 1 to 6."""
        return [
            Goal(_one_hot(face), "frame", {"face": float(face)}, index=face - 1)
            for face in range(1, FACES + 1)
        ]

    def get_action_meanings(self) -> list[str]:
        """Return the name of each die."""
        return ["fair", "loaded"]

    def draw_observation(self, observation: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the face as black pips on white, none before the roll, uint8 (40, 40, 3)."""
        picture = np.full((5 * _CELL, 5 * _CELL, 3), 255, np.uint8)
        picture[[0, -1]] = picture[:, [0, -1]] = 0
        face = int(np.argmax(observation)) + 1 if observation.any() else 0
        for row, column in _PIPS[face]:
            top, left = (row + 1) * _CELL, (column + 1) * _CELL
            picture[top + 1 : top + _CELL - 1, left + 1 : left + _CELL - 1] = 0
        return picture

    def render(self) -> NDArray[np.uint8] | None:
        """Return a picture of the die, see :meth:`draw_observation`; None without a render mode."""
        return None if self.render_mode is None else self.draw_observation(self.goal_content())

    @property
    def snapshot(self) -> Snapshot:
        """The face that is up and the state of the generator; can be set."""
        return {"face": self._face, "random": random_state(self.np_random)}

    @snapshot.setter
    def snapshot(self, snapshot: Mapping[str, Any]) -> None:
        self._face = snapshot["face"]
        set_random_state(self.np_random, snapshot["random"])

    def _info(self) -> dict[str, Any]:
        return {"labels": {"face": float(self._face)}}


def _one_hot(face: int) -> NDArray[np.float32]:
    """Return float32 (6,), one at `face` − 1; zeros for face 0."""
    vector = np.zeros(FACES, np.float32)
    if face:
        vector[face - 1] = 1.0
    return vector
