"""A cheap goal environment that fails when it is told to, in its own process."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import gymnasium as gym
import numpy as np
from gymnasium import spaces

HORIZON = 6
OBSERVATION = ("observation", "achieved_goal", "desired_goal")


class Faulty(gym.Env):
    """Counts its steps; every observation tells seed, episode and step.

    A file in `folder` named after the environment's seed says what to do, once: ``kill``, ``hang``
    or ``raise`` in the step before `at`, or ``raise-at-reset`` or ``hang-at-reset``.
    """

    metadata = {"render_modes": []}  # noqa: RUF012
    horizon = HORIZON
    stop_action = 3

    def __init__(self, folder: str, at: int = 3) -> None:
        self.folder, self.at = Path(folder), at
        box = spaces.Box(0.0, np.inf, (3,), np.float64)
        self.observation_space = spaces.Dict(dict.fromkeys(OBSERVATION, box))
        self.action_space = spaces.Discrete(4)
        self.first_seed = self.episode = self.taken = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.first_seed, self.episode = seed, 0
        self.episode += 1
        self.taken = 0
        match self._fault():
            case "raise-at-reset":
                raise ValueError("no beginning")
            case "hang-at-reset":
                time.sleep(60)
        return self._observe(), {"seed": self.first_seed}

    def step(self, action):
        self.taken += 1
        if self.taken == self.at:
            match self._fault():
                case "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                case "hang":
                    time.sleep(60)
                case "raise":
                    raise ValueError("this was told to fail")
        return self._observe(), 1.0, action == self.stop_action, self.taken == HORIZON, {}

    def pid(self) -> int:
        return os.getpid()

    def _fault(self) -> str:
        path = self.folder / str(self.first_seed)
        return path.read_text() if path.exists() else ""

    def _observe(self):
        row = np.array([self.first_seed, self.episode, self.taken], np.float64)
        return {key: row.copy() for key in OBSERVATION}


def break_at(folder: Path, seed: int, fault: str) -> None:
    (folder / str(seed)).write_text(fault)
