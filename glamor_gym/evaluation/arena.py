"""The evaluation environments of a task, and the episodes that every agent plays in them.

In: the id of a goal environment, the number of episodes per goal and a seed. Out: the episodes of
each agent; all agents get the same starts.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Self, cast

import gymnasium as gym
import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from tqdm.auto import tqdm

from glamor_gym.checks import as_integer, as_path
from glamor_gym.evaluation.baselines import Predictor
from glamor_gym.evaluation.isolation import globals_seeded
from glamor_gym.evaluation.rollout import Episode, EpisodeKey, Moment, Observation, play
from glamor_gym.goals import load_goal_set
from glamor_gym.registration import find_env_id
from glamor_gym.tasks import find_task
from glamor_gym.types import Goal
from glamor_gym.wrappers.goal_rules import as_labels

MOST_REPEATS = 100_000
"""Maximum number of episodes per goal."""


class Arena:
    """The evaluation environments of one task and its list of episodes; a context manager.

    The environments are made at once and closed on exit.

    Args:
        id: id of a registered goal environment, e.g. ``"glamor/Pong-v0"``, or its short name,
            e.g. ``"Pong"``.
        goals: which goals, as in ``gym.make``.
        episodes_per_goal: number of episodes per goal, from 1 to :data:`MOST_REPEATS`.
        seed: seed from which the start of each episode is derived, 0 or larger.
        n_envs: number of environments to step in parallel, at least 1; no more are made than
            there are episodes.
        env_kwargs: further keyword arguments of ``gym.make``.
        progress_bar: whether to show the progress of each agent on stderr.

    Attributes:
        task: the full id.
        seed: the seed.
        episode_keys: the episodes that each agent plays, goal by goal.
        ranges: label → feasible range, from which the tolerance of success is computed.
        goals: which goals these are: ``"eval"``, ``"held-out"``, … or the name of a goal-set file.
        goals_hash: hash of the goal set for ``"eval"``, ``"train"`` and goal-set files; for any
            other goals, SHA-256 of the goals themselves.
        env_kwargs: the further keyword arguments, as JSON stores them.
        stop_action: index of STOP; the world's actions have the indices below it.

    Raises:
        ValueError: `id` is unknown or is not a goal environment, it cannot be made with `goals`
            and `env_kwargs`, or a number is out of range.
        TypeError: `id` is not a string, `goals` not a name or path, `env_kwargs` not a mapping, or
            a number not an integer.
    """

    def __init__(
        self,
        id: str,
        *,
        goals: str | os.PathLike[str] = "eval",
        episodes_per_goal: int = 1,
        seed: int = 0,
        n_envs: int = 10,
        env_kwargs: Mapping[str, Any] | None = None,
        progress_bar: bool = False,
    ) -> None:
        episodes_per_goal = as_integer(
            episodes_per_goal, name="episodes_per_goal", low=1, high=MOST_REPEATS
        )
        n_envs = as_integer(n_envs, name="n_envs", low=1)
        if not isinstance(id, str):
            raise TypeError(
                f"id must be the id of a registered environment such as 'glamor/Pong-v0', got "
                f"{type(id).__name__}; register an environment of your own by gym.register (see "
                "examples/custom_env.py)"
            )
        if not isinstance(env_kwargs, Mapping | None):
            raise TypeError(f"env_kwargs must be a dict, got {type(env_kwargs).__name__}")
        self.task = find_env_id(id)
        self.seed = as_integer(seed, name="seed", low=0)
        self._progress_bar = progress_bar
        self.env_kwargs: dict[str, Any] = json.loads(
            json.dumps(dict(env_kwargs or {}), default=str)
        )
        as_path(goals, name="goals")
        with contextlib.ExitStack() as opened:

            def make_env() -> gym.Env[Observation, np.int64]:
                env = _make(self.task, goals, env_kwargs or {})
                return opened.enter_context(contextlib.closing(env))

            first = make_env()
            self.ranges: Mapping[str, float] = first.get_wrapper_attr("ranges")
            self.stop_action = int(first.get_wrapper_attr("stop_action"))
            played: Sequence[Goal] = first.get_wrapper_attr("goals")
            self.goals = os.path.basename(goals)
            self.goals_hash = _goals_hash(self.task, goals, played)
            self.episode_keys = [
                EpisodeKey(goal, repeat)
                for goal in range(len(played))
                for repeat in range(episodes_per_goal)
            ]
            others = min(n_envs, len(self.episode_keys)) - 1
            self._envs = [first, *(make_env() for _ in range(others))]
            self._opened = opened.pop_all()

    @property
    def goal_space(self) -> gym.Space[Any]:
        """What goals are shown as: the space of ``desired_goal``."""
        return cast(gym.spaces.Dict, self._envs[0].observation_space)["desired_goal"]

    def replace_goals(self, goals: Sequence[Goal]) -> None:
        """Have other goals played instead, once each: those of no set.

        Args:
            goals: at least one, each of a kind that the world shows.
        """
        for env in self._envs:
            env.set_wrapper_attr("goals", goals)
        self.goals, self.goals_hash = "own", _hash_of(goals)
        self.episode_keys = [EpisodeKey(goal, 0) for goal in range(len(goals))]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the environments; further calls do nothing."""
        self._opened.close()

    def check_agent(self, agent: Any) -> None:
        """Check that an agent can play here.

        Raises:
            TypeError: it has no ``predict``.
            ValueError: it was made for another action space, or for observations that SB3's
                ``VecNormalize`` normalises.
        """
        if isinstance(agent, type) or not callable(getattr(agent, "predict", None)):
            got = f"the class {agent.__name__}" if isinstance(agent, type) else type(agent).__name__
            raise TypeError(f"agent must have a predict method as in Stable-Baselines3, got {got}")
        trained_for = getattr(agent, "action_space", self._envs[0].action_space)
        if trained_for != self._envs[0].action_space:
            raise ValueError(
                f"agent was made for the actions {trained_for}, {self.task} has "
                f"{self._envs[0].action_space}"
            )
        normaliser = agent.get_vec_normalize_env() if isinstance(agent, BaseAlgorithm) else None
        if normaliser is not None and normaliser.norm_obs:
            raise ValueError(
                f"agent was made for observations that VecNormalize normalises, which {self.task} "
                "does not: pass an object whose predict normalises them, or train with norm_obs="
                "False"
            )

    def play(
        self, agent: Predictor, *, name: str = "agent", deterministic: bool = True, record: int = 0
    ) -> list[Episode]:
        """Play all episodes with an agent.

        The global generators are seeded with the arena's seed and restored afterwards, so that an
        evaluation does not affect the training run around it. (Generators of the agent's own are
        not touched; see :func:`~glamor_gym.evaluation.isolation.isolated`.)

        Args:
            agent: anything with the ``predict`` of Stable-Baselines3.
            name: the agent's name in the progress bar.
            deterministic: passed to ``agent.predict``.
            record: number of goals, evenly spaced over all of them, for which the frames of the
                first episode are kept.

        Returns:
            One episode for each of ``episode_keys``, in the same order.

        Raises:
            TypeError: `agent` has no ``predict``.
            ValueError: `agent` was made for another action space or for normalised observations,
                or did not return one valid action per observation.
        """
        first_tries = [key for key in self.episode_keys if key.repeat == 0]
        shown = np.linspace(0, len(first_tries) - 1, min(record, len(first_tries))).round()
        playing = self.episodes(
            agent,
            self.episode_keys,
            deterministic=deterministic,
            record={first_tries[int(position)] for position in shown},
        )
        total, hidden = len(self.episode_keys), not self._progress_bar
        bar = tqdm(playing, name, total, leave=False, disable=hidden)
        return sorted(bar, key=lambda episode: episode.key)

    def episodes(
        self,
        agent: Predictor,
        keys: Sequence[EpisodeKey],
        *,
        deterministic: bool = True,
        record: Collection[EpisodeKey] = (),
        on_moment: Callable[[Moment], object] | None = None,
    ) -> Iterator[Episode]:
        """Play some episodes with an agent, and yield each one when it ends.

        The global generators are seeded with the arena's seed, and restored only when the
        iterator is exhausted or closed; see :meth:`play`.

        Args:
            agent: anything with the ``predict`` of Stable-Baselines3.
            keys: the episodes to play, at least as many as there are environments.
            deterministic: passed to ``agent.predict``.
            record: the episodes whose frames are kept.
            on_moment: called at every time step of every episode, and once when it is over.

        Yields:
            The episodes, in the order in which they end.

        Raises:
            TypeError: `agent` has no ``predict``.
            ValueError: `agent` was made for another action space or for normalised observations,
                or did not return one valid action per observation.
        """
        self.check_agent(agent)
        with globals_seeded(self.seed):
            yield from play(
                agent,
                self._envs,
                keys,
                seed=self.seed,
                deterministic=deterministic,
                record=record,
                on_moment=on_moment,
            )


