"""Conformance: checks of what agents and environments rely on in each other, with a report.

In: a goal environment or an agent. Out: what is wrong with it, and how to fix it.
"""

from glamor_gym.conformance.agent import AGENT_CHECKS, check_agent
from glamor_gym.conformance.goal_env import GOAL_ENV_CHECKS, check_goal_env
from glamor_gym.conformance.report import CheckReport, CheckResult

__all__ = [
    "AGENT_CHECKS",
    "GOAL_ENV_CHECKS",
    "CheckReport",
    "CheckResult",
    "check_agent",
    "check_goal_env",
]
