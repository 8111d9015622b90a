"""Turns any environment into an SB3 vector environment with STOP.

In: an id, a Gymnasium environment or vector environment, or an SB3 one. Out: a Stable-Baselines3
``VecEnv``, and what an agent needs to know about it (STOP, horizon, id).
"""

from __future__ import annotations

import copy
import math
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import (
    VectorEnv,
)
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, unwrap_vec_normalize

from glamor_gym.registration import make_env
from glamor_gym.vector.gymnasium_vec_env import GymnasiumVecEnv
from glamor_gym.vector.rows import check_arrays
from glamor_gym.wrappers import EpisodeJournal, StopAction, offers_snapshots

AnyEnv = str | gym.Env[Any, Any] | VectorEnv[Any, Any, Any] | VecEnv


def as_vec_env(env: AnyEnv) -> VecEnv:
    """Return `env` as an SB3 vector environment whose last action is STOP.

    Args:
        env: an id or the short name of a task, an environment (which gets STOP from
            :class:`~glamor_gym.wrappers.StopAction` if it has none, and snapshots from
            :class:`~glamor_gym.wrappers.EpisodeJournal`), a Gymnasium vector environment, or an
            SB3 one.

    Raises:
        ValueError: `env` is none of these, cannot be made, shows something else than arrays, or is
            a vector environment that lacks STOP or normalises its observations.
    """
    if isinstance(env, VecEnv):
        normaliser = unwrap_vec_normalize(env)
        if normaliser is not None and normaliser.norm_obs:
            raise ValueError(
                "env must not normalise observations, which include steps_left: make VecNormalize "
                "with norm_obs=False; the agent can whiten pictures itself"
            )
        vec_env = env
    elif isinstance(env, VectorEnv):
        vec_env = GymnasiumVecEnv(env)
    elif isinstance(env, gym.Env | str):
        single = make_env(env) if isinstance(env, str) else env
        check_arrays(single.observation_space, name="env")
        monitored = _monitored(single)
        return DummyVecEnv([lambda: monitored])
    else:
        raise ValueError(
            "env must be an id, a Gymnasium Env or VectorEnv, or an SB3 VecEnv; "
            f"got {type(env).__name__}"
        )
    stop_action_of(vec_env)
    return vec_env


def _monitored(env: gym.Env[Any, Any]) -> Monitor[Any, Any]:
    """Return an environment in a ``Monitor`` around all that it lacked."""
    if not isinstance(env, Monitor):
        return Monitor(_made_whole(env))
    whole = _made_whole(env.env)
    if whole is env.env:
        return env
    monitor = copy.copy(env)  # shares the user's file and lists of episodes, not the steps taken
    monitor.env = whole
    return monitor


def _made_whole(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """Return an environment with STOP and snapshots added if it lacks them, else unchanged."""
    stopping = env if env.has_wrapper_attr("stop_action") else StopAction(env)
    return stopping if offers_snapshots(stopping) else EpisodeJournal(stopping)


def stop_action_of(env: VecEnv) -> int:
    """Return the STOP action of a vector environment.

    Raises:
        ValueError: it has none.
    """
    # Checked first: asking for a missing attribute kills SB3's worker processes.
    if not env.has_attr("stop_action"):
        raise ValueError(
            "env has no stop_action: wrap each of its environments in "
            "glamor_gym.wrappers.StopAction before making a vector of them (make_vec_env takes it "
            "as wrapper_class, gym.make_vec in wrappers)"
        )
    return int(env.get_attr("stop_action")[0])


def horizon_of(env: VecEnv) -> int:
    """Return T, the maximum number of steps in an episode.

    Read from the upper bound of ``steps_left``, else from ``horizon``, else from the
    registration's ``max_episode_steps``, else from :class:`gymnasium.wrappers.TimeLimit`.

    Raises:
        ValueError: `env` has none of these, or its environments have different horizons.
    """
    space = env.observation_space
    told = _shared_limit(env, "horizon")
    if isinstance(space, spaces.Dict) and "steps_left" in space.spaces:
        box = space["steps_left"]
        assert isinstance(box, spaces.Box)
        if np.isfinite(box.high).all():
            return int(box.high.max())
    if told is not None:
        return told
    spec = spec_of(env)
    limit = None if spec is None else spec.max_episode_steps
    if limit is None:
        limit = _shared_limit(env, "_max_episode_steps")  # TimeLimit's
    if limit is None:
        raise ValueError(
            "env does not report its horizon: give it `steps_left` in the observation, "
            "an attribute `horizon`, or a gymnasium.wrappers.TimeLimit"
        )
    return int(limit)


def _shared_limit(env: VecEnv, attribute: str) -> int | None:
    """Return the number of steps that all environments have in an attribute; None for no limit.

    Raises:
        ValueError: they have different ones.
    """
    told = set(env.get_attr(attribute)) if env.has_attr(attribute) else set()
    told -= {None, math.inf}  # how some environments say that they have none
    if len(told) > 1:
        raise ValueError(f"env must have environments with the same horizon, got {sorted(told)}")
    return int(told.pop()) if told else None


def task_id_of(env: VecEnv) -> str | None:
    """Return the id with which ``gym.make`` made the environments; None if not reported."""
    spec = spec_of(env)
    return None if spec is None else spec.id


def spec_of(env: VecEnv) -> EnvSpec | None:
    """Return the registration of the environments; None if they were not made by it."""
    try:
        spec: EnvSpec | None = env.get_attr("spec")[0]
    except AttributeError:  # not asked with `has_attr`, which fetches it as well
        return None
    return spec
