"""The films of a benchmark: for each task, the goal that sets its algorithms apart.

In: the runs of a task. Out: a :class:`FilmRow`, one episode of each algorithm towards one goal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from glamor_gym.evaluation import RunFolder
from glamor_gym.experiments.algorithms import title_of
from glamor_gym.types import EpisodeFrames

RunsByKey = Mapping[tuple[str, str, int], RunFolder]
"""Task, algorithm and seed → the folder of that run."""


@dataclass(frozen=True)
class FilmRow:
    """One goal of a task, and an episode of each algorithm towards it."""

    task: str
    goal: EpisodeFrames
    shown: list[tuple[str, EpisodeFrames]]


def film_of(task: str, agents: Sequence[str], runs: RunsByKey) -> FilmRow | None:
    """Return the recorded goal on which the algorithms' first seeds differ most, if any."""
    episodes: dict[str, dict[int, EpisodeFrames]] = {}
    for agent in agents:
        seeds = [seed for name, other, seed in runs if (name, other) == (task, agent)]
        if seeds:
            recorded = _recorded(runs[task, agent, min(seeds)])
            episodes[agent] = {episode.goal_index: episode for episode in recorded}
    shared = set.intersection(*map(set, episodes.values())) if episodes else set()
    if not shared:
        return None

    def difference(goal: int) -> int:
        reached = sum(by_goal[goal].success for by_goal in episodes.values())
        return min(reached, len(episodes) - reached)

    goal = max(sorted(shared), key=difference)
    shown = [(title_of(agent), by_goal[goal]) for agent, by_goal in episodes.items()]
    return FilmRow(task, shown[0][1], shown)


def _recorded(run: RunFolder) -> Sequence[EpisodeFrames]:
    """Return the recorded episodes of a run; none if they are damaged, as only films need them."""
    try:
        result = run.evaluation()
    except ValueError:
        return []
    return [] if result is None else result.frames
