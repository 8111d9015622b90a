"""Checks of registered environments: serialising the spec, making vectors, closing."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode

from glamor_gym.conformance.recording import GoalEnvSubject, play
from glamor_gym.conformance.report import CheckFailedError, NotApplicableError

_N_ENVS = 2


def is_described_by_json(subject: GoalEnvSubject) -> None:
    """The spec can be saved as JSON and restored, so that a run can be recorded and repeated.

    Fix: register a string ``"module:name"`` as entry point, and only keyword arguments that JSON
    can represent; make wrappers inherit from ``RecordConstructorArgs``.
    """
    spec = _spec(subject)
    again = EnvSpec.from_json(spec.to_json())
    if again.to_json() != spec.to_json():  # compared as JSON, as tuples come back as lists
        raise CheckFailedError(f"the spec restored from JSON is {again}")


def can_be_sent_to_a_worker(subject: GoalEnvSubject) -> None:
    """The spec can be pickled, so that a worker process can make the environment.

    Fix: use no lambdas or open files as keyword arguments.
    """
    spec = _spec(subject)
    again = pickle.loads(pickle.dumps(spec))
    if again != spec:
        raise CheckFailedError(f"the spec restored from a pickle is {again}")


def is_the_same_in_a_vector(subject: GoalEnvSubject) -> None:
    """``gym.make_vec`` returns the same first episodes as single environments with the same seeds.

    Observations, rewards and ends are compared, not infos, up to the first end in any environment.
    The last observation of that episode is compared too: a vector environment with autoreset may
    return the first observation of the next episode in its place.

    Fix: make the vector entry point, if there is one, behave like the single one; with
    ``AutoresetMode.SAME_STEP``, put the last observation into ``infos["final_obs"]``.
    """
    spec = _spec(subject)
    if spec.additional_wrappers:
        raise NotApplicableError("the environment was wrapped after gym.make")
    choose = subject.random_actions()
    actions = [choose(step) for step in range(subject.most_steps)]
    singles = []
    for index in range(_N_ENVS):
        seed = subject.seed + index
        with contextlib.closing(spec.make()) as single:
            singles.append(play(single, actions.__getitem__, seed=seed, most=len(actions)))
    with contextlib.closing(gym.make_vec(copy.deepcopy(spec), num_envs=_N_ENVS)) as vector:
        resets_at_once = vector.metadata.get("autoreset_mode") == AutoresetMode.SAME_STEP
        infos: dict[str, Any]
        observations, infos = vector.reset(seed=subject.seed)
        for step in range(min(map(len, singles))):
            for index, episode in enumerate(singles):
                seen = {key: value[index] for key, value in observations.items()}
                if step and episode[step].over and resets_at_once:
                    seen = infos["final_obs"][index]
                for key, value in episode[step].observation.items():
                    if not np.array_equal(seen[key], value):
                        when = "at the end" if episode[step].over else f"after step {step}"
                        raise CheckFailedError(f"{key!r} differs {when} in environment {index}")
            if any(episode[step].over for episode in singles):
                break
            batch = np.stack([actions[step]] * _N_ENVS)
            observations, rewards, terminated, truncated, infos = vector.step(batch)
            for index, episode in enumerate(singles):
                after: Any = episode[step + 1]
                returned = rewards[index], terminated[index], truncated[index]
                if returned != (after.reward, after.terminated, after.truncated):
                    raise CheckFailedError(
                        f"reward or end differs after step {step + 1} in environment {index}"
                    )


def can_be_closed_twice(subject: GoalEnvSubject) -> None:
    """The environment can be closed, and closing it again does nothing.

    Fix: make ``close`` return at once if the environment is closed already.
    """
    # Without the wrappers, as not every one can be made again from the spec.
    env = dataclasses.replace(_spec(subject), additional_wrappers=()).make()
    env.reset(seed=subject.seed)
    env.close()
    env.close()


def _spec(subject: GoalEnvSubject) -> EnvSpec:
    spec = subject.env.spec
    if spec is None:
        raise NotApplicableError("the environment was not made by gym.make, so it has no spec")
    return spec
