"""The table of agent checks.

In: an agent with the ``predict`` of Stable-Baselines3, and an environment for it. Out: a
:class:`~glamor_gym.conformance.report.CheckReport`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import gymnasium as gym
from gymnasium import spaces

from glamor_gym.checks import as_integer
from glamor_gym.conformance import learning, prediction
from glamor_gym.conformance.prediction import AgentSubject
from glamor_gym.conformance.report import CheckReport, run_checks
from glamor_gym.evaluation.baselines import Predictor
from glamor_gym.registration import make_env
from glamor_gym.wrappers import StopAction

FOUNDATIONS = ("returns_actions",)

AGENT_CHECKS: Mapping[str, Callable[[AgentSubject], None]] = MappingProxyType(
    {
        check.__name__: check
        for check in (
            prediction.returns_actions,
            prediction.treats_one_as_a_batch_of_one,
            prediction.is_deterministic_when_told,
            prediction.draws_no_global_numbers,
            prediction.leaves_observations_alone,
            prediction.refuses_nan,
            prediction.refuses_scaled_pictures,
            prediction.refuses_other_shapes,
            prediction.begins_anew,
            learning.comes_back_from_its_file,
            learning.goes_on_learning,
        )
    }
)
"""Name → check, in the order in which they are run."""


def check_agent(agent: Predictor, env: gym.Env[Any, Any] | str, *, seed: int = 0) -> CheckReport:
    """Check that an agent meets the requirements of evaluations and training runs.

    Only ``predict`` and ``save`` are called on the agent itself; learning is tried on a copy, which
    is loaded from a temporary folder.

    Args:
        agent: anything with ``predict(observation, state, episode_start, deterministic)`` as in
            Stable-Baselines3.
        env: a goal environment with the spaces that the agent was made for, its id, or the short
            name of a task. STOP may be missing, as agents add it. An environment is reset and
            stepped, and left open.
        seed: seed of the environment, 0 or larger.

    Returns:
        The report. Faults of the agent are reported there and raise nothing.

    Raises:
        TypeError: `agent` has no ``predict``, `env` is not an environment or an id, or `seed` is
            not an integer.
        ValueError: `seed` is negative, the agent was made for another action space, or no
            environment can be made by that id.
    """
    if not callable(getattr(agent, "predict", None)):
        raise TypeError(f"agent must have a predict method, got {type(agent).__name__}")
    if not isinstance(env, gym.Env | str):
        raise TypeError(f"env must be a gymnasium.Env or an id, got {type(env).__name__}")
    seed = as_integer(seed, name="seed", low=0)
    if isinstance(env, str):
        with contextlib.closing(make_env(env)) as made:
            return check_agent(agent, made, seed=seed)
    actions = env.action_space
    trained_for = getattr(agent, "action_space", actions)
    if (
        isinstance(actions, spaces.Discrete)
        and trained_for == spaces.Discrete(actions.n + 1)
        and not env.has_wrapper_attr("stop_action")
    ):
        env = StopAction(env)
    elif trained_for != actions:
        raise ValueError(f"agent was made for the actions {trained_for}, env has {actions}")
    subject = AgentSubject(agent, env, seed)
    return run_checks(type(agent).__name__, subject, AGENT_CHECKS, foundations=FOUNDATIONS)
