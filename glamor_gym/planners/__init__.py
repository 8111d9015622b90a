"""Planners: folded decoders in, the best action sequences out."""

from glamor_gym.planners.random_shooting import PlannerSettings, StopRule, plan

__all__ = ["PlannerSettings", "StopRule", "plan"]
