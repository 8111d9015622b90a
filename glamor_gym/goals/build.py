"""Builds a goal set from random play: ranges of labels, and goals that are far apart (§4.4).

In: a row of the task table and a seed. Out: a :class:`~glamor_gym.goals.goal_set.GoalSet`.

1. :func:`measure_bounds`: the ends of random episodes of all lengths give the ranges of labels.
2. :func:`collect`: full-length random episodes, whose moments are the candidates.
3. :func:`choose_evaluation`: ends of episodes whose *labels* are far apart.
4. :func:`choose_training`: moments whose *pictures* are far apart. Labels are reserved for
   evaluation and have no influence on training goals.

A goal is a moment of play at most T steps after a reset, so that it can be reached, and never one
at which the world has terminated: if it terminates early (in Breakout, Montezuma's Revenge and
Qbert a life is soon lost), the last moment before counts as the end of the episode. A world that
can list its states needs no play: its goals are its states.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from tqdm.auto import tqdm

from glamor_gym.checks import as_integer
from glamor_gym.envs import make_world
from glamor_gym.goals.goal_list import GoalList
from glamor_gym.goals.goal_set import GoalSet
from glamor_gym.tasks import TASKS, Suite, Task, get_task
from glamor_gym.types import Goal, GoalKind, World
from glamor_gym.wrappers import DiscretizeActions, ScreenToFrame, label_tolerance
from glamor_gym.wrappers.actions import ActionTable

RANGE_EPISODES = 500
"""Number of random episodes from which the ranges of the labels are measured."""

MOST_GOALS = 1_000_000
"""Maximum number of goals in a list."""

N_EVALUATION, N_TRAINING = 30, 1000
"""Number of evaluation and training goals in a goal set of this package."""

MOMENTS_PER_EPISODE = 4
"""Training candidates per episode: its end and three earlier moments."""

THUMBNAIL_SIZE = (40, 52)
"""Height and width in pixels at which pictures are compared: half those of a frame."""

_LIBRARIES: Mapping[Suite, tuple[str, ...]] = MappingProxyType(
    {"atari": ("ale-py",), "control": ("dm-control", "mujoco", "shimmy"), "small": ()}
)

Bounds = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Candidate:
    """A moment of play that may become a goal.

    Attributes:
        content: what the world stores to show it.
        labels: (L,) float64, in the order of the task's labels.
        lagged_labels: (L,) float64, one step later.
        steps: number of steps after the reset.
    """

    content: NDArray[Any]
    labels: NDArray[np.float64]
    lagged_labels: NDArray[np.float64]
    steps: int


@dataclass(frozen=True)
class PlayedEpisode:
    """What is kept of one episode.

    Attributes:
        start_labels: (L,) float64, at the reset.
        moments: the requested moments that were reached, in order; if the world ended before the
            last of them, followed by the last moment before that end. Empty if the first step
            ended the episode.
        steps: number of steps taken.
    """

    start_labels: NDArray[np.float64]
    moments: tuple[Candidate, ...]
    steps: int


class TooFewEpisodesError(ValueError):
    """The episodes played did not give as many distinct goals as are needed."""


def build_goal_set(
    task: Task | str,
    *,
    seed: int = 0,
    episodes: int = 2000,
    n_evaluation: int = N_EVALUATION,
    n_training: int = N_TRAINING,
    progress_bar: bool = False,
) -> GoalSet:
    """Build the goal set of a task.

    The same seed gives the same set with the same versions of the simulators. (The choice of
    training goals of a control task also depends on the OpenGL driver that renders them.)

    Args:
        task: a row of the task table, or its name or id.
        seed: seed of worlds, actions and choices.
        episodes: number of full-length random episodes that the goals are chosen from.
        n_evaluation: number of evaluation goals.
        n_training: number of training goals.
        progress_bar: whether to show the number of these episodes played on stderr.

    Raises:
        ValueError: there is no such task, or a number is out of range.
        TooFewEpisodesError: `episodes` is too small for that many distinct goals.
        TypeError: a number is not an integer.
    """
    if not isinstance(task, Task):
        task = get_task(task)
    seed = as_integer(seed, name="seed", low=0)
    episodes = as_integer(episodes, name="episodes", low=1)
    n_evaluation = as_integer(n_evaluation, name="n_evaluation", low=1, high=MOST_GOALS)
    n_training = as_integer(n_training, name="n_training", low=1, high=MOST_GOALS)
    rng = np.random.default_rng(seed)
    with contextlib.closing(_explorable(task)) as world:
        world.reset(seed=int(rng.integers(2**31)))
        kind = cast(World, world.unwrapped).goal_kind
        if world.has_wrapper_attr("all_goals"):
            bounds, evaluation, training = _from_states(world, n_evaluation, n_training, rng)
            work = {"environment_steps": 0}
        else:
            bounds, range_steps = measure_bounds(world, task.horizon, rng)
            played = collect(world, task.horizon, rng, episodes, progress_bar)
            evaluation = choose_evaluation(played, bounds, task.horizon, n_evaluation, rng)
            moments = [moment for episode in played for moment in episode.moments]
            screens = make_world(task, frame_size=THUMBNAIL_SIZE, render_profile="fast")
            painter = ScreenToFrame(screens, THUMBNAIL_SIZE)
            with contextlib.closing(painter):
                painter.reset(seed=seed)
                training = choose_training(moments, painter.goal_screen, n_training, rng)
            work = {
                "episodes": episodes,
                "range_episodes": RANGE_EPISODES,
                "environment_steps": range_steps + sum(episode.steps for episode in played),
            }
    command = {}
    if TASKS.get(task.name) == task:  # no command knows a task of one's own
        command = {"command": _command(task, seed, episodes, n_evaluation, n_training)}
    libraries = ("glamor-gym", "gymnasium", "numpy", *_LIBRARIES[task.suite])
    return GoalSet(
        task.name,
        evaluation=_goal_list(kind, bounds, evaluation),
        training=_goal_list(kind, bounds, training),
        bounds=bounds,
        provenance={
            **command,
            "seed": seed,
            "versions": {name: importlib.metadata.version(name) for name in libraries},
            **work,
        },
    )


def play(world: gym.Env[Any, Any], rng: np.random.Generator, keep: Iterable[int]) -> PlayedEpisode:
    """Play one episode of uniformly random actions.

    The episode continues for one step after the last moment to keep, to obtain its lagged labels.

    Args:
        world: an environment with ``Discrete`` actions and labels.
        rng: draws the actions.
        keep: the moments to keep, in steps after the reset, from 1.
    """
    wanted = set(keep)
    source = cast(World, world.unwrapped)
    actions = cast(spaces.Discrete, world.action_space)
    _, info = world.reset()
    start_labels = _label_vector(info)
    moments: list[Candidate] = []
    before: tuple[NDArray[Any], NDArray[np.float64]] | None = None
    for steps in range(1, max(wanted) + 2):
        _, _, terminated, truncated, info = world.step(int(rng.integers(actions.n)))
        labels, over = _label_vector(info), terminated or truncated
        if before is not None and (over or steps - 1 in wanted):
            moments.append(Candidate(*before, lagged_labels=labels, steps=steps - 1))
        if over:
            break
        before = source.goal_content(), labels
    return PlayedEpisode(start_labels, tuple(moments), steps)


def measure_bounds(
    world: gym.Env[Any, Any], horizon: int, rng: np.random.Generator
) -> tuple[Bounds, int]:
    """Measure the bounds of each label in random play.

    Returns:
        Label → (minimum, maximum) over the ends of :data:`RANGE_EPISODES` random episodes with
        lengths uniform on {1 … horizon}; and the number of steps taken.
    """
    names = world.reset()[1]["labels"]
    lengths = rng.integers(1, horizon + 1, RANGE_EPISODES)
    played = [play(world, rng, [int(length)]) for length in lengths]
    ends = [episode.moments[-1].labels for episode in played if episode.moments]
    return _bounds(names, ends), sum(episode.steps for episode in played)


def collect(
    world: gym.Env[Any, Any],
    horizon: int,
    rng: np.random.Generator,
    episodes: int,
    progress_bar: bool = False,
) -> list[PlayedEpisode]:
    """Play random episodes up to the horizon; keep :data:`MOMENTS_PER_EPISODE` moments of each.

    These are the end of the episode and random earlier moments.
    """
    earlier = np.arange(1, horizon)
    played = []
    for _ in tqdm(range(episodes), "episodes", disable=not progress_bar):
        drawn = rng.choice(earlier, min(MOMENTS_PER_EPISODE - 1, len(earlier)), replace=False)
        played.append(play(world, rng, [*drawn.tolist(), horizon]))
    return played


def choose_evaluation(
    played: Sequence[PlayedEpisode],
    bounds: Mapping[str, tuple[float, float]],
    horizon: int,
    count: int,
    rng: np.random.Generator,
) -> list[Candidate]:
    """Choose ends of episodes whose labels are far apart, relative to their ranges.

    Goals that doing nothing would reach, and ends of episodes shorter than the horizon, are
    chosen only if there are fewer than `count` others.

    Raises:
        TooFewEpisodesError: there are fewer than `count` distinct ends of episodes.
    """
    lived = [episode for episode in played if episode.moments]
    ends = [episode.moments[-1] for episode in lived]
    tolerances = np.array([label_tolerance(high - low) for low, high in bounds.values()])
    labels = np.array([end.labels for end in ends]) / tolerances
    starts = np.array([episode.start_labels for episode in lived]) / tolerances
    left_start = (np.abs(labels - starts) >= 1).any(axis=1)
    full_length = np.array([end.steps == horizon for end in ends])
    merit = 2 * left_start + full_length
    distinct = _distinct(ends)
    for least in (3, 2, 1, 0):
        pool = distinct[merit[distinct] >= least]
        if len(pool) >= count:
            return [ends[pool[index]] for index in spread(labels[pool], count, rng)]
    raise TooFewEpisodesError(
        f"episodes must be larger: {len(played)} gave only {len(distinct)} distinct ends, "
        f"for {count} evaluation goals"
    )


def choose_training(
    moments: Sequence[Candidate],
    picture: Callable[[NDArray[Any]], NDArray[Any]],
    count: int,
    rng: np.random.Generator,
) -> list[Candidate]:
    """Choose moments whose pictures are far apart, pixel by pixel.

    Args:
        moments: the candidates.
        picture: returns a small picture of a content, of the same shape for all.
        count: number of moments to choose.
        rng: draws the order and the slots of :func:`spread`.

    Raises:
        TooFewEpisodesError: there are fewer than `count` distinct candidates.
    """
    pool = [moments[index] for index in _distinct(moments)]
    if len(pool) < count:
        raise TooFewEpisodesError(
            f"episodes must be larger: they gave only {len(pool)} distinct moments, "
            f"for {count} training goals"
        )
    pictures = np.stack([picture(moment.content).ravel() for moment in pool])
    return [pool[index] for index in spread(pictures, count, rng)]


def spread(points: NDArray[Any], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Choose points that are far apart, as a diverse goal buffer (§4.4; Warde-Farley et al., 2019).

    Points are visited in a random order. The first ones fill the slots; each later one replaces
    the point in a random slot if its nearest neighbour in the *other* slots is farther away than
    that point's. (:class:`~glamor_gym.replay.goal_buffer.GoalBuffer` receives frames one by one;
    here all points are known in advance, and distances are computed together.)

    Args:
        points: (n, d), of any real dtype.
        count: number of slots.
        rng: draws the order and the slots.

    Returns:
        (count,) int64, indices of the chosen points.

    Raises:
        ValueError: `count` is not in 1 … n.
    """
    count = as_integer(count, name="count", low=1, high=len(points))
    # Centring keeps the squares small, so that subtracting them loses little precision. Rounding
    # decides between equally distant points: other arithmetic would give other goal sets.
    points = (points - points.mean(axis=0)).astype(np.float32)
    squares = np.einsum("nd,nd->n", points, points)
    order = rng.permutation(len(points))
    chosen = order[:count].copy()
    kept = points[chosen]
    distances = squares[chosen, None] + squares[chosen] - 2 * kept @ kept.T
    np.fill_diagonal(distances, np.inf)
    slots = rng.integers(count, size=len(points) - count)
    for candidate, slot in zip(order[count:], slots, strict=True):
        away = squares[chosen] + squares[candidate] - 2 * kept @ points[candidate]
        away[slot] = np.inf
        if away.min() > distances[slot].min():
            chosen[slot], kept[slot] = candidate, points[candidate]
            distances[slot] = distances[:, slot] = away
    return chosen


