"""Checks of observations: goals, spaces, memory ownership, and no labels."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from glamor_gym.checks import as_element
from glamor_gym.conformance.recording import GoalEnvSubject, TimeStep
from glamor_gym.conformance.report import CheckFailedError, NotApplicableError
from glamor_gym.types import GOAL_KEYS
from glamor_gym.vector.rows import check_arrays

_FEW_STEPS = 5
_FEWEST_VALUES = 3  # a label with fewer distinct values may equal an entry by chance


def has_goals(subject: GoalEnvSubject) -> None:
    """Observations are a Dict with observation, achieved_goal and desired_goal, all of them Boxes.

    Both goals have the same space, so that they can be compared and one can replace the other.
    Other entries are arrays or numbers, as vector environments require.

    Fix: use a ``spaces.Dict`` with these three keys; give both goals the same Box.
    """
    space = subject.env.observation_space
    if not isinstance(space, spaces.Dict):
        raise CheckFailedError(f"observation_space is {space}")
    for key in GOAL_KEYS:
        if not isinstance(space.spaces.get(key), spaces.Box):
            raise CheckFailedError(f"observation_space[{key!r}] is {space.spaces.get(key)}")
    if space["achieved_goal"] != space["desired_goal"]:
        raise CheckFailedError(
            f"achieved_goal is {space['achieved_goal']}, desired_goal {space['desired_goal']}"
        )
    check_arrays(space, name="the environment")


def can_be_played(subject: GoalEnvSubject) -> None:
    """Two episodes of random actions can be played one after the other.

    Fix: see the error; every action of the action space must be allowed at every step.
    """
    _ = subject.recordings  # plays the episodes; whatever this raises is reported


def stays_in_its_space(subject: GoalEnvSubject) -> None:
    """Every entry of every observation has the shape, dtype and bounds of its space, and no NaN.

    Fix: cast and clip what ``reset`` and ``step`` return, also at the last step of an episode.
    """
    space = subject.env.observation_space
    assert isinstance(space, spaces.Dict)
    for moment in subject.moments:
        if moment.observation.keys() != space.spaces.keys():
            raise CheckFailedError(
                f"the observation of {moment.place} has the keys {sorted(moment.observation)}, "
                f"its space {sorted(space.spaces)}"
            )
        for key, box in space.spaces.items():
            entry, name = moment.observation[key], f"observation[{key!r}] of {moment.place}"
            if isinstance(box, spaces.Box):
                as_element(entry, box, name=name)
            elif not box.contains(entry):
                raise CheckFailedError(f"{name} is {entry!r}, which is not in {box}")


def hands_out_fresh_arrays(subject: GoalEnvSubject) -> None:
    """Returned arrays share no memory, and writing to one has no effect on later ones.

    If a step overwrites an array that a replay has stored, the agent silently learns from the wrong
    observation.

    Fix: return copies of buffers, of cached goals, and of slices of other entries.
    """
    for episode in subject.recordings:
        for moment in episode:
            _refuse_shared(moment, moment)
        for before, after in pairwise(episode):
            _refuse_shared(before, after)
        for moment in episode:
            if key := _difference(moment.observation, moment.held):
                raise CheckFailedError(f"{key!r} of {moment.place} was changed by a later step")
    choose = subject.random_actions()
    observation, _ = subject.env.reset(seed=subject.seed)
    for step, undisturbed in enumerate(subject.recordings[0][1 : _FEW_STEPS + 1]):
        for array in observation.values():
            if isinstance(array, np.ndarray):
                array[...] = array.dtype.type(1)
        observation, *_ = subject.env.step(choose(step))
        if key := _difference(undisturbed.observation, observation):
            raise CheckFailedError(
                f"writing to the arrays returned earlier changes {key!r} of {undisturbed.place}"
            )


def keeps_its_goal(subject: GoalEnvSubject) -> None:
    """The desired goal stays the same from the reset to the end of the episode.

    Fix: choose the goal in ``reset`` only.
    """
    for before, after in subject.steps:
        first, then = (moment.observation["desired_goal"] for moment in (before, after))
        if not np.array_equal(first, then):
            raise CheckFailedError(f"desired_goal changed at {after.place}")


def hides_its_labels(subject: GoalEnvSubject) -> None:
    """No label of the info appears as a number in the observation: labels are for evaluation only.

    Fix: return entity labels only in ``info``; observations show what a camera would show.
    """
    tables: list[Any] = [moment.info.get("labels") for moment in subject.moments]
    if not all(tables):
        raise NotApplicableError("the info has no labels")
    for key in subject.recordings[0][0].observation:
        values = np.array([np.ravel(moment.observation[key]) for moment in subject.moments])
        if not np.issubdtype(values.dtype, np.floating):
            continue
        # Only labels of every moment: an entity may be out of sight.
        for name in sorted(set.intersection(*map(set, tables))):
            label = np.array([table[name] for table in tables], values.dtype)
            if len(set(label.tolist())) < _FEWEST_VALUES:
                continue
            if shown := np.flatnonzero((values == label[:, None]).all(axis=0)).tolist():
                raise CheckFailedError(f"observation[{key!r}][{shown[0]}] is the label {name!r}")


def _refuse_shared(one: TimeStep, other: TimeStep) -> None:
    """Raise if two entries, of the same observation or of two, share memory.

    Raises:
        CheckFailedError: two entries share memory.
    """
    entries = list(one.held.items())
    pairs = (
        combinations(entries, 2)
        if one is other
        else ((mine, theirs) for mine in entries for theirs in other.held.items())
    )
    for (key, array), (other_key, other_array) in pairs:
        if np.shares_memory(array, other_array):
            where = "same" if one is other else "next"
            raise CheckFailedError(
                f"{key!r} shares memory with {other_key!r} of the {where} observation"
            )


def _difference(one: dict[str, NDArray[Any]], other: dict[str, NDArray[Any]]) -> str:
    """Return the first key at which two observations differ; an empty string if they are equal."""
    return next((key for key in one if not np.array_equal(one[key], other[key])), "")
