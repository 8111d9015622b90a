"""Snapshots of vectors of environments: all that their next steps depend on.

In: a Stable-Baselines3 ``VecEnv``. Out: the snapshots of its environments (see
:mod:`glamor_gym.snapshots`) with what the vector itself remembers of their episodes; and back.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import SyncVectorEnv, VectorEnv, VectorWrapper
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker
from numpy.typing import NDArray
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecCheckNan, VecEnv, VecMonitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnvWrapper

from glamor_gym.snapshots import Snapshot
from glamor_gym.vector.sb3 import GymnasiumVecEnv
from glamor_gym.wrappers import EpisodeJournal, GoalEnv, StopAction, offers_snapshots

_HOLD_ALL = frozenset(cls.__name__ for cls in (GoalEnv, EpisodeJournal))
_PASS_ON = frozenset(
    cls.__name__ for cls in (Monitor, OrderEnforcing, PassiveEnvChecker, StopAction)
)


def snapshot_vector(env: VecEnv) -> Snapshot | None:
    """Return the snapshot of a vector; None where part of it offers none.

    Args:
        env: a vector of environments between two steps.
    """
    if isinstance(env, VecEnvWrapper):
        return _snapshot_wrapper(env)
    if isinstance(env, GymnasiumVecEnv):
        return _snapshot_gymnasium(env)
    if not _all_offer(env):
        return None
    monitored = env.env_is_wrapped(Monitor)
    return {
        "envs": env.get_attr("snapshot"),
        "rewards": [
            list(env.get_attr("rewards", index)[0]) if has_monitor else None
            for index, has_monitor in enumerate(monitored)
        ],
    }


def restore_vector(env: VecEnv, snapshot: Mapping[str, Any]) -> None:
    """Put a vector of the same make back to where :func:`snapshot_vector` found it.

    Raises:
        KeyError: the snapshot is one of another kind of vector.
        ValueError: it is one of other environments, or of another number of them.
    """
    env.reset()  # wrappers that only want to have seen a reset have seen one
    _restore(env, snapshot)


def _restore(env: VecEnv, snapshot: Mapping[str, Any]) -> None:
    if isinstance(env, VecEnvWrapper):
        if isinstance(env, VecMonitor):
            env.episode_returns[:] = snapshot["returns"]
            env.episode_lengths[:] = snapshot["lengths"]
        _restore(env.venv, snapshot["venv"])
        return
    if isinstance(env, GymnasiumVecEnv):
        _restore_gymnasium(env, snapshot)
        return
    _check_kind(snapshot, list)
    if len(snapshot["envs"]) != env.num_envs:
        raise ValueError(f"env has {env.num_envs} environments, not {len(snapshot['envs'])}")
    for index, (one, rewards) in enumerate(zip(snapshot["envs"], snapshot["rewards"], strict=True)):
        env.env_method("set_wrapper_attr", "snapshot", one, indices=index)
        if rewards is not None:
            env.env_method("set_wrapper_attr", "rewards", list(rewards), indices=index)


# ------------------------------------------------------------------------------ kinds of vectors


def _snapshot_wrapper(env: VecEnvWrapper) -> Snapshot | None:
    """Know the wrappers that remember nothing, and SB3's monitor; give up on all others."""
    below = snapshot_vector(env.venv)
    if below is None or not isinstance(env, VecMonitor | VecCheckNan):
        return None
    if isinstance(env, VecCheckNan):
        return {"venv": below}
    return {
        "venv": below,
        "returns": env.episode_returns.copy(),
        "lengths": env.episode_lengths.copy(),
    }


def _snapshot_gymnasium(env: GymnasiumVecEnv) -> Snapshot | None:
    if _has_own_snapshot(env.env):
        envs = env.env.snapshot  # type: ignore[attr-defined]
    elif _all_offer(env):
        envs = env.get_attr("snapshot")
    else:
        return None
    return {"envs": envs, **env.episodes}


def _restore_gymnasium(env: GymnasiumVecEnv, snapshot: Mapping[str, Any]) -> None:
    if _has_own_snapshot(env.env):
        _check_kind(snapshot, dict)
        env.env.snapshot = snapshot["envs"]  # type: ignore[attr-defined]
    else:
        _check_kind(snapshot, list)
        _end_episodes(env.env, env.get_attr("stop_action")[0], snapshot["awaits_reset"])
        env.env.set_attr("snapshot", list(snapshot["envs"]))  # type: ignore[attr-defined]
    env.episodes = {name: snapshot[name] for name in env.episodes}


def _check_kind(snapshot: Mapping[str, Any], kind: type[list[Any] | dict[str, Any]]) -> None:
    """Check how a vector was saved: in a list of its environments, or as a whole.

    Raises:
        ValueError: it was saved in the other way.
    """
    if not isinstance(snapshot["envs"], kind):
        raise ValueError("env is another kind of vector than the one that was saved")


def _end_episodes(env: VectorEnv[Any, Any, Any], stop: int, ended: NDArray[np.bool_]) -> None:
    """Have a vector know that some episodes are over, so that the next step resets them."""
    if not ended.any():
        return
    _, _, terminated, truncated, _ = env.step(np.where(ended, stop, 0))
    if not np.array_equal(terminated | truncated, ended):
        raise ValueError(f"{env} cannot be put back: an episode is over after one action")


def _all_offer(env: VecEnv) -> bool:
    """Return whether snapshots hold all that environments, and wrappers around them, remember."""
    vector = env.env if isinstance(env, GymnasiumVecEnv) else env
    if isinstance(vector, VectorWrapper):  # what it remembers is in no environment's snapshot
        return False
    if isinstance(vector, DummyVecEnv | SyncVectorEnv):
        return all(offers_snapshots(_without_monitor(one)) for one in vector.envs)
    try:
        return all(map(_is_known, env.env_method("__str__")))
    except AttributeError:  # a vector that calls no methods
        return False


def _is_known(chain: str) -> bool:
    """Tell from an environment's name, ``<Outer<Inner<Env…``, whether snapshots hold all of it.

    The name is what every kind of vector tells of an environment in another process. An
    `EpisodeJournal` answers for all that is within it.
    """
    for name in re.findall(r"<(\w+)", chain):
        if name in _HOLD_ALL:
            return True
        if name not in _PASS_ON:
            return False
    return False


def _without_monitor(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    return env.env if isinstance(env, Monitor) else env


def _has_own_snapshot(env: VectorEnv[Any, Any, Any]) -> bool:
    return isinstance(inspect.getattr_static(type(env), "snapshot", None), property)
