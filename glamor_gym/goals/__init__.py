"""Goals: the fixed sets that the environments come with, and how they are built.

In: a task's world. Out: a :class:`GoalSet` of goals to train with and goals to be judged by.
"""

from glamor_gym.goals.goal_set import GoalList, GoalSet, GoalSetError, load_goal_set

__all__ = ["GoalList", "GoalSet", "GoalSetError", "load_goal_set"]
