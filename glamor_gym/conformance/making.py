"""Checks of what can be done with a registered environment: kept, sent, made many of, closed."""

from __future__ import annotations

import contextlib
import copy
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
    """The spec survives JSON, so that a run can be written down and made again.

    Mend: register a string ``"module:name"`` as entry point and keyword arguments that JSON can
    hold; give wrappers ``RecordConstructorArgs``.
    """
    spec = _spec(subject)
    again = EnvSpec.from_json(spec.to_json())
    if again.to_json() != spec.to_json():  # a tuple is as good as the list that comes back
        raise CheckFailedError(f"the spec comes back from JSON as {again}")


def can_be_sent_to_a_worker(subject: GoalEnvSubject) -> None:
    """The spec survives pickling, so that a worker process can make the environment.

    Mend: no lambdas or open files among the keyword arguments.
    """
    spec = _spec(subject)
    again = pickle.loads(pickle.dumps(spec))
    if again != spec:
        raise CheckFailedError(f"the spec comes back from pickling as {again}")


def is_the_same_in_a_vector(subject: GoalEnvSubject) -> None:
    """``gym.make_vec`` gives frame for frame what single environments with its seeds give.

    The last observation of an episode is compared too: a vector that resets by itself may return
    the next episode's first in its place.

    Mend: where there is a vector entry point, keep it in step with the single one; with
    ``AutoresetMode.SAME_STEP`` put the last observation into ``infos["final_obs"]``.
    """
    spec = _spec(subject)
    if spec.additional_wrappers:
        raise NotApplicableError("the environment was wrapped after it was made")
    choose = subject.random_actions()
    actions = [choose(step) for step in range(subject.most_steps)]
    singles = []
    for index in range(_N_ENVS):
        seed = subject.seed + index
        with contextlib.closing(spec.make()) as single:
            singles.append(play(single, actions.__getitem__, seed=seed, most=len(actions)))
    vector = gym.make_vec(copy.deepcopy(spec), num_envs=_N_ENVS)
    try:
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
    finally:
        vector.close()


def can_be_closed_twice(subject: GoalEnvSubject) -> None:
    """Closing ends what was opened, and closing again does nothing.

    Mend: remember in ``close`` that it was done.
    """
    env = _spec(subject).make()
    env.reset(seed=subject.seed)
    env.close()
    env.close()


def _spec(subject: GoalEnvSubject) -> EnvSpec:
    spec = subject.env.spec
    if spec is None:
        raise NotApplicableError("it was not made by gym.make, so that it has no spec")
    return spec
