"""The environment ids: every task of the table in Gymnasium's registry as ``glamor/<task>-v0``.

In: the task table. Out: registry entries with string entry points and arguments that JSON can
hold. What the entry points build is in :mod:`glamor_gym.factory`, which is imported when the
first environment is made.
"""

from __future__ import annotations

import multiprocessing

import gymnasium as gym

from glamor_gym.tasks import TASKS

_VECTOR_ENTRY_POINTS = {"atari": "glamor_gym.vector.atari:make_atari_vector_env"}
"""Suites whose vectors are faster than one environment after the other."""


def register_envs() -> None:
    """Register every task with Gymnasium; ids that are there already stay as they are."""
    for task in TASKS.values():
        if task.id not in gym.registry:
            gym.register(
                task.id,
                entry_point="glamor_gym.factory:make_goal_env",
                vector_entry_point=_VECTOR_ENTRY_POINTS.get(task.suite),
                kwargs={"task": task.name},
            )


def register_in_workers() -> None:
    """Have the workers of a fork server know the ids as well.

    Such workers (SB3's ``SubprocVecEnv``) import the main script and nothing else: where that
    is a test runner or a notebook, ``gym.make`` would find no namespace ``glamor`` in them. What
    others have asked for stays.
    """
    if "forkserver" in multiprocessing.get_all_start_methods():
        from multiprocessing import forkserver  # which not every system has

        # There is no public way to ask.
        others = getattr(forkserver._forkserver, "_preload_modules", ["__main__"])
        multiprocessing.set_forkserver_preload(list(dict.fromkeys([*others, "glamor_gym"])))
