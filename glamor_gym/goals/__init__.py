"""Goals: the fixed sets that come with the environments, and how they are built.

In: a task's world. Out: a :class:`GoalSet` of training and evaluation goals.
"""

from glamor_gym.goals.build import build_goal_set
from glamor_gym.goals.goal_list import GoalList, GoalSetError
from glamor_gym.goals.goal_set import GoalSet, load_goal_set
from glamor_gym.goals.inspection import goal_sheet, verify_goal_set

__all__ = [
    "GoalList",
    "GoalSet",
    "GoalSetError",
    "build_goal_set",
    "goal_sheet",
    "load_goal_set",
    "verify_goal_set",
]
