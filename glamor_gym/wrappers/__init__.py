"""Wrappers: the steps from a world to a goal environment, each usable on its own.

In: a world, or any image environment of the user's. Out: the environment with labels
(:class:`EntityLabels`; the package's own worlds have them), small grayscale frames
(:class:`ScreenToFrame`) and a few discrete actions (:class:`DiscretizeActions`), as
:func:`make_pipeline` wraps the world of a task; and around these stacks of frames
(:class:`StackFrames`), STOP (:class:`StopAction`) and goals (:class:`GoalEnv`, which applies the
two before it itself). For checkpoints, :class:`EpisodeJournal` gives snapshots to an environment
without.
"""

from glamor_gym.wrappers.actions import DiscretizeActions
from glamor_gym.wrappers.episode_journal import EpisodeJournal, offers_snapshots
from glamor_gym.wrappers.frames import FRAME_SIZE, ScreenToFrame, StackFrames
from glamor_gym.wrappers.goal_env import GoalEnv, Pictures
from glamor_gym.wrappers.goal_rules import label_ranges, label_tolerance
from glamor_gym.wrappers.labels import EntityLabels
from glamor_gym.wrappers.pipeline import make_pipeline
from glamor_gym.wrappers.stop import StopAction

__all__ = [
    "FRAME_SIZE",
    "DiscretizeActions",
    "EntityLabels",
    "EpisodeJournal",
    "GoalEnv",
    "Pictures",
    "ScreenToFrame",
    "StackFrames",
    "StopAction",
    "label_ranges",
    "label_tolerance",
    "make_pipeline",
    "offers_snapshots",
]
