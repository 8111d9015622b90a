"""Agents on the grid world, small enough to train in a second."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

import glamor_gym  # noqa: F401  (registers the environments)
from glamor_gym.agents import GlamorAgent
from glamor_gym.agents.base import ImageGoalAgent

GRID = "glamor/GridWorld-v0"
SMALL: dict[str, Any] = {
    "learning_starts": 60,
    "batch_size": 32,
    "replay_ratio": 8.0,
    "buffer_size": 2_000,
    "exploration_steps": 400,
    "gamma": 0.5,
    "n_trials": 10,
    "device": "cpu",
    "seed": 0,
    "policy_kwargs": {"embedding_size": 32, "hidden_size": 16, "token_size": 16},
}


def make_grid(**kwargs: Any) -> gym.Env:
    return gym.make(GRID, **{"goals": "all", **kwargs})


def make_agent(env: Any = None, **changes: Any) -> GlamorAgent:
    return GlamorAgent(make_grid() if env is None else env, **{**SMALL, **changes})


def observations(n: int = 3) -> dict[str, np.ndarray]:
    """Return the first observations of n episodes with different goals."""
    env = make_grid()
    rows = [env.reset(seed=0, options={"goal": index * 5})[0] for index in range(n)]
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]}


def stored_from_here(agent: ImageGoalAgent) -> list[list[int]]:
    """Return a list to which the agent will add the cells of each episode, and store none."""
    stored: list[list[int]] = []
    agent._store_episode = lambda _, episode: stored.append(episode.achieved.argmax(-1).tolist())
    return stored
