"""``glamor-gym watch``: a video of an agent trying to reach goals.

In: :class:`~glamor_gym.commands.options.Watch`. Out: a video with the agent's plans shown below the
pictures, and a table of the episodes on the terminal.
"""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from PIL import Image
from rich.table import Table
from tqdm.auto import tqdm

from glamor_gym.agents import GlamorAgent
from glamor_gym.checks import as_integer
from glamor_gym.commands.console import terminal
from glamor_gym.commands.errors import MISSING, checking_input
from glamor_gym.commands.options import Watch
from glamor_gym.commands.saved_agent import find_agent
from glamor_gym.devices import checked_device
from glamor_gym.evaluation.arena import Arena
from glamor_gym.evaluation.filming import Camera, Scene
from glamor_gym.evaluation.isolation import isolated
from glamor_gym.evaluation.rollout import Episode, EpisodeKey
from glamor_gym.files import check_writable
from glamor_gym.report.films import FORMATS, MOST_FPS, write_film
from glamor_gym.report.scenes import frames_of
from glamor_gym.types import Goal
from glamor_gym.wrappers.frames import to_frame

EPISODES = 6
"""Number of goals to show by default."""

MOST_EPISODES = 1000

FILM = "watch.mp4"
"""Default file name of a video."""


def watch(options: Watch, _command: str) -> int:
    """Record a video of a saved agent and print the outcome of its episodes.

    Raises:
        InputError: there is no such agent, task or goal, an option is invalid, they do not match,
            or the video cannot be written.
    """
    with ExitStack() as opened:
        with checking_input():
            if options.goals.isdecimal():
                raise ValueError(
                    f"--goals names a set of goals, got {options.goals}; give --goal "
                    f"{options.goals} for a single one"
                )
            saved = find_agent(options.agent, options)
            agent = saved.load(checked_device(options.device), trust=options.trust)
            if isinstance(agent, GlamorAgent):
                agent.plans_ahead = True  # complete plans, so that they can be shown
            path = film_path(options.out, home=saved.home)
            check_writable(path.parent)
            fps = as_integer(options.fps, name="--fps", low=1, high=MOST_FPS)
            arena = opened.enter_context(
                Arena(
                    saved.task,
                    goals=options.goals,
                    seed=options.seed,
                    n_envs=1,
                    env_kwargs=saved.env_kwargs | {"render_mode": "rgb_array"},
                )
            )
            arena.check_agent(agent)
            if options.picture:
                if options.goal or options.goals != "eval":
                    raise ValueError("--picture takes the place of --goals and --goal, got both")
                arena.replace_goals(
                    [goal_of(picture, arena.goal_space) for picture in options.picture]
                )
            n_goals = len(arena.episode_keys)
            named = range(len(options.picture)) or options.goal
            keys = choose_episodes(named, options.episodes, n_goals=n_goals)
        opened.enter_context(isolated(agent, None, options.seed))
        table = _table(saved.task)
        camera = Camera()

        def frames() -> Iterator[NDArray[np.uint8]]:
            playing = arena.episodes(agent, keys, on_moment=camera)
            hidden = not sys.stderr.isatty()
            for episode in tqdm(playing, "episodes", len(keys), leave=False, disable=hidden):
                scenes = camera.take_out(episode.key)
                # Pictures have no labels, and hardly any is reached to the last pixel.
                success = episode.success or (None if options.picture else False)
                table.add_row(*_row(episode, scenes, success))
                yield from frames_of(
                    scenes,
                    task=saved.task,
                    goal=episode.key.goal,
                    success=success,
                    fps=fps,
                )

        with checking_input(OSError, *MISSING):  # the disk may be full, or the encoder missing
            write_film(frames(), path, fps=fps)
    terminal().print(table)
    print(f"video: {path}")
    if options.open and not webbrowser.open(path.resolve().as_uri()):
        print("--open: found no application to open it with")
    return 0


def goal_of(picture: Path, space: gym.Space[Any]) -> Goal:
    """Read a picture from a file as a goal without labels, in the form of the observations.

    Args:
        picture: the file.
        space: of the goals: uint8 (1, H, W).

    Raises:
        ValueError: the file cannot be read or is no picture, or goals are not.
    """
    if not (isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) == 3):
        raise ValueError(f"--picture needs goals that are pictures, but here they are in {space}")
    try:
        with Image.open(picture) as image:
            screen = np.asarray(image.convert("RGB"))
    except (OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"--picture {picture} cannot be read: {error}") from error
    height, width = space.shape[1:]
    return Goal(to_frame(screen, (height, width)), "frame")


def film_path(out: Path | None, *, home: Path) -> Path:
    """Return the file that the video is written to.

    Args:
        out: ``--out``: a file, or a folder (an existing one, or a path without a suffix).
        home: the folder if `out` is None.

    Raises:
        ValueError: the file's suffix is not that of a video.
    """
    folder = home if out is None else out
    if out is None or out.is_dir() or not out.suffix:
        return folder / FILM
    if out.suffix.lower() not in FORMATS:
        raise ValueError(f"--out must be a folder, or end in {', '.join(FORMATS)}; got {out}")
    return out


def choose_episodes(
    named: Sequence[int], episodes: int | None, *, n_goals: int
) -> list[EpisodeKey]:
    """Return the episodes to play.

    Args:
        named: ``--goal``: the goals, which take turns; empty for goals spread over the set.
        episodes: ``--episodes``; None for one per goal named, or if there are none,
            :data:`EPISODES` but at most `n_goals`.
        n_goals: number of goals in the set.

    Raises:
        ValueError: there is no such goal, or a number is out of range.
    """
    for goal in named:
        as_integer(goal, name="--goal", low=0, high=n_goals - 1)
    if episodes is None:
        episodes = len(named) or min(EPISODES, n_goals)
    as_integer(episodes, name="--episodes", low=1, high=MOST_EPISODES)
    spread = np.linspace(0, n_goals - 1, min(episodes, n_goals)).round().astype(int).tolist()
    goals = list(named) or spread
    turns = [divmod(index, len(goals)) for index in range(episodes)]
    return [EpisodeKey(goals[position], repeat) for repeat, position in turns]


def _table(task: str) -> Table:
    table = Table(title=f"{task}: episodes")
    for column in ("goal", "steps", "first plan, actions", "log score"):
        table.add_column(column, justify="right")
    table.add_column("goal reached")
    return table


def _row(episode: Episode, scenes: Sequence[Scene], success: bool | None) -> tuple[str, ...]:
    """Return the table row of an episode; the plan shown is its first."""
    plan = scenes[0].plan
    planned = ("", "") if plan is None else (str(plan.length - 1), f"{plan.log_score:.2f}")
    reached = "–" if success is None else "yes" if success else "no"
    return str(episode.key.goal), str(episode.length), *planned, reached
