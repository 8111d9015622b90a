"""The environment checkers of Gymnasium and Stable-Baselines3."""

from __future__ import annotations

import contextlib
import io

import gymnasium.utils.env_checker as gymnasium_checker
import stable_baselines3.common.env_checker as sb3_checker

from glamor_gym.conformance.recording import GoalEnvSubject


def gymnasium_passes(subject: GoalEnvSubject) -> None:
    """Gymnasium's checker finds no fault.

    It checks spaces, seeding, the types of return values, rendering in every mode, and closing.

    Fix: follow its message; see ``gymnasium.utils.env_checker.check_env``.
    """
    gymnasium_checker.check_env(subject.env.unwrapped)


def sb3_passes(subject: GoalEnvSubject) -> None:
    """Stable-Baselines3's checker finds no fault.

    It checks that its agents can use the spaces, observations and rewards.

    Fix: follow its message; see ``stable_baselines3.common.env_checker.check_env``.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # it prints the kind of environment it found
        sb3_checker.check_env(subject.env.unwrapped)
