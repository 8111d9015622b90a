"""Turn your own image environment into a goal environment, and train an agent in it.

    python examples/custom_env.py

Your environment needs pictures as observations and, for the success rate, a function that returns
the positions of things. The wrappers do the rest: the result works with
``GlamorAgent(env).learn()`` and with any other goal-conditioned agent. If it is registered and has
an argument ``goals``, it also works with ``glamor_gym.evaluate``.
"""

from __future__ import annotations

import argparse
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

import glamor_gym
from glamor_gym import GlamorAgent
from glamor_gym.types import Goal
from glamor_gym.wrappers import EntityLabels, GoalEnv, ScreenToFrame, label_ranges

SIZE = 64
STEPS = 8_000
MOVES = ((0, -4), (4, 0), (0, 4), (-4, 0))
SPLITS = {"train": (200, 0), "eval": (20, 1), "held-out": (20, 2)}  # number of goals, seed


class Dot(gym.Env[NDArray[np.uint8], np.int64]):
    """A red dot in a dark room, moved by four actions and by the wind."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(0, 255, (SIZE, SIZE, 3), np.uint8)
        self.action_space = spaces.Discrete(len(MOVES))
        self.position = np.zeros(2, np.int64)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Place the dot in the middle."""
        super().reset(seed=seed)
        self.position = np.full(2, SIZE // 2)
        return self.screen(), {}

    def step(self, action: Any) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Move the dot up, right, down or left."""
        wind = self.np_random.integers(-1, 2, size=2)
        self.position = np.clip(self.position + MOVES[action] + wind, 4, SIZE - 5)
        return self.screen(), 0.0, False, False, {}

    def screen(self) -> NDArray[np.uint8]:
        """Return a picture of the room, uint8 (64, 64, 3)."""
        picture = np.zeros((SIZE, SIZE, 3), np.uint8)
        x, y = self.position
        picture[y - 4 : y + 5, x - 4 : x + 5, 0] = 255
        return picture


def labels(env: Dot) -> dict[str, float]:
    """Return the position of the dot, by which success is judged."""
    return {"x": float(env.position[0]), "y": float(env.position[1])}


def collect_goals(world: gym.Env[Any, Any], number: int, seed: int) -> list[Goal]:
    """Collect pictures from random play, each with the labels of its moment."""
    world.reset(seed=seed)
    world.action_space.seed(seed)
    goals = []
    for index in range(number):
        for _ in range(5):
            frame, *_, info = world.step(world.action_space.sample())
        goals.append(Goal(frame, "frame", info["labels"], index=index))
    return goals


def make_env(goals: str = "train", render_mode: str | None = None) -> GoalEnv:
    """Combine the steps: labels, small grayscale frames, goals and STOP.

    Args:
        goals: ``"train"``; or for pictures that are not used in training ``"eval"``, or
            ``"held-out"``, by which settings may be chosen.
        render_mode: None, or ``"rgb_array"`` for videos.

    Raises:
        ValueError: there are no such goals.
    """
    if goals not in SPLITS:
        raise ValueError(f"goals must be one of {', '.join(SPLITS)}, got {goals!r}")
    world = ScreenToFrame(EntityLabels(Dot(), labels), frame_size=(36, 36))
    chosen = collect_goals(world, *SPLITS[goals])
    ranges = label_ranges(collect_goals(world, *SPLITS["train"]))
    return GoalEnv(world, chosen, ranges=ranges, horizon=30, render_mode=render_mode)


gym.register("examples/Dot-v0", entry_point=f"{__name__}:make_env")


def centre(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the dot's row and column, (B, 2), in each of the pictures, (B, 1, H, W)."""
    brightness = pictures[:, 0].astype(float)
    indices = np.indices(brightness.shape[1:])
    total = brightness.sum(axis=(1, 2))
    return np.stack([(brightness * index).sum(axis=(1, 2)) / total for index in indices], axis=1)


class Guide:
    """Scripted agent that finds the dot in both pictures: shows that the task can be solved."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: Any = 0
    ) -> tuple[NDArray[np.int64], None]:
        """Return an action for each row of a batch."""
        here, there = (centre(observation[key]) for key in ("achieved_goal", "desired_goal"))
        down, right = (there - here).T
        sideways = np.where(right > 0, 1, 3)
        upright = np.where(down > 0, 2, 0)
        moves = np.where(np.abs(right) > np.abs(down), sideways, upright)
        return np.where(np.maximum(np.abs(right), np.abs(down)) <= 1, len(MOVES), moves), None


def main(steps: int = STEPS, seed: int = 0) -> float:
    """Train an agent, and print and return its success rate on the evaluation goals."""
    print("observation:", {key: space.shape for key, space in make_env().observation_space.items()})
    guided = glamor_gym.evaluate(Guide(), "examples/Dot-v0", baselines=False)
    print(f"scripted agent: {guided.success_rate:.0%} of the goals reached")

    settings = GlamorAgent.preset("compact-control") | {"learning_starts": 500, "batch_size": 100}
    agent = GlamorAgent("examples/Dot-v0", **settings, seed=seed).learn(steps)
    learned = glamor_gym.evaluate(agent, "examples/Dot-v0")
    print(f"GLAMOR: {learned.success_rate:.0%}, random: {learned.random:.0%}")
    return learned.success_rate


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=STEPS, help="environment steps")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    main(arguments.steps, arguments.seed)
