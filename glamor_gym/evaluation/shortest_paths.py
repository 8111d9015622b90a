"""How often an agent takes a shortest path (Fig. 3a of the paper).

In: an agent, and a small world whose labels are coordinates on an empty grid. Out: the share of
its goals that the agent reaches in the minimum number of moves.
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
    """Return the share of all goals that are reached in the minimum number of moves.

    Args:
        agent: anything with the ``predict`` of Stable-Baselines3.
        id: a goal environment with ``goals="all"``, whose labels are the coordinates, in cells,
            on a grid without obstacles: the minimum number of moves is the Manhattan distance.
        seed: seed of the starts and of the global generators.
        n_envs: number of environments to step in parallel.
        env_kwargs: further keyword arguments of ``gym.make``.
        deterministic: passed to ``agent.predict``.
        must_stop: True counts an episode if it ends at the goal after the minimum number of moves,
            by STOP or because these take the whole horizon. False counts it if the agent first
            reaches the goal after that number, whatever it does next: for agents that do not use
            STOP.

    Raises:
        TypeError: `agent` has no ``predict``.
        ValueError: an argument is not allowed by :class:`~glamor_gym.evaluation.arena.Arena`, or
            the agent did not return one valid action per observation.
    """
    with Arena(id, goals="all", seed=seed, n_envs=n_envs, env_kwargs=env_kwargs) as arena:
        episodes = arena.play(agent, deterministic=deterministic)
    if must_stop:
        return sum(e.success and e.length == fewest_moves(e) for e in episodes) / len(episodes)
    return sum(e.arrival == fewest_moves(e) for e in episodes) / len(episodes)


def fewest_moves(episode: Episode) -> int:
    """Return the minimum number of moves from start to goal: the Manhattan distance."""
    distance = sum(
        abs(episode.goal_labels[axis] - episode.start_labels[axis]) for axis in episode.goal_labels
    )
    return round(distance)
