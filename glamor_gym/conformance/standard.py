"""What Gymnasium and Stable-Baselines3 check themselves."""

from __future__ import annotations

import contextlib
import io

import gymnasium.utils.env_checker as gymnasium_checker
import stable_baselines3.common.env_checker as sb3_checker

from glamor_gym.conformance.recording import GoalEnvSubject


def gymnasium_passes(subject: GoalEnvSubject) -> None:
    """Gymnasium's own checker finds nothing wrong.

    It tries spaces, seeding, the forms of what is returned, rendering in every mode, and closing.

    Mend: what its message says; see ``gymnasium.utils.env_checker.check_env``.
    """
    gymnasium_checker.check_env(subject.env.unwrapped)


def sb3_passes(subject: GoalEnvSubject) -> None:
    """Stable-Baselines3's own checker finds nothing wrong.

    It tries whether its agents can use spaces, observations and rewards.

    Mend: what its message says; see ``stable_baselines3.common.env_checker.check_env``.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # it tells what it takes the environment for
        sb3_checker.check_env(subject.env.unwrapped)
