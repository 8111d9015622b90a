"""Aliasing: equal pictures with different labels, and goals that are reached by chance.

In: a task. Out: an :class:`Aliasing`: how often random play shows the same picture for states with
different labels; the success rates of the random and the no-op agent; and an upper bound on success
if goal labels were read one step after the goal picture (``label_lag=1``, as in the code the
paper's authors released), which holds even for an agent that reproduces every picture exactly.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import gymnasium as gym
import numpy as np
import pandas as pd
from gymnasium import spaces
from numpy.typing import NDArray
from tqdm.auto import tqdm

from glamor_gym.evaluation import NoopAgent, RandomAgent, wilson_interval
from glamor_gym.evaluation.arena import Arena
from glamor_gym.evaluation.baselines import Predictor
from glamor_gym.goals import load_goal_set
from glamor_gym.tasks import Task
from glamor_gym.wrappers import label_tolerance, make_pipeline


class Share(NamedTuple):
    """A proportion with its 95 % Wilson interval."""

    rate: float
    low: float
    high: float
    of: int
    """Number of cases."""


@dataclass(frozen=True)
class Example:
    """The picture whose labels differ most.

    Attributes:
        picture: uint8 (H, W), or float32 (d,) for vectors.
        times: number of moments that show it.
        low: label → its smallest value under this picture.
        high: label → its largest value under this picture.
    """

    picture: NDArray[Any]
    times: int
    low: dict[str, float]
    high: dict[str, float]


@dataclass(frozen=True)
class Aliasing:
    """Aliasing of one task.

    Attributes:
        task: name of the task.
        episodes: number of random episodes.
        full_length: number of episodes that lasted all T steps.
        frames: number of moments compared: those after each step that did not end the game.
        pictures: number of different pictures among them.
        aliased: share of moments whose picture also occurs with other labels.
        ambiguous: share of moments whose picture also occurs with labels too far from theirs to
            count as the same goal.
        pairs_differ: share of pairs of moments with the same picture whose labels differ; NaN if no
            picture occurs twice.
        random: success rate of the random agent on the task's 30 goals.
        noop: success rate of the no-op agent, which ends every episode at once.
        lag_ceiling: share of full-length episodes whose last two moments count as the same goal: an
            upper bound on success if labels were read one step after pictures; None if no episode
            has full length.
        lag_ceiling_goals: the same for the task's 30 goals and the labels one step after them.
        example: the picture whose labels differ most; None if nothing is aliased.
    """

    task: str
    episodes: int
    full_length: int
    frames: int
    pictures: int
    aliased: float
    ambiguous: float
    pairs_differ: float
    random: Share
    noop: Share
    lag_ceiling: Share | None
    lag_ceiling_goals: Share
    example: Example | None


def measure_aliasing(
    task: Task,
    *,
    episodes: int = 500,
    episodes_per_goal: int = 5,
    seed: int = 0,
    progress_bar: bool = False,
) -> Aliasing:
    """Measure aliasing on a task, from random play.

    Args:
        task: a row of the task table, whose horizon is longer than one step.
        episodes: number of random episodes whose pictures are compared.
        episodes_per_goal: episodes per goal for the random and the no-op agent.
        seed: random seed of environments and actions.
        progress_bar: whether to show the number of random episodes played on stderr.
    """
    goals = load_goal_set(task.name)
    tolerances = np.array([label_tolerance(extent) for extent in goals.ranges.values()])
    play = _play(task, episodes, seed, progress_bar)
    counts = count_aliases(picture_numbers(play.frames), play.labels, tolerances)
    near_end = _near(play.last_steps[:, 0], play.last_steps[:, 1], tolerances)
    near_goal = _near(goals.evaluation.labels, goals.evaluation.lagged_labels, tolerances)
    with Arena(task.id, episodes_per_goal=episodes_per_goal, seed=seed) as arena:
        random = _reached(arena, RandomAgent(arena.stop_action, seed))
        noop = _reached(arena, NoopAgent(arena.stop_action))
    return Aliasing(
        task=task.name,
        episodes=episodes,
        full_length=len(play.last_steps),
        frames=len(play.frames),
        pictures=counts.pictures,
        # Moments of an episode depend on each other, and more moments alias more: no interval.
        aliased=float(counts.aliased.mean()),
        ambiguous=float(counts.ambiguous.mean()),
        pairs_differ=counts.pairs_differ,
        random=random,
        noop=noop,
        lag_ceiling=_share(near_end) if len(near_end) else None,
        lag_ceiling_goals=_share(near_goal),
        example=_example(play, counts, goals.label_names),
    )


# ------------------------------------------------------------------------------ counting


class Counts(NamedTuple):
    """Result of :func:`count_aliases` for n moments."""

    pictures: int
    """Number of different pictures."""
    aliased: NDArray[np.bool_]
    """(n,) whether the moment's picture also occurs with other labels."""
    ambiguous: NDArray[np.bool_]
    """(n,) whether it also occurs with labels beyond the tolerance from the moment's own."""
    disagreement: NDArray[np.float64]
    """(n,) largest difference of a label under the same picture, in tolerances."""
    pairs_differ: float
    """Share of the pairs with the same picture whose labels differ; NaN without such pairs."""


