"""Checks of randomness: the seed determines everything, and global generators are not used."""

from __future__ import annotations

import numpy as np

from glamor_gym.conformance.randomness import refusing_shared_draws
from glamor_gym.conformance.recording import GoalEnvSubject, play
from glamor_gym.conformance.report import CheckFailedError


def repeats_itself(subject: GoalEnvSubject) -> None:
    """The same seed gives the same goals, observations, rewards and ends, also in later episodes.

    Gymnasium's checker compares one reset and one step; this check compares a whole episode and
    the next one.

    Fix: draw everything, goals included, from ``self.np_random``, and seed the wrapped world with
    a number drawn from it.
    """
    for episode, first, second in zip(
        ("first", "second"), subject.recordings, subject.play_two(), strict=True
    ):
        if len(first) != len(second):
            raise CheckFailedError(
                f"the {episode} episode took {len(first) - 1} steps, then {len(second) - 1}"
            )
        for one, other in zip(first, second, strict=True):
            for key, value in one.observation.items():
                if not np.array_equal(value, other.observation[key]):
                    raise CheckFailedError(f"{key!r} differs at {one.place}")
            for name in ("reward", "terminated", "truncated"):
                if getattr(one, name) != getattr(other, name):
                    raise CheckFailedError(f"{name} differs at {one.place}")


def leaves_global_randomness_alone(subject: GoalEnvSubject) -> None:
    """An episode neither draws from nor seeds the global random generators.

    These are those of ``random``, ``numpy.random`` and PyTorch: an environment that uses them
    changes what the agent draws.

    Fix: use ``self.np_random``.
    """
    with refusing_shared_draws("an episode"):
        play(subject.env, subject.random_actions(), seed=subject.seed, most=subject.most_steps)
