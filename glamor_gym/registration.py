"""Registers every task of the task table with Gymnasium, as ``glamor/<task>-v0``.

In: the task table. Out: registry entries with entry points given as strings and arguments that
are JSON-serialisable. The entry points are in :mod:`glamor_gym.factory` and
:mod:`glamor_gym.vector.atari`, which are imported when the first environment is made.
"""

from __future__ import annotations

import importlib
import multiprocessing
from collections.abc import Iterable
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import find_highest_version, get_env_id, parse_env_id

from glamor_gym.tasks import NAMESPACE, TASKS, find_task, get_task

_ATARI_VECTORS = "glamor_gym.vector.atari:make_atari_vector_env"
"""Faster than stepping environments one by one."""


def register_envs() -> None:
    """Register every task with Gymnasium; ids that are already registered are left unchanged."""
    for task in TASKS.values():
        if task.id not in gym.registry:
            gym.register(
                task.id,
                entry_point="glamor_gym.factory:make_goal_env",
                vector_entry_point=_ATARI_VECTORS if task.suite == "atari" else None,
                kwargs={"task": task.name},
                # GoalEnv itself refuses invalid actions and steps before a reset; without wrappers
                # around it, `compute_reward` is where SB3's checker looks for it.
                order_enforce=False,
                disable_env_checker=True,
            )


def find_env_id(name: str, *, beside: Iterable[str] = ()) -> str:
    """Return the registered id for an environment id or the short name of a task.

    Args:
        name: ``"glamor/Pong-v0"``, ``"Pong"``, or ``"MODULE:ID"``, for which the module that
            registers the id is imported first, as ``gym.make`` does. An id without a version is
            that of the newest one.
        beside: what else could have been given instead, to be suggested too.

    Raises:
        ValueError: there is no such environment, or the module cannot be imported.
    """
    module, _, env_id = str(name).rpartition(":")
    if module:
        try:
            importlib.import_module(module)
        except (ImportError, TypeError, ValueError) as error:  # e.g. of a relative name
            raise ValueError(f"{module!r} of {name!r} cannot be imported: {error}") from error
    if env_id in gym.registry:
        return env_id
    if (task := find_task(env_id)) is not None:
        return task.id
    if (newest := _newest(env_id)) is not None:
        return newest
    if module:
        raise ValueError(f"{module!r} registers no environment {env_id!r}")
    if "/" in env_id and not env_id.startswith(f"{NAMESPACE}/"):
        raise ValueError(
            f"there is no environment {name!r}; if a module registers it, give MODULE:{name}"
        )
    return get_task(name, beside=beside).id  # raises, with a hint


def _newest(env_id: str) -> str | None:
    """Return an id with the newest registered version; None if it has one, or there is none."""
    try:
        namespace, name, version = parse_env_id(env_id)
    except gym.error.Error:  # it is no id
        return None
    newest = find_highest_version(namespace, name) if version is None else None
    return None if newest is None else get_env_id(namespace, name, newest)


def make_env(name: str, **kwargs: Any) -> gym.Env[Any, Any]:
    """Make an environment by its id or the short name of a task.

    Args:
        name: see :func:`find_env_id`.
        **kwargs: keyword arguments of ``gym.make``.

    Raises:
        ValueError: there is no such environment, or it cannot be made.
    """
    failed = f"env {name!r} cannot be made"
    try:
        env_id = find_env_id(name)
    except ValueError as error:
        raise ValueError(f"{failed}: {error}") from error
    try:
        return gym.make(env_id, **kwargs)
    except (gym.error.Error, ImportError) as error:  # not those that its arguments raise
        raise ValueError(f"{failed}: {error}") from error


def name_of_env(name: str, *, beside: Iterable[str] = ()) -> str:
    """Return what a run's `task` is: the short name of a task, or another id with its version.

    Args:
        name: see :func:`find_env_id`.
        beside: see :func:`find_env_id`.

    Raises:
        ValueError: see :func:`find_env_id`.
    """
    env_id = find_env_id(name, beside=beside)
    task = find_task(env_id)
    if task is not None:
        return task.name
    module, colon, _ = name.rpartition(":")
    return f"{module}{colon}{env_id}"


def register_in_workers(*modules: str) -> None:
    """Register the ids in the workers of multiprocessing's fork server as well.

    Such workers (those of SB3's ``SubprocVecEnv``) import only the main script. If that is a test
    runner or a notebook, ``gym.make`` would not find the namespace ``glamor`` in them. Modules
    already set for preloading are kept.

    Args:
        *modules: further modules for the server to import, once for all workers that it forks; no
            effect if the server is already running.
    """
    if "forkserver" in multiprocessing.get_all_start_methods():
        from multiprocessing import forkserver  # not available on every system

        # There is no public way to read the modules set so far.
        others = getattr(forkserver._forkserver, "_preload_modules", ["__main__"])
        wanted = dict.fromkeys([*others, "glamor_gym", *modules])
        multiprocessing.set_forkserver_preload(list(wanted))
