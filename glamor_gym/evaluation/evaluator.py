"""Evaluate an agent on the fixed goals of a task (§4.4 of the paper).

In: an agent with the ``predict`` of Stable-Baselines3 and the id of a goal environment. Out: an
:class:`~glamor_gym.types.EvaluationResult`: the success rate by labels with its interval, the rate
of equal pictures, and the success rates of the random and no-op agents on the same goals and seeds.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch

from glamor_gym.checks import as_integer
from glamor_gym.evaluation.arena import Arena
from glamor_gym.evaluation.baselines import NoopAgent, Predictor, RandomAgent
from glamor_gym.evaluation.intervals import wilson_interval
from glamor_gym.evaluation.isolation import isolated
from glamor_gym.evaluation.rollout import Episode
from glamor_gym.types import EvaluationResult
from glamor_gym.wrappers import label_tolerance

Key = TypeVar("Key", int, str)


def evaluate(
    agent: Predictor,
    id: str,
    *,
    episodes_per_goal: int = 1,
    seed: int = 0,
    n_envs: int = 10,
    device: str | torch.device | None = None,
    goals: str | os.PathLike[str] = "eval",
    env_kwargs: Mapping[str, Any] | None = None,
    deterministic: bool = True,
    baselines: bool | EvaluationResult = True,
    record: int = 6,
    progress_bar: bool = False,
) -> EvaluationResult:
    """Evaluate an agent on every fixed goal of a task.

    An episode is a success if, when the agent stops or the horizon is reached, every label differs
    from the goal's by less than 10 % of its feasible range (§4.4). The start of an episode depends
    only on `seed`, its goal and its repeat, so that all agents get the same starts. The agent's
    ``generator``, ``rng`` and ``action_space`` and the global generators of Python, NumPy and
    PyTorch are seeded for the evaluation and restored afterwards, so that it does not affect a
    training run around it.

    Args:
        agent: anything with ``predict(observation, state, episode_start, deterministic)`` as in
            Stable-Baselines3; called once per step, with a batch of `n_envs` observations.
        id: id of a registered goal environment, e.g. ``"glamor/Pong-v0"``, or its short name,
            e.g. ``"Pong"``.
        episodes_per_goal: number of episodes per goal, each with another start.
        seed: seed of the starts, of the random agent and of the generators above; 0 or larger.
        n_envs: number of environments to step in parallel (at most the number of episodes). An
            agent that samples its actions draws other ones if the batch size changes.
        device: device of the agent's networks during the evaluation, e.g. ``"cuda"``; they are
            moved back afterwards. None leaves them where they are.
        goals: which goals: ``"eval"`` for the fixed ones; otherwise as in ``gym.make``.
        env_kwargs: further keyword arguments of ``gym.make``, e.g. ``{"render_profile": "fast"}``.
        deterministic: passed to ``agent.predict``.
        baselines: whether to evaluate the random and the no-op agent too (False leaves their rates
            NaN); or an earlier result for the same task, goals, `env_kwargs`, `seed` and number of
            episodes, whose baseline rates are reused.
        record: number of goals, evenly spaced over all of them, for which the frames of the first
            episode are kept.
        progress_bar: whether to show the number of episodes played on stderr.

    Returns:
        The rates over all goals × `episodes_per_goal` episodes.

    Raises:
        TypeError: `agent` has no ``predict``, or another argument is of the wrong type.
        ValueError: `id` is unknown or is not a goal environment, a number is out of range, the
            agent was made for another action space or for normalised observations, cannot be moved
            to `device` or did not return one valid action per observation, or `baselines` is the
            result of other episodes.
    """
    record = as_integer(record, name="record", low=0)
    with Arena(
        id,
        goals=goals,
        episodes_per_goal=episodes_per_goal,
        seed=seed,
        n_envs=n_envs,
        env_kwargs=env_kwargs,
        progress_bar=progress_bar,
    ) as arena:
        return evaluate_in(
            arena,
            agent,
            device=device,
            deterministic=deterministic,
            baselines=baselines,
            record=record,
        )


def evaluate_in(
    arena: Arena,
    agent: Predictor,
    *,
    device: str | torch.device | None = None,
    deterministic: bool = True,
    baselines: bool | EvaluationResult = True,
    record: int = 6,
) -> EvaluationResult:
    """Evaluate an agent in environments that are made already; see :func:`evaluate`."""
    arena.check_agent(agent)  # before time goes into the baselines
    reference = _baselines(arena, baselines)
    with isolated(agent, device, arena.seed):
        episodes = arena.play(
            agent,
            name=type(agent).__name__,
            deterministic=deterministic,
            record=record,
        )
    success_rate, confidence_interval = _success(episodes)
    return EvaluationResult(
        task=arena.task,
        success_rate=success_rate,
        confidence_interval=confidence_interval,
        image_match_rate=_share(episodes, lambda episode: episode.image_match),
        per_goal=_per_goal(episodes),
        per_label=_per_label(episodes, arena.ranges),
        reached_rate=_share(episodes, lambda episode: episode.reached),
        mean_length=float(np.mean([episode.length for episode in episodes])),
        episodes=len(episodes),
        seed=arena.seed,
        goals_hash=arena.goals_hash,
        goals=arena.goals,
        env_kwargs=arena.env_kwargs,
        distances=_distances(episodes, arena.ranges),
        frames=[episode.frames for episode in episodes if episode.frames is not None],
        **reference,
    )


def _baselines(arena: Arena, given: bool | EvaluationResult) -> dict[str, Any]:
    """Return the baselines' fields of a result: from an earlier one, measured now, or NaN.

    Raises:
        ValueError: the earlier result is of another task, other goals or other episodes.
    """
    if isinstance(given, EvaluationResult):
        _check_same_episodes(arena, given)
        names = ("random", "random_interval", "noop", "noop_interval")
        return {name: getattr(given, name) for name in names}
    fields: dict[str, Any] = {}
    for name, title, agent in (
        ("random", "random agent", RandomAgent(arena.stop_action, arena.seed)),
        ("noop", "no-op agent", NoopAgent(arena.stop_action)),
    ):
        rates = _success(arena.play(agent, name=title)) if given else (math.nan, (math.nan,) * 2)
        fields[name], fields[f"{name}_interval"] = rates
    return fields


def _check_same_episodes(arena: Arena, given: EvaluationResult) -> None:
    """Check that `given` is the result of the same episodes.

    Raises:
        ValueError: it is the result of others; the message names the field that differs.
    """
    wanted: dict[str, Any] = {
        "task": arena.task,
        "goals_hash": arena.goals_hash,
        "goals": arena.goals,
        "env_kwargs": arena.env_kwargs,
        "seed": arena.seed,
        "episodes": len(arena.episode_keys),
    }
    for name, value in wanted.items():
        there = getattr(given, name)
        if there != value:
            raise ValueError(
                f"baselines must be a result with the same {name}, {value!r}; got {there!r}"
            )


def _success(episodes: Sequence[Episode]) -> tuple[float, tuple[float, float]]:
    """Return the success rate and its 95 % interval."""
    successes = sum(episode.success for episode in episodes)
    return successes / len(episodes), wilson_interval(successes, len(episodes))


def _share(episodes: Sequence[Episode], holds: Callable[[Episode], bool]) -> float:
    return sum(map(holds, episodes)) / len(episodes)


def _per_goal(episodes: Sequence[Episode]) -> dict[int, float]:
    return _means((episode.key.goal, episode.success) for episode in episodes)


def _distances(episodes: Sequence[Episode], ranges: Mapping[str, float]) -> dict[int, float]:
    """Return the distance from start to goal, by goal index; a mean over the goal's episodes.

    The distance of an episode is that of the label farthest from its goal, in feasible ranges.
    """

    def distance(episode: Episode) -> float:
        return max(
            abs(value - episode.start_labels[label]) / (10 * label_tolerance(ranges[label]))
            for label, value in episode.goal_labels.items()
        )

    return _means(
        (episode.key.goal, distance(episode)) for episode in episodes if episode.goal_labels
    )


def _per_label(episodes: Sequence[Episode], ranges: Mapping[str, float]) -> dict[str, float]:
    """Return, by label, the share of episodes that ended within the label's tolerance.

    For each label, only the episodes whose goal has that label are counted.
    """
    return _means(
        (label, abs(episode.labels[label] - wanted) < label_tolerance(ranges[label]))
        for episode in episodes
        for label, wanted in episode.goal_labels.items()
    )


def _means(values: Iterable[tuple[Key, float]]) -> dict[Key, float]:
    """Return the mean value of each key."""
    by_key: defaultdict[Key, list[float]] = defaultdict(list)
    for key, value in values:
        by_key[key].append(value)
    return {key: sum(several) / len(several) for key, several in by_key.items()}