def _command(task: Task, seed: int, episodes: int, n_evaluation: int, n_training: int) -> str:
    """Return the command that rebuilds a set, or a Python call if no command has its numbers."""
    if (n_evaluation, n_training) == (N_EVALUATION, N_TRAINING):
        return f"glamor-gym goals build {task.name} --seed {seed} --episodes {episodes}"
    return (
        f"build_goal_set({task.name!r}, seed={seed}, episodes={episodes}, "
        f"n_evaluation={n_evaluation}, n_training={n_training})"
    )


def _explorable(task: Task) -> gym.Env[Any, Any]:
    """Return the task's world with discrete actions and, for control tasks, without rendering."""
    world = make_world(task, render_profile=None)
    if isinstance(world.action_space, spaces.Box):
        world = DiscretizeActions(world, cast(ActionTable, task.actions))
    return world


def _from_states(
    world: gym.Env[Any, Any], n_evaluation: int, n_training: int, rng: np.random.Generator
) -> tuple[Bounds, list[Candidate], list[Candidate]]:
    """Return bounds, evaluation and training goals of a world that lists its states.

    The states are repeated equally often, as far as the numbers allow, but the start is not an
    evaluation goal. Nothing is played, so the lagged labels equal the labels.
    """
    _, info = world.reset()
    start = _label_vector(info)
    states = []
    for goal in cast(list[Goal], world.get_wrapper_attr("all_goals")()):
        labels = np.array([(goal.labels or {})[name] for name in info["labels"]])
        states.append(Candidate(goal.content, labels, lagged_labels=labels, steps=0))
    elsewhere = [state for state in states if not np.array_equal(state.labels, start)]
    far_apart = spread(
        np.stack([state.labels for state in elsewhere]), min(n_evaluation, len(elsewhere)), rng
    )
    evaluation = [elsewhere[index] for index in np.resize(far_apart, n_evaluation)]
    training = [states[index] for index in np.resize(np.arange(len(states)), n_training)]
    return _bounds(info["labels"], [state.labels for state in states]), evaluation, training


def _label_vector(info: Mapping[str, Any]) -> NDArray[np.float64]:
    return np.array(list(info["labels"].values()), np.float64)


def _bounds(names: Iterable[str], labels: Sequence[NDArray[np.float64]]) -> Bounds:
    low, high = np.min(labels, axis=0).tolist(), np.max(labels, axis=0).tolist()
    return dict(zip(names, zip(low, high, strict=True), strict=True))


def _distinct(moments: Sequence[Candidate]) -> NDArray[np.int64]:
    """Return the index of the first moment with each distinct content."""
    first: dict[bytes, int] = {}
    for index, moment in enumerate(moments):
        first.setdefault(hashlib.sha256(moment.content.data).digest(), index)
    return np.fromiter(first.values(), np.int64)


def _goal_list(kind: GoalKind, names: Iterable[str], moments: Sequence[Candidate]) -> GoalList:
    return GoalList(
        kind,
        tuple(names),
        np.stack([moment.content for moment in moments]),
        np.stack([moment.labels for moment in moments]),
        np.stack([moment.lagged_labels for moment in moments]),
    )
