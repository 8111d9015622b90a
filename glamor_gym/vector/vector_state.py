"""Snapshots of vector environments: all state that their next steps depend on.

In: a Stable-Baselines3 ``VecEnv``. Out: the snapshots of its environments (see
:mod:`glamor_gym.snapshots`) with the vector's own state of their episodes; and the reverse, to
restore them.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from gymnasium.vector import SyncVectorEnv, VectorEnv, VectorWrapper
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, RepeatAction
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecCheckNan, VecEnv, VecMonitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnvWrapper

from glamor_gym.snapshots import Snapshot
from glamor_gym.vector.gymnasium_vec_env import GymnasiumVecEnv
from glamor_gym.wrappers import EpisodeJournal, StopAction, offers_snapshots

_PASS_ON = frozenset(
    cls.__name__ for cls in (Monitor, OrderEnforcing, PassiveEnvChecker, RepeatAction, StopAction)
)
"""Names of wrappers whose state, if they have any, is in snapshots."""


def snapshot_vector(env: VecEnv) -> Snapshot | None:
    """Return the snapshot of a vector; None if any part of it offers none.

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


def wrapper_without_snapshots(env: VecEnv) -> str | None:
    """Return the class name of the outermost vector wrapper that offers none; None without one."""
    while isinstance(env, VecEnvWrapper):
        if not isinstance(env, VecMonitor | VecCheckNan):
            return type(env).__name__
        env = env.venv
    inner = env.env if isinstance(env, GymnasiumVecEnv) else env
    return type(inner).__name__ if isinstance(inner, VectorWrapper) else None


def restore_vector(env: VecEnv, snapshot: Mapping[str, Any]) -> None:
    """Restore what :func:`snapshot_vector` returned, in a vector made in the same way.

    Raises:
        KeyError: the snapshot belongs to another kind of vector.
        ValueError: the snapshot belongs to other environments, or another number of them.
    """
    env.reset()  # for wrappers whose only state is whether there was a reset
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
        raise ValueError(
            f"snapshot must have {env.num_envs} environments, as env, got {len(snapshot['envs'])}"
        )
    rewards_of = snapshot["rewards"] if "rewards" in snapshot else _rewards(snapshot)
    for index, (one, rewards) in enumerate(zip(snapshot["envs"], rewards_of, strict=True)):
        env.env_method("set_wrapper_attr", "snapshot", one, indices=index)
        if rewards is not None:
            env.env_method("set_wrapper_attr", "rewards", list(rewards), indices=index)


def _rewards(episodes: Mapping[str, Any]) -> list[list[float]]:
    """Return what SB3's monitors remember of episodes of which a Gymnasium vector kept the sums.

    They report the sum and the number of the rewards.
    """
    sums = zip(episodes["returns"].tolist(), episodes["lengths"].tolist(), strict=True)
    return [[total] + [0.0] * (length - 1) if length else [] for total, length in sums]


# ------------------------------------------------------------------------------ kinds of vectors


def _snapshot_wrapper(env: VecEnvWrapper) -> Snapshot | None:
    """Return the snapshot of a wrapper without state or of SB3's monitor; None for any other."""
    if not isinstance(env, VecMonitor | VecCheckNan):
        return None
    below = snapshot_vector(env.venv)
    if below is None:
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
        env.env.set_attr("snapshot", list(snapshot["envs"]))  # type: ignore[attr-defined]
    env.episodes = {name: snapshot[name] for name in env.episodes}


def _check_kind(snapshot: Mapping[str, Any], kind: type[list[Any] | dict[str, Any]]) -> None:
    """Check whether a vector was saved as a list of environments, or as a whole (a dict).

    Raises:
        ValueError: it was saved in the other way.
    """
    if not isinstance(snapshot["envs"], kind):
        raise ValueError("env is another kind of vector than the one in the snapshot")


def _all_offer(env: VecEnv) -> bool:
    """Return whether snapshots hold all state of the environments and their wrappers."""
    vector = env.env if isinstance(env, GymnasiumVecEnv) else env
    if isinstance(vector, VectorWrapper):  # its state is in no environment's snapshot
        return False
    if isinstance(vector, DummyVecEnv | SyncVectorEnv):
        return all(
            offers_snapshots(one.env if isinstance(one, Monitor) else one) for one in vector.envs
        )
    try:
        # Not "snapshot": in other processes nothing tells a property from something else of that
        # name, and they end where an attribute is missing or cannot be sent.
        offered = all(env.env_method("has_wrapper_attr", "snapshot_is_whole"))
        return offered and all(map(_pass_on, env.env_method("__str__")))
    except AttributeError:  # a vector that calls no methods
        return False


def _pass_on(chain: str) -> bool:
    """Return whether all wrappers around what offers snapshots are known to leave nothing out.

    Args:
        chain: string representation of an environment, ``<Outer<Inner<Env instance>>>`` or
            ``<Outer<Inner<Env<id>>>>``, which every kind of vector can report about one in another
            process. An `EpisodeJournal` covers everything inside it.
    """
    names = re.findall("<([^<>]+)", chain)
    inner = 1 if names and names[-1].endswith(" instance") else 2
    if len(names) < inner:  # an environment that calls itself something else
        return False
    for name in names[:-inner]:
        if name == EpisodeJournal.__name__:
            return True
        if name not in _PASS_ON:
            return False
    return True


def _has_own_snapshot(env: VectorEnv[Any, Any, Any]) -> bool:
    return isinstance(inspect.getattr_static(type(env), "snapshot", None), property)
