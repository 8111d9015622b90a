"""Agents' classes of a user's own, named ``tests.experiments.own_agents:CLASS``."""

from __future__ import annotations

from stable_baselines3 import A2C

from glamor_gym import GlamorAgent
from glamor_gym.agents.base import ImageGoalAgent


class Variant(GlamorAgent):
    """An agent with the presets of the one that it is derived from."""


class Tuned(GlamorAgent):
    """An agent with presets of its own."""

    presets = {"quick": {"n_trials": 7}, "small": {"n_trials": 9}}  # noqa: RUF012


class Bare(ImageGoalAgent):
    """An agent without presets."""


class Critic(A2C):
    """An algorithm of Stable-Baselines3's."""
