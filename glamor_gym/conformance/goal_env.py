"""The table of goal-environment checks.

In: an environment. Out: a :class:`~glamor_gym.conformance.report.CheckReport`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import gymnasium as gym

from glamor_gym.checks import as_integer
from glamor_gym.conformance import determinism, episodes, making, observations, rewards, standard
from glamor_gym.conformance.recording import GoalEnvSubject
from glamor_gym.conformance.report import CheckReport, run_checks

FOUNDATIONS = ("has_goals", "can_be_played")

GOAL_ENV_CHECKS: Mapping[str, Callable[[GoalEnvSubject], None]] = MappingProxyType(
    {
        check.__name__: check
        for check in (
            observations.has_goals,
            observations.can_be_played,
            standard.gymnasium_passes,
            standard.sb3_passes,
            observations.stays_in_its_space,
            observations.hands_out_fresh_arrays,
            observations.keeps_its_goal,
            observations.hides_its_labels,
            rewards.computes_rewards_unwrapped,
            rewards.rewards_as_computed,
            rewards.terminates_as_computed,
            rewards.truncates_as_computed,
            rewards.computes_batches,
            episodes.tells_success,
            episodes.counts_its_steps,
            episodes.ends_at_its_horizon,
            episodes.stops,
            episodes.takes_goals_by_number,
            determinism.repeats_itself,
            determinism.leaves_global_randomness_alone,
            making.is_described_by_json,
            making.can_be_sent_to_a_worker,
            making.is_the_same_in_a_vector,
            making.can_be_closed_twice,
        )
    }
)
"""Name → check, in the order in which they are run."""


def check_goal_env(env: gym.Env[Any, Any], *, seed: int = 0) -> CheckReport:
    """Check that a goal environment meets the requirements of agents, replays and evaluations.

    This includes the checkers of Gymnasium and Stable-Baselines3; the other checks cover what these
    do not. Checks of optional features (STOP, ``steps_left``, labels, …) are skipped if the
    environment does not have them, and checks of specs, closing and vector environments if it was
    not made by ``gym.make``.

    Args:
        env: the environment, wrappers included. It is reset and stepped, and left open.
        seed: seed of resets and actions, 0 or larger.

    Returns:
        The report. Faults of the environment are reported there and raise nothing.

    Raises:
        TypeError: `env` is not a Gymnasium environment, or `seed` is not an integer.
        ValueError: `seed` is negative.
    """
    if not isinstance(env, gym.Env):
        raise TypeError(f"env must be a gymnasium.Env, got {type(env).__name__}")
    subject = GoalEnvSubject(env, as_integer(seed, name="seed", low=0))
    name = type(env.unwrapped).__name__ if env.spec is None else env.spec.id
    return run_checks(name, subject, GOAL_ENV_CHECKS, foundations=FOUNDATIONS)
