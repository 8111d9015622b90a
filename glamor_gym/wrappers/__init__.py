"""Wrappers: the steps from a world to a goal environment, each usable by itself.

In: a world, or any image environment of a user's own. Out, in this order: labelled
(:class:`EntityLabels`), small gray frames (:class:`ScreenToFrame`), few discrete actions
(:class:`RepeatAction`, :class:`DiscretizeActions`), stacks of frames (:class:`StackFrames`),
STOP (:class:`StopAction`), goals (:class:`GoalEnv`, which brings the last two steps itself);
and, for checkpoints, :class:`EpisodeJournal` around an environment without snapshots.
"""

from glamor_gym.wrappers.actions import DiscretizeActions, RepeatAction
from glamor_gym.wrappers.episode_journal import EpisodeJournal, offers_snapshots
from glamor_gym.wrappers.frames import FRAME_SIZE, ScreenToFrame, StackFrames
from glamor_gym.wrappers.goal_env import GoalEnv
from glamor_gym.wrappers.goal_rules import label_tolerance
from glamor_gym.wrappers.labels import EntityLabels
from glamor_gym.wrappers.pipeline import make_pipeline
from glamor_gym.wrappers.stop import StopAction

__all__ = [
    "FRAME_SIZE",
    "DiscretizeActions",
    "EntityLabels",
    "EpisodeJournal",
    "GoalEnv",
    "RepeatAction",
    "ScreenToFrame",
    "StackFrames",
    "StopAction",
    "label_tolerance",
    "make_pipeline",
    "offers_snapshots",
]
