"""``glamor-gym evaluate``: how many goals a trained agent reaches.

In: :class:`~glamor_gym.commands.options.Evaluate`. Out: a table on the terminal, and a folder
with the figures (``evaluation.json``) and pictures of the episodes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import glamor_gym
from glamor_gym.commands.assignments import parse_assignments
from glamor_gym.commands.device import checked_device
from glamor_gym.commands.errors import checking_input
from glamor_gym.commands.options import Evaluate
from glamor_gym.commands.tables import result_table, terminal
from glamor_gym.evaluation import RunFolder, save_result
from glamor_gym.experiments import Algorithm, RunSpec, get_algorithm
from glamor_gym.report import write_pictures
from glamor_gym.tasks import get_task

PICTURES = 30
"""For how many goals pictures are written."""


def evaluate(options: Evaluate) -> int:
    """Evaluate a saved agent and write down what came of it.

    Raises:
        InputError: there is no such agent or task, an option is wrong, or they do not fit.
    """
    with checking_input():
        algorithm, file, task, env_kwargs = _subject(options)
        result = glamor_gym.evaluate(
            algorithm.load(file, device=checked_device(options.device), trust=options.trust),
            task,
            episodes_per_goal=options.episodes_per_goal,
            seed=options.seed,
            n_envs=options.n_envs,
            goals=options.goals,
            env_kwargs=env_kwargs,
            record=PICTURES,
            progress_bar=sys.stderr.isatty(),
        )
        home = options.agent if options.agent.is_dir() else options.agent.parent
        folder = options.out or home / "evaluation"
        save_result(result, folder / "evaluation.json")
        write_pictures(result.frames, folder)
    terminal().print(result_table(result, name=str(options.agent)))
    print(f"figures, pictures and films: {folder}")
    return 0


def _subject(options: Evaluate) -> tuple[Algorithm, Path, str, dict[str, Any]]:
    """Return what the agent is, its file, the id of the task, and its environment's arguments.

    Raises:
        ValueError: they are not told, or not there.
    """
    env_kwargs = parse_assignments("--env", options.env)
    if not options.agent.is_dir():
        if options.task is None:
            raise ValueError(f"--task is needed: {options.agent} is not the folder of a run")
        algorithm = get_algorithm(options.algorithm or RunSpec.algorithm)
        return algorithm, options.agent, get_task(options.task).id, env_kwargs
    run = RunFolder(options.agent)
    config = run.config()
    if options.algorithm not in (None, config.algorithm):
        raise ValueError(
            f"--algorithm is {config.algorithm} in {options.agent}, got {options.algorithm}"
        )
    task = config.task if options.task is None else get_task(options.task).id
    file = run.agent_file if run.agent_file.is_file() else run.library_agent_file
    return get_algorithm(config.algorithm), file, task, config.env_kwargs | env_kwargs
