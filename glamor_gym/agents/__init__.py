"""Agents: Stable-Baselines3 algorithms that reach goals."""

from glamor_gym.agents.glamor import GlamorAgent, PlanState
from glamor_gym.agents.policy import GlamorPolicy
from glamor_gym.agents.settings import GlamorSettings
from glamor_gym.agents.storage import AgentFileError

__all__ = ["AgentFileError", "GlamorAgent", "GlamorPolicy", "GlamorSettings", "PlanState"]