def picture_numbers(frames: NDArray[Any]) -> NDArray[np.int64]:
    """Return (n,) the number, from 0 up, of the picture that each of n frames shows.

    Frames are compared by their 128-bit hashes (BLAKE2b).
    """
    digests = [hashlib.blake2b(frame.tobytes(), digest_size=16).digest() for frame in frames]
    return pd.factorize(np.array(digests, dtype=object))[0]


def count_aliases(
    pictures: NDArray[np.int64], labels: NDArray[np.float64], tolerances: NDArray[np.float64]
) -> Counts:
    """Compare the labels of moments that show the same picture.

    Args:
        pictures: return value of :func:`picture_numbers`, n ≥ 1.
        labels: (n, L) labels at the same moments.
        tolerances: (L,) difference from a goal's label below which each label counts as reached.
    """
    sizes = np.bincount(pictures)
    by_picture = pd.DataFrame(labels).groupby(pictures)
    low, high = (by_picture.transform(end).to_numpy() for end in ("min", "max"))
    farthest = (np.maximum(high - labels, labels - low) / tolerances).max(axis=1)

    # Pairs with the same picture, minus those that also have the same labels.
    _, state_sizes = np.unique(np.column_stack([pictures, labels]), axis=0, return_counts=True)
    same_picture, same_state = _pairs(sizes), _pairs(state_sizes)
    return Counts(
        pictures=len(sizes),
        aliased=(high != low).any(axis=1),
        ambiguous=farthest >= 1,
        disagreement=((high - low) / tolerances).max(axis=1),
        pairs_differ=(same_picture - same_state) / same_picture if same_picture else float("nan"),
    )


def _pairs(sizes: NDArray[np.int64]) -> int:
    return int((sizes * (sizes - 1) // 2).sum())


def _near(
    labels: NDArray[np.float64], others: NDArray[np.float64], tolerances: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return (n,) whether each row of `labels` (n, L) is within tolerance of that of `others`."""
    return np.asarray((np.abs(others - labels) < tolerances).all(axis=1))


def _share(holds: NDArray[np.bool_]) -> Share:
    count, total = int(holds.sum()), len(holds)
    return Share(count / total, *wilson_interval(count, total), total)


def _example(play: _Play, counts: Counts, names: tuple[str, ...]) -> Example | None:
    if not counts.aliased.any():
        return None
    picture = play.frames[counts.disagreement.argmax()]
    same = (play.frames == picture).reshape(len(play.frames), -1).all(axis=1)
    low, high = play.labels[same].min(axis=0), play.labels[same].max(axis=0)
    return Example(
        picture=picture[0] if picture.ndim == 3 else picture,
        times=int(same.sum()),
        low=dict(zip(names, low.tolist(), strict=True)),
        high=dict(zip(names, high.tolist(), strict=True)),
    )


# ------------------------------------------------------------------------------- playing


class _Play(NamedTuple):
    """Moments of random play."""

    frames: NDArray[Any]
    """(n, …) one observation per moment, without frame stacking."""
    labels: NDArray[np.float64]
    """(n, L)."""
    last_steps: NDArray[np.float64]
    """(m, 2, L) labels at the last two moments of each full-length episode."""


def _play(task: Task, episodes: int, seed: int, progress_bar: bool) -> _Play:
    world = make_pipeline(task, render_profile="fast")
    rng = np.random.default_rng(seed)
    world.reset(seed=seed)
    space = cast(spaces.Box, world.observation_space)
    frames = np.empty((episodes * task.horizon, *space.shape), space.dtype)
    labels = np.empty((len(frames), len(task.labels)))
    last_steps = []
    kept = 0
    for _ in tqdm(range(episodes), f"{task.name}: episodes", disable=not progress_bar):
        length = _play_episode(world, rng, frames[kept:], labels[kept:], task.horizon)
        kept += length
        if length == task.horizon > 1:
            last_steps.append(labels[kept - 2 : kept])
    world.close()
    pairs = np.stack(last_steps) if last_steps else np.empty((0, 2, len(task.labels)))
    return _Play(frames[:kept], labels[:kept], pairs)


def _play_episode(
    world: gym.Env[Any, Any],
    rng: np.random.Generator,
    frames: NDArray[Any],
    labels: NDArray[np.float64],
    horizon: int,
) -> int:
    """Write one episode to the start of the arrays; return its number of moments."""
    actions = cast(spaces.Discrete, world.action_space)
    world.reset()
    for step in range(horizon):
        frame, _, terminated, truncated, info = world.step(int(rng.integers(actions.n)))
        if terminated or truncated:
            return step
        frames[step] = frame
        labels[step] = list(info["labels"].values())
    return horizon


def _reached(arena: Arena, agent: Predictor) -> Share:
    return _share(np.array([episode.success for episode in arena.play(agent)]))
