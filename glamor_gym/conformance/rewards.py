"""Checks of ``compute_reward``, ``compute_terminated`` and ``compute_truncated``.

Hindsight relabelling calls them on ``env.unwrapped`` with batches of goals from a replay.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from glamor_gym.conformance.recording import GoalEnvSubject, Moment
from glamor_gym.conformance.report import CheckFailedError, NotApplicableError

METHODS = ("compute_reward", "compute_terminated", "compute_truncated")


def computes_rewards_unwrapped(subject: GoalEnvSubject) -> None:
    """The compute methods are those of ``env.unwrapped``, and compute_reward is among them.

    Stable-Baselines3's checker and its ``HerReplayBuffer`` look there; on a wrapper the methods
    are passed over without a word.

    Mend: make the goal environment a ``gymnasium.Env`` of its own around the world, rather than a
    ``gymnasium.Wrapper``.
    """
    for method in METHODS:
        if not hasattr(subject.env.unwrapped, method):
            if subject.env.has_wrapper_attr(method):
                raise CheckFailedError(f"{method} is a wrapper's method")
            if method == "compute_reward":
                raise CheckFailedError("there is no compute_reward")


def rewards_as_computed(subject: GoalEnvSubject) -> None:
    """The reward of every step is what compute_reward says of its goals and its info.

    Mend: call ``compute_reward`` in ``step``; keep in ``info`` whatever else it needs.
    """
    _compare(subject, "compute_reward", lambda moment: moment.reward)


def terminates_as_computed(subject: GoalEnvSubject) -> None:
    """A step terminates where compute_terminated says so.

    Mend: call ``compute_terminated`` in ``step``; keep in ``info`` whatever it needs.
    """
    _compare(subject, "compute_terminated", lambda moment: moment.terminated)


def truncates_as_computed(subject: GoalEnvSubject) -> None:
    """A step is truncated where compute_truncated says so, or by Gymnasium's own time limit.

    Mend: call ``compute_truncated`` in ``step``; keep in ``info`` whatever it needs.
    """
    _compare(
        subject, "compute_truncated", lambda moment: moment.truncated, except_at=subject.time_limit
    )


def computes_batches(subject: GoalEnvSubject) -> None:
    """The compute methods give for a batch what they give one by one, as an array (B,).

    Half of the desired goals are replaced by what was achieved, as hindsight relabelling does.

    Mend: compare along the last axes, ``(achieved == desired).all(axis=…)``, and read one info a
    row.
    """
    moments = [moment for moment in subject.moments if moment.action is not None]
    achieved = np.stack([moment.observation["achieved_goal"] for moment in moments])
    desired = np.stack([moment.observation["desired_goal"] for moment in moments])
    desired[::2] = achieved[::2]
    infos: Any = np.array([moment.info for moment in moments], dtype=object)
    for method in METHODS:
        if not hasattr(subject.env.unwrapped, method):
            continue
        compute = getattr(subject.env.unwrapped, method)
        batch = compute(achieved, desired, infos)
        if not isinstance(batch, np.ndarray) or batch.shape != (len(moments),):
            raise CheckFailedError(
                f"{method} of a batch of {len(moments)} returns {type(batch).__name__} of shape "
                f"{np.shape(batch)}"
            )
        single = [compute(achieved[row], desired[row], infos[row]) for row in range(len(moments))]
        if wrong := np.flatnonzero(batch != np.array(single)).tolist():
            row = wrong[0]
            raise CheckFailedError(f"{method} is {single[row]} alone, {batch[row]} in a batch")


def _compare(
    subject: GoalEnvSubject, method: str, returned: Any, *, except_at: int | None = None
) -> None:
    compute = getattr(subject.env.unwrapped, method, None)
    if compute is None:
        raise NotApplicableError(f"env.unwrapped has no {method}")
    for episode in subject.recordings:
        for step, moment in enumerate(episode[1:], start=1):
            said = compute(*_arguments(moment))
            if said != returned(moment) and step != except_at:
                raise CheckFailedError(
                    f"step {step} returned {returned(moment)}, {method} says {said}"
                )


def _arguments(moment: Moment) -> tuple[Any, Any, dict[str, Any]]:
    observation = moment.observation
    return observation["achieved_goal"], observation["desired_goal"], moment.info