def _make(
    task: str, goals: str | os.PathLike[str], env_kwargs: Mapping[str, Any]
) -> gym.Env[Observation, np.int64]:
    """Make one environment.

    Raises:
        ValueError: `task` does not take these arguments, or is not a goal environment.
    """
    try:
        env = gym.make(task, goals=goals, **env_kwargs)
    except TypeError as error:
        raise ValueError(
            f"{task} cannot be made with goals={goals!r}, env_kwargs={dict(env_kwargs)}: {error}"
        ) from error
    missing = [
        name for name in ("goals", "ranges", "stop_action") if not env.has_wrapper_attr(name)
    ]
    if missing:
        env.close()
        raise ValueError(
            f"id must name a goal environment; {task} has no {', '.join(missing)}: build it with "
            "glamor_gym.wrappers.GoalEnv, see examples/custom_env.py"
        )
    return env


def _goals_hash(task: str, goals: str | os.PathLike[str], played: Sequence[Goal]) -> str:
    if goals in ("train", "eval") and find_task(task) is not None:
        return load_goal_set(task).hash
    if os.fspath(goals).endswith(".npz"):
        return load_goal_set(goals).hash
    return _hash_of(played)


def _hash_of(goals: Sequence[Goal]) -> str:
    digest = hashlib.sha256()
    for goal in goals:
        digest.update(goal.content.tobytes())
        digest.update(json.dumps(as_labels(goal.labels or {}), sort_keys=True).encode())
    return digest.hexdigest()
