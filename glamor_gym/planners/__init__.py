"""Planners: folded decoders in, the best action sequences out."""

from glamor_gym.planners.random_shooting import plan
from glamor_gym.planners.recorded import Planner, planner_for
from glamor_gym.planners.settings import PlannerSettings, StopRule

__all__ = ["Planner", "PlannerSettings", "StopRule", "plan", "planner_for"]
