"""The environment ids: every task of the table in Gymnasium's registry as ``glamor/<task>-v0``.

In: the task table. Out: registry entries with string entry points and arguments that JSON can
hold. What the entry points build is in :mod:`glamor_gym.factory`, which is imported when the
first environment is made.
"""

from __future__ import annotations

import importlib
import multiprocessing

import gymnasium as gym

from glamor_gym.tasks import TASKS, get_task

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
                # A goal environment knows itself when it was not reset and what is no action; with
                # nothing around it, `compute_reward` is where SB3's checker looks for it.
                order_enforce=False,
                disable_env_checker=True,
            )


def find_env_id(name: str) -> str:
    """Return the id of an environment by that id, or by the short name of a task.

    Args:
        name: ``"glamor/Pong-v0"``, ``"Pong"``, or ``"MODULE:ID"``, for which the module that
            registers the id is imported first, as ``gym.make`` does.

    Raises:
        ValueError: there is none, or the module cannot be imported.
    """
    module, _, env_id = str(name).rpartition(":")
    if module:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ValueError(f"{module!r} of {name!r} cannot be imported: {error}") from error
    return env_id if env_id in gym.registry else get_task(name).id


def register_in_workers(*modules: str) -> None:
    """Have the workers of a fork server know the ids as well.

    Such workers (SB3's ``SubprocVecEnv``) import the main script and nothing else: where that
    is a test runner or a notebook, ``gym.make`` would find no namespace ``glamor`` in them. What
    others have asked for stays.

    Args:
        *modules: further ones that the server is to import, once for all workers that it forks;
            without effect where it runs already.
    """
    if "forkserver" in multiprocessing.get_all_start_methods():
        from multiprocessing import forkserver  # which not every system has

        # There is no public way to ask.
        others = getattr(forkserver._forkserver, "_preload_modules", ["__main__"])
        wanted = dict.fromkeys([*others, "glamor_gym", *modules])
        multiprocessing.set_forkserver_preload(list(wanted))
