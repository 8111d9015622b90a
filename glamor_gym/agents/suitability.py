"""Checks that an agent can be trained in an environment.

In: spaces, a vector environment, or an agent. Out: nothing, or an error or warning that says what
is wrong.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback, CallbackList, EvalCallback
from stable_baselines3.common.vec_env import VecEnv

from glamor_gym.agents.saving.agent_file import MAX_HEADER_BYTES, space_to_json
from glamor_gym.agents.settings import CollectionSettings
from glamor_gym.agents.updates import BatchLearner
from glamor_gym.models.encoders import SMALLEST_PICTURE
from glamor_gym.types import GOAL_KEYS
from glamor_gym.vector.sb3 import spec_of


def check_spaces(observation_space: Any, action_space: Any) -> None:
    """Check the spaces of a goal environment.

    Raises:
        ValueError: there are no goals or no Discrete actions, desired and achieved goals differ in
            shape or dtype, ``steps_left`` is not a Box of shape (1,), an entry cannot be described
            in an agent's file or has shape (), or pictures have channels last or none.
    """
    if not isinstance(observation_space, spaces.Dict) or not all(
        isinstance(observation_space.spaces.get(key), spaces.Box) for key in GOAL_KEYS
    ):
        raise ValueError(
            f"env must have a Dict observation with Boxes {', '.join(GOAL_KEYS)}; "
            f"got {observation_space}"
        )
    achieved, desired = (observation_space[key] for key in GOAL_KEYS[1:])
    if (achieved.shape, achieved.dtype) != (desired.shape, desired.dtype):
        raise ValueError(
            "env must have desired_goal of the shape and dtype of achieved_goal, got "
            f"{desired} and {achieved}"
        )
    clock = observation_space.spaces.get("steps_left")
    if clock is not None and not (isinstance(clock, spaces.Box) and clock.shape == (1,)):
        raise ValueError(f"env must have steps_left as a Box of shape (1,), got {clock}")
    if not isinstance(action_space, spaces.Discrete):
        raise ValueError(f"env must have Discrete actions, got {action_space}")
    described = {}
    for key, space in observation_space.spaces.items():
        try:
            described[key] = space_to_json(space)
        except ValueError as error:
            raise ValueError(
                f"env must have {key} as a space that an agent's file can describe: {error}"
            ) from error
        if key in GOAL_KEYS and space.shape == ():
            raise ValueError(f"env must have {key} as a Box of one axis or more, got {space}")
        if _lacks_channels_first(space):
            raise ValueError(
                f"env must have pictures with channels first, (C, H, W), got {space} for {key!r}: "
                "see gymnasium.wrappers.TransformObservation"
            )
    if len(json.dumps(described)) > MAX_HEADER_BYTES:
        raise ValueError(
            "env must have fewer bounds that differ between the elements of an observation: an "
            f"agent's file has room for {MAX_HEADER_BYTES} bytes of them"
        )


def _lacks_channels_first(space: spaces.Space[Any]) -> bool:
    """Return whether a space is one of pictures (H, W, C) or (H, W) that could be convolved."""
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8:
        return False
    is_picture = len(space.shape) in (2, 3) and min(space.shape[:2]) >= SMALLEST_PICTURE
    return is_picture and (len(space.shape) == 2 or space.shape[2] in (1, 3, 4))


def check_evaluation(callback: BaseCallback, action_space: spaces.Discrete) -> None:
    """Check that SB3's EvalCallbacks play where an agent's actions mean what they did in training.

    Raises:
        ValueError: the environment of one has other actions.
    """
    if isinstance(callback, CallbackList):
        for each in callback.callbacks:
            check_evaluation(each, action_space)
    elif isinstance(callback, EvalCallback) and callback.eval_env.action_space != action_space:
        raise ValueError(
            f"EvalCallback must have an eval_env with the agent's actions {action_space}, got "
            f"{callback.eval_env.action_space} (glamor_gym.wrappers.StopAction adds STOP)"
        )


def warn_of_unread_entries(space: spaces.Dict, *, stacklevel: int) -> None:
    """Warn of entries of the observation that no agent reads.

    Args:
        space: the observation space.
        stacklevel: level of the call that the warning names; 1 is the caller of this function.
    """
    if unread := sorted(set(space) - {*GOAL_KEYS, "steps_left"}):
        warnings.warn(
            f"the agent does not read {' and '.join(map(repr, unread))}: put into 'observation' "
            "what it is to see",
            stacklevel=stacklevel + 1,
        )


def warn_of_a_shorter_limit(env: VecEnv, horizon: int, *, stacklevel: int) -> None:
    """Warn if Gymnasium truncates episodes before the horizon that their ``steps_left`` counts to.

    Args:
        env: a vector environment.
        horizon: T, its horizon.
        stacklevel: level of the call that the warning names; 1 is the caller of this function.
    """
    spec = spec_of(env)
    limit = None if spec is None else spec.max_episode_steps
    if limit is not None and limit < horizon:
        warnings.warn(
            f"max_episode_steps={limit} truncates episodes whose horizon is {horizon}; pass "
            f"horizon={limit} to gym.make",
            stacklevel=stacklevel + 1,
        )


def warn_of_too_few_steps(agent: BatchLearner, last: int) -> None:
    """Warn, where `learn` was called, if no update falls due before a number of steps is taken."""
    settings = agent.settings
    last = -(-last // agent.n_envs) * agent.n_envs  # all environments step at once
    if not settings.replay_ratio or settings.updates_due(last):
        return
    message = (
        "nothing will be learned: the first update comes after learning_starts + batch_size / "
        f"replay_ratio = {settings.first_update:g} steps, and learning ends after {last}"
    )
    if agent._n_updates:
        message += " (reset_num_timesteps=False goes on counting)"
    if settings.learning_starts == CollectionSettings.learning_starts:  # the paper's
        is_vector = len(agent.observation_space["achieved_goal"].shape or ()) == 1
        preset = "small" if is_vector else "compact"
        message += f"; **{type(agent).__name__}.preset({preset!r}) begins sooner"
    warnings.warn(message, stacklevel=3)
