"""Planners: encoded observations and goals in, the best action sequences out."""

from glamor_gym.planners.by_duration import plan_by_duration
from glamor_gym.planners.interface import Planner, planner_for
from glamor_gym.planners.random_shooting import plan
from glamor_gym.planners.settings import PlannerSettings, StopRule

__all__ = ["Planner", "PlannerSettings", "StopRule", "plan", "plan_by_duration", "planner_for"]
