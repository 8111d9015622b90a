"""Checks of an episode: ``is_success``, the step count, and its end by STOP or the horizon."""

from __future__ import annotations

import numpy as np

from glamor_gym.checks import as_instance
from glamor_gym.conformance.recording import GoalEnvSubject, Recording, play
from glamor_gym.conformance.report import CheckFailedError, NotApplicableError
from glamor_gym.types import Goal

_STEPS_BEFORE_STOP = 2


def tells_success(subject: GoalEnvSubject) -> None:
    """The info has is_success, a bool, at the reset and at every step.

    It says whether the episode would be a success if it ended now; evaluation reads it at each of
    these moments, since it also tells when the agent first arrived.

    Fix: put ``bool(…)`` into ``info["is_success"]`` in ``reset`` and in ``step``; a NumPy bool is
    not a ``bool``.
    """
    for moment in subject.moments:
        if "is_success" not in moment.info:
            raise CheckFailedError(f"the info of {moment.place} has no is_success")
        value = moment.info["is_success"]
        if type(value) is not bool:
            raise CheckFailedError(
                f"is_success of {moment.place} is {value!r}, a {type(value).__name__}"
            )


def counts_its_steps(subject: GoalEnvSubject) -> None:
    """The entry steps_left is T at the reset and one less after every step.

    STOP may leave it unchanged.

    Fix: count every call of ``step``, and return float32 (1,).
    """
    if "steps_left" not in subject.recordings[0][0].observation:
        raise NotApplicableError("the observation has no steps_left")
    if subject.horizon is None:
        raise NotApplicableError("the horizon is unknown")
    for episode in (*subject.recordings, *_stopped(subject)):
        for number, moment in enumerate(episode):
            left = moment.observation["steps_left"].tolist()
            expected = subject.horizon - number
            # STOP may return the previous observation, and with it the previous steps_left.
            stopped = subject.stop_action is not None and moment.action == subject.stop_action
            if left not in ([expected], [expected + int(stopped)]):
                raise CheckFailedError(
                    f"steps_left is {left} at {moment.place}; the horizon is {subject.horizon}"
                )


def ends_at_its_horizon(subject: GoalEnvSubject) -> None:
    """An episode that does not end earlier is truncated, not terminated, after T steps.

    Gymnasium's time limit may truncate it before, and so may the world, if the info says so with
    ``world_truncated``.

    Fix: return ``truncated=True`` from the T-th step; T is the bound of ``steps_left``, the
    attribute ``horizon``, or ``max_episode_steps`` of the registration.
    """
    if subject.horizon is None:
        raise NotApplicableError("the horizon is unknown")
    most = min(subject.horizon, subject.time_limit or subject.horizon)
    limit = f"the horizon is {subject.horizon}"
    if most < subject.horizon:
        limit += f", the time limit {most}"
    for episode in subject.recordings:
        last = episode[-1]
        steps = len(episode) - 1
        if not last.over:
            raise CheckFailedError(f"an episode continues after {steps} steps; {limit}")
        if steps > most:
            raise CheckFailedError(f"an episode took {steps} steps; {limit}")
        if last.truncated and steps < most and not last.info.get("world_truncated"):
            raise CheckFailedError(f"truncated after {steps} steps; {limit}")
        # Gymnasium's time limit truncates even an episode that is terminated at the same step.
        if last.terminated and last.truncated and steps != subject.time_limit:
            raise CheckFailedError(f"both terminated and truncated after {steps} steps")


def stops(subject: GoalEnvSubject) -> None:
    """STOP is the last action; it ends the episode at once and does not change the world.

    Fix: wrap the world in ``glamor_gym.wrappers.StopAction``.
    """
    if subject.stop_action is None:
        raise NotApplicableError("the environment has no STOP; agents add one with StopAction")
    if not subject.env.action_space.contains(subject.stop_action) or (
        subject.env.action_space.contains(subject.stop_action + 1)
    ):
        raise CheckFailedError(
            f"STOP is {subject.stop_action}, which is not the last of {subject.env.action_space}"
        )
    for episode in _stopped(subject):
        before, after = episode[-2:]
        cut_off = after.truncated and len(episode) - 1 != subject.time_limit
        if cut_off or not after.terminated:
            raise CheckFailedError(
                f"STOP returned terminated={after.terminated}, truncated={after.truncated}"
            )
        for key in ("observation", "achieved_goal"):
            if not np.array_equal(before.observation[key], after.observation[key]):
                raise CheckFailedError(f"STOP changed {key!r}")
        if before.info.get("is_success") != after.info.get("is_success"):
            raise CheckFailedError("STOP changed is_success")


def takes_goals_by_number(subject: GoalEnvSubject) -> None:
    """With a list of goals, ``reset(options={"goal": k})`` selects the k-th goal.

    This is how evaluation gives every agent the same goals.

    Fix: read ``options["goal"]`` in ``reset``, and choose at random only if it is missing; keep the
    goals as records, ``glamor_gym.types.Goal``.
    """
    if not subject.env.has_wrapper_attr("goals"):
        raise NotApplicableError("the environment has no list of goals")
    goals = subject.env.get_wrapper_attr("goals")
    for number in {0, len(goals) - 1}:
        options = {"goal": number}
        first, info = subject.env.reset(seed=subject.seed, options=options)
        again, _ = subject.env.reset(seed=subject.seed, options=options)
        if not np.array_equal(first["desired_goal"], again["desired_goal"]):
            raise CheckFailedError(
                f"desired_goal of goal {number} differs between two resets with the same seed"
            )
        labels = info.get("goal_labels")
        goal = as_instance(goals[number], Goal, name=f"goals[{number}]")
        # Success may depend on the labels one step after the picture, as in the authors' code.
        known = [dict(some) for some in (goal.labels, goal.lagged_labels) if some is not None]
        if labels and known and labels not in known:
            raise CheckFailedError(
                f"goal_labels of goal {number} are {labels}, expected one of {known}"
            )


def _stopped(subject: GoalEnvSubject) -> list[Recording]:
    """Play an episode that is stopped at once, and one that is stopped after a few steps."""
    stop = subject.stop_action
    if stop is None or not subject.env.action_space.contains(stop):
        return []
    episodes = []
    for steps in (0, _STEPS_BEFORE_STOP):
        choose = subject.random_actions()
        actions = [*map(choose, range(steps)), stop]
        episode = play(
            subject.env,
            actions.__getitem__,
            seed=subject.seed,
            most=len(actions),
            name=f"an episode with STOP after {steps} steps",
        )
        if episode[-1].action == stop:  # the world may have ended it earlier
            episodes.append(episode)
    return episodes
