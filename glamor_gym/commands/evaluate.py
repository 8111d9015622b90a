"""``glamor-gym evaluate``: how many goals a trained agent reaches.

In: :class:`~glamor_gym.commands.options.Evaluate`. Out: a table on the terminal, and a folder
with the results (``evaluation.json``), pictures and videos of the episodes.
"""

from __future__ import annotations

import hashlib
import re
import sys
from contextlib import ExitStack
from pathlib import Path

from glamor_gym.commands.console import terminal
from glamor_gym.commands.errors import MISSING, checking_input
from glamor_gym.commands.options import Evaluate
from glamor_gym.commands.saved_agent import SavedAgent, find_agent
from glamor_gym.commands.tables import result_table
from glamor_gym.devices import checked_device
from glamor_gym.evaluation import RunFolder, save_result
from glamor_gym.evaluation.arena import Arena
from glamor_gym.evaluation.evaluator import evaluate_in
from glamor_gym.experiments.execution import PICTURES
from glamor_gym.files import check_writable
from glamor_gym.report import write_pictures


def evaluate(options: Evaluate, _command: str) -> int:
    """Evaluate a saved agent and write the results.

    Raises:
        InputError: there is no such agent or task, an option is invalid, or they do not match.
    """
    with ExitStack() as opened:
        with checking_input():
            saved, folder = _found(options)
            agent = saved.load(checked_device(options.device), trust=options.trust)
            arena = opened.enter_context(
                Arena(
                    saved.task,
                    goals=options.goals,
                    episodes_per_goal=options.episodes_per_goal,
                    seed=options.seed,
                    n_envs=options.n_envs,
                    env_kwargs=saved.env_kwargs,
                    progress_bar=sys.stderr.isatty(),
                )
            )
            arena.check_agent(agent)
        if not sys.stderr.isatty():  # nothing else is told until all have played
            number, players = len(arena.episode_keys), "the agent, a random and a no-op agent"
            print(f"{saved.task}: {number} episodes each of {players}", file=sys.stderr)
        with checking_input(*MISSING):
            result = evaluate_in(arena, agent, record=PICTURES)
    with checking_input(OSError):
        save_result(result, folder / "evaluation.json")
        write_pictures(result.frames, folder)
    # Last, because printing fails if standard output has been closed.
    terminal().print(result_table(result, name=str(options.agent)))
    print(f"results, pictures and videos: {folder}")
    return 0


def _found(options: Evaluate) -> tuple[SavedAgent, Path]:
    """Return the agent, and the folder for its results.

    Raises:
        ValueError: there is no such agent, or the folder is that of a run.
        OSError: there is no such file, or the folder cannot be written.
    """
    saved = find_agent(options.agent, options)
    folder = options.out or _folder_of(options, saved.home)
    if RunFolder(folder).holds_a_run():
        raise ValueError(
            f"--out must not be the folder of a run, with results of its own: {folder}"
        )
    check_writable(folder)
    return saved, folder


def _folder_of(options: Evaluate, home: Path) -> Path:
    """Return the default folder for results on these goals.

    Benchmark tables read the results on held-out goals from a run's ``held-out/``. Results with
    another task or other environment arguments do not belong there and get a folder of their own.
    """
    elsewhere = [*filter(None, [options.task]), *options.env]
    if options.goals == "held-out" and not elsewhere:
        return RunFolder(home).held_out_file.parent
    words = (re.sub(r"[^\w=.,-]+", "_", word) for word in (*_words_for(options.goals), *elsewhere))
    return home / "-".join(["evaluation", *words])


def _words_for(goals: str) -> list[str]:
    """Return words that tell results on these goals from others; files may have the same name.

    Raises:
        OSError: a file of goals cannot be read.
    """
    path, suffix, split = goals.rpartition(".npz")
    file = Path(f"{path}{suffix}")
    if suffix and file.is_file():
        return [f"{file.stem}{split}", hashlib.sha256(file.read_bytes()).hexdigest()[:8]]
    return [] if goals == "eval" else [goals]
