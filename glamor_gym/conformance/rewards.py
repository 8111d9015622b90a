"""Checks of ``compute_reward``, ``compute_terminated`` and ``compute_truncated``.

Hindsight relabelling calls them on ``env.unwrapped``, with batches of goals from a replay buffer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from glamor_gym.conformance.recording import GoalEnvSubject
from glamor_gym.conformance.report import CheckFailedError, NotApplicableError

METHODS = ("compute_reward", "compute_terminated", "compute_truncated")


def computes_rewards_unwrapped(subject: GoalEnvSubject) -> None:
    """The compute methods are methods of ``env.unwrapped``, and compute_reward is among them.

    Stable-Baselines3's checker and ``HerReplayBuffer`` look for them there, and silently ignore
    those of a wrapper.

    Fix: make the goal environment a ``gymnasium.Env`` that contains the world, not a
    ``gymnasium.Wrapper``.
    """
    for method in METHODS:
        if not hasattr(subject.env.unwrapped, method):
            if subject.env.has_wrapper_attr(method):
                raise CheckFailedError(f"{method} is a method of a wrapper, not of env.unwrapped")
            if method == "compute_reward":
                raise CheckFailedError("env.unwrapped has no compute_reward")


def rewards_as_computed(subject: GoalEnvSubject) -> None:
    """The reward of every step is what compute_reward returns for its goals and info.

    Fix: call ``compute_reward`` in ``step``; put everything else that it needs into ``info``.
    """
    _compare(subject, "compute_reward", lambda moment: moment.reward)


def terminates_as_computed(subject: GoalEnvSubject) -> None:
    """A step terminates if and only if compute_terminated returns True for it.

    Fix: call ``compute_terminated`` in ``step``; put everything else that it needs into ``info``.
    """
    _compare(subject, "compute_terminated", lambda moment: moment.terminated)


def truncates_as_computed(subject: GoalEnvSubject) -> None:
    """A step is truncated if compute_truncated returns True for it, or by Gymnasium's time limit.

    Fix: call ``compute_truncated`` in ``step``; put everything else that it needs into ``info``.
    """
    _compare(
        subject, "compute_truncated", lambda moment: moment.truncated, except_at=subject.time_limit
    )


def computes_batches(subject: GoalEnvSubject) -> None:
    """The compute methods return for a batch what they return for single goals, as an array (B,).

    Half of the desired goals are replaced by the achieved ones, as in hindsight relabelling.

    Fix: compare along the last axes, ``(achieved == desired).all(axis=…)``, and read one info per
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
            raise CheckFailedError(
                f"{method} returns {single[row]} for one step, {batch[row]} in a batch"
            )


def _compare(
    subject: GoalEnvSubject, method: str, returned: Any, *, except_at: int | None = None
) -> None:
    compute = getattr(subject.env.unwrapped, method, None)
    if compute is None:
        raise NotApplicableError(f"env.unwrapped has no {method}")
    for episode in subject.recordings:
        for step, moment in enumerate(episode[1:], start=1):
            seen = moment.observation
            said = compute(seen["achieved_goal"], seen["desired_goal"], moment.info)
            if said != returned(moment) and step != except_at:
                raise CheckFailedError(
                    f"{moment.place} returned {returned(moment)}, {method} returns {said}"
                )
