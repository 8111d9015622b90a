"""Agents: Stable-Baselines3 algorithms that reach goals."""

from glamor_gym.agents.checkpoint_callback import CheckpointCallback
from glamor_gym.agents.checkpoint_folder import CheckpointError
from glamor_gym.agents.discern import DiscernAgent
from glamor_gym.agents.discern_policy import DiscernPolicy
from glamor_gym.agents.gcsl import GCSLAgent
from glamor_gym.agents.gcsl_policy import GCSLPolicy
from glamor_gym.agents.glamor import GlamorAgent
from glamor_gym.agents.interruption import StopRequest, TrainingInterrupted
from glamor_gym.agents.plan_state import PlanState
from glamor_gym.agents.policy import GlamorPolicy
from glamor_gym.agents.settings import DiscernSettings, GCSLSettings, GlamorSettings
from glamor_gym.agents.storage import AgentFileError

__all__ = [
    "AgentFileError",
    "CheckpointCallback",
    "CheckpointError",
    "DiscernAgent",
    "DiscernPolicy",
    "DiscernSettings",
    "GCSLAgent",
    "GCSLPolicy",
    "GCSLSettings",
    "GlamorAgent",
    "GlamorPolicy",
    "GlamorSettings",
    "PlanState",
    "StopRequest",
    "TrainingInterrupted",
]
