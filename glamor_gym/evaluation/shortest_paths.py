"""How often an agent takes a shortest way (Fig. 3a of the paper).

In: an agent, and a small world whose labels are coordinates on an empty grid. Out: the share of
its goals that the agent reaches with the fewest moves there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glamor_gym.evaluation.arena import Arena
from glamor_gym.evaluation.baselines import Predictor
from glamor_gym.evaluation.rollout import Episode


def shortest_path_rate(
    agent: Predictor,
    id: str = "glamor/GridWorld-v0",
    *,
    seed: int = 0,
    n_envs: int = 49,
    env_kwargs: Mapping[str, Any] | None = None,
    deterministic: bool = True,
    must_stop: bool = True,
) -> float:
    """Return the share of all goals that are reached with the fewest moves.

    Args:
        agent: anything with the ``predict`` of Stable-Baselines3.
        id: a goal environment with ``goals="all"``, whose labels are the coordinates, in cells,
            on a grid without obstacles: the fewest moves are the Manhattan distance.
        seed: of the starts and of PyTorch.
        n_envs: how many environments run side by side.
        env_kwargs: further keyword arguments of ``gym.make``.
        deterministic: handed to ``agent.predict``.
        must_stop: whether the agent has to stop there itself (to walk on and be found at the goal
            when the time is up then counts only where the fewest moves take the whole horizon),
            or has only to come by, which is all that an agent without a use for STOP can do.

    Raises:
        TypeError: `agent` has no ``predict``.
        ValueError: as in :func:`~glamor_gym.evaluate`.
    """
    with Arena(id, goals="all", seed=seed, n_envs=n_envs, env_kwargs=env_kwargs) as arena:
        episodes = arena.play(agent, deterministic=deterministic)
    if must_stop:
        return sum(e.success and e.length == fewest_moves(e) for e in episodes) / len(episodes)
    return sum(e.arrival == fewest_moves(e) for e in episodes) / len(episodes)


def fewest_moves(episode: Episode) -> int:
    """Return the fewest moves from the start of an episode to its goal: the Manhattan distance."""
    distance = sum(
        abs(episode.goal_labels[axis] - episode.start_labels[axis]) for axis in episode.goal_labels
    )
    return round(distance)
