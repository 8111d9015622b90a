"""Makes the environments in which an agent collects its data, whatever their kind.

In: an id and a number of environments. Out: a Stable-Baselines3 ``VecEnv``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, get_args

import gymnasium as gym
import torch
from gymnasium.envs.registration import EnvSpec
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv

from glamor_gym.checks import as_choice, as_integer
from glamor_gym.registration import find_env_id
from glamor_gym.tasks import find_task
from glamor_gym.vector import CollectorKind
from glamor_gym.vector.gymnasium_vec_env import GymnasiumVecEnv
from glamor_gym.vector.workers import WorkerVecEnv

_PARALLEL = ("atari", "control")
"""Suites whose steps take longer than it takes to send them to another thread or process."""


def make_collector(
    id: str,
    n_envs: int = 1,
    seed: int | None = None,
    kind: CollectorKind = "auto",
    **env_kwargs: Any,
) -> VecEnv:
    """Make the environments in which an agent collects its data.

    Whatever the kind, environment k is seeded with seed + k and plays the same episodes.

    Args:
        id: id of a registered goal environment, or the name of a task.
        n_envs: number of environments.
        seed: seed of the first environment; None to leave seeding to the agent.
        kind: where the environments are stepped:

            * ``"in-process"``: one after another in this process. Their whole state can be saved,
              and steps are cheap compared with an agent's updates on a CPU.
            * ``"threads"``: in C++ threads; Atari only, without labels, and not for every game and
              option, see :func:`~glamor_gym.vector.atari.why_no_threads`. To resume from a
              checkpoint, all steps since the last seed are replayed.
            * ``"workers"``: each in a process of its own, which is replaced if it fails; see
              :class:`~glamor_gym.vector.workers.WorkerVecEnv`.
            * ``"auto"``: in this process, unless there is a CUDA device, whose updates would have
              to wait for the steps: then threads for Atari, and workers for control tasks and
              where threads cannot play.
        **env_kwargs: keyword arguments of ``gym.make``.

    Raises:
        ValueError: `id`, `kind` or a keyword argument is not valid, or the task does not support
            `kind`.
        TypeError: `n_envs` is not an integer.
    """
    kind = as_choice(kind, get_args(CollectorKind), name="kind")
    n_envs = as_integer(n_envs, name="n_envs", low=1)
    id = find_env_id(id)
    if kind == "auto":
        kind = _fastest(id, env_kwargs) if torch.cuda.is_available() else "in-process"
    if kind == "in-process":
        return make_vec_env(id, n_envs, seed=seed, env_kwargs=env_kwargs)
    vector: VecEnv
    if kind == "threads":
        if reason := _why_no_threads(id, env_kwargs):
            raise ValueError(
                f"kind must be 'auto', 'in-process' or 'workers' for {id}, got 'threads': {reason}"
            )
        vector = GymnasiumVecEnv(
            gym.make_vec(id, num_envs=n_envs, autoreset_mode="SameStep", **env_kwargs)
        )
    else:
        # As a spec: the worker may not have imported the module that registers the id.
        make = partial(_make_monitored, gym.spec(id), env_kwargs)
        vector = WorkerVecEnv([make] * n_envs)
    if seed is not None:
        vector.seed(seed)
    return vector


def _fastest(id: str, env_kwargs: Mapping[str, Any]) -> CollectorKind:
    """Return the kind with the fastest steps for a task; in-process for other environments."""
    task = find_task(id)
    if task is None or task.suite not in _PARALLEL:
        return "in-process"
    return "workers" if _why_no_threads(id, env_kwargs) else "threads"


def _why_no_threads(id: str, env_kwargs: Mapping[str, Any]) -> str | None:
    """Return why an environment is not stepped in threads; None if it can be."""
    if gym.spec(id).vector_entry_point is None:
        return "it has no vector of its own"
    task = find_task(id)
    if task is None:
        return None
    from glamor_gym.vector.atari import why_no_threads  # loads ALE, which workers may do without

    return why_no_threads(task, **env_kwargs)


def _make_monitored(spec: EnvSpec, env_kwargs: dict[str, Any]) -> gym.Env[Any, Any]:
    return Monitor(gym.make(spec, **env_kwargs))
