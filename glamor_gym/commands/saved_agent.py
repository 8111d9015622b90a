"""Finding saved agents. In: a path. Out: the agent's file, algorithm and task."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from glamor_gym.agents.saving.agent_file import file_named, is_zip_archive, load_tensors
from glamor_gym.commands.assignments import parse_assignments
from glamor_gym.commands.options import OfSavedAgent
from glamor_gym.evaluation import RunFolder
from glamor_gym.experiments import ALGORITHMS, Algorithm, get_algorithm
from glamor_gym.registration import find_env_id


@dataclass(frozen=True)
class SavedAgent:
    """An agent in a file.

    Attributes:
        algorithm: the agent's algorithm.
        file: the agent's file.
        task: id of the environment to act in; empty if unknown.
        env_kwargs: further keyword arguments of ``gym.make``.
        home: default folder for results: the run's folder, or one next to the file and named after
            it, so that agents in the same folder do not share results.
    """

    algorithm: Algorithm
    file: Path
    task: str
    env_kwargs: dict[str, Any]
    home: Path

    def load(self, device: str, *, trust: bool, env: VecEnv | None = None) -> BaseAlgorithm:
        """Load the agent; see :meth:`Algorithm.load` for arguments and errors."""
        return self.algorithm.load(self.file, env=env, device=device, trust=trust)


def find_agent(path: Path, options: OfSavedAgent, *, acts: bool = True) -> SavedAgent:
    """Find the agent at a path, and its algorithm and task.

    Args:
        path: the folder of a run, its ``checkpoint/``, or the file of a saved agent.
        options: its task and algorithm if they are not those of the run or the file, and
            arguments that are added to the run's own.
        acts: whether the agent is to act in its task, which then must be known here.

    Raises:
        ValueError: the folder holds no run or no agent, or ``--task`` or ``--algorithm`` is needed
            but not given, or wrong.
        OSError: there is no such file.
    """
    env_kwargs = parse_assignments("--env", options.env)
    if not path.is_dir() or _is_home_of_a_file(path):
        return _in_file(path, options, env_kwargs, acts)
    beside = RunFolder(path.parent)
    run = beside if path == beside.checkpoint_folder and beside.holds_a_run() else RunFolder(path)
    config = run.config()
    if options.algorithm not in (None, config.algorithm):
        raise ValueError(
            f"--algorithm must be {config.algorithm} for {path}, got {options.algorithm}"
        )
    if not get_algorithm(config.algorithm).learns:
        raise ValueError(
            f"{path} holds a run of {config.algorithm}, which does not learn: no agent was saved"
        )
    files = [file for file in (run.agent_file, run.library_agent_file) if file.is_file()]
    if not files:
        raise ValueError(f"{path} holds a run without its agent: there is no {run.agent_file}")
    return SavedAgent(
        get_algorithm(config.algorithm),
        files[0],
        config.task if options.task is None else find_env_id(options.task),
        config.env_kwargs | env_kwargs,
        home=run.path,
    )


def _is_home_of_a_file(folder: Path) -> bool:
    """Return whether a folder holds results of an agent whose file has the same name."""
    return file_named(folder).is_file() and not RunFolder(folder).holds_a_run()


def _in_file(
    path: Path, options: OfSavedAgent, env_kwargs: dict[str, Any], acts: bool
) -> SavedAgent:
    """Read the algorithm and task from an agent's file, unless they are given.

    Raises:
        ValueError: the file does not name them, or they are unknown.
        OSError: there is no such file.
    """
    file, trained_on = file_named(path), None
    task, algorithm = options.task, options.algorithm
    if algorithm is None or task is None:
        if is_zip_archive(file):
            raise ValueError(
                f"--algorithm, --task and --trust are needed: {path} is a zip archive, as "
                "Stable-Baselines3 saves its agents, and names neither algorithm nor task"
            )
        _, header = load_tensors(file)
        algorithm = _algorithm_of(header.get("agent")) if algorithm is None else algorithm
        trained_on = header.get("task")
    if acts:
        task = _registered(trained_on, path) if task is None else find_env_id(task)
    home = file.with_suffix("") if file.suffix else file.with_name(f"{file.name}-results")
    return SavedAgent(get_algorithm(algorithm), file, task or trained_on or "", env_kwargs, home)


def _registered(task: Any, path: Path) -> str:
    """Return the id of the task that a file names as the one that its agent was trained on.

    Raises:
        ValueError: the file names none, or no environment is registered by that id.
    """
    if not task:
        raise ValueError(f"--task is needed: {path} does not name the task it was trained on")
    try:
        return find_env_id(task)
    except ValueError as error:
        raise ValueError(
            f"--task is needed: the agent of {path} was trained in {task!r}, but {error}"
        ) from error


def _algorithm_of(class_name: Any) -> str:
    """Return the name of the algorithm that has a given agent class.

    Raises:
        ValueError: there is no such algorithm.
    """
    for name, algorithm in ALGORITHMS.items():
        if algorithm.home.endswith(f":{class_name}"):
            return name
    raise ValueError(
        f"--algorithm is needed: no algorithm has the agent class {class_name!r}; name one of your "
        "own as MODULE:CLASS"
    )
