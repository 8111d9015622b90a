"""The folder of a training run: what is in it, and under which name.

In: a path. Out: the places of its files, and what they hold::

    config.json          what was run: task, settings, seed, commands, versions
    metrics.csv          the curves, a row a log entry
    events.out.tfevents… the same for TensorBoard
    checkpoint/          the agent (agent.safetensors), and all that training needs to go on
    evaluation.json      the last evaluation, with its pictures in evaluation.npz
    held-out/            the same by goals held out of all choices, once they were asked for
    report.html          all of it as one page
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import shutil
from dataclasses import dataclass, field
from importlib import metadata
from io import BufferedIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pandas as pd
from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat

from glamor_gym.agents.base import ImageGoalAgent
from glamor_gym.agents.checkpoint_folder import CheckpointFolder
from glamor_gym.checks import as_instance, as_integer, as_number
from glamor_gym.evaluation.metrics_file import MetricsFile
from glamor_gym.evaluation.result_file import load_result, save_result
from glamor_gym.files import write_atomically
from glamor_gym.types import EvaluationResult
from glamor_gym.untrusted import read_json

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

LIBRARIES = (
    "glamor-gym",
    "gymnasium",
    "stable-baselines3",
    "ale-py",
    "dm-control",
    "mujoco",
    "shimmy",
    "torch",
    "numpy",
)
"""The libraries on whose versions a run's figures depend."""


MAX_CONFIG_BYTES = 2**20
"""Largest ``config.json`` that is read."""


@dataclass(frozen=True)
class RunConfig:
    """What was run; all of it can be JSON.

    Attributes:
        task: id of the environment.
        agent: class of the agent.
        preset: name of the preset that the settings come from.
        settings: the agent's settings, those changed by hand included.
        policy_kwargs: arguments of its policy.
        env_kwargs: keyword arguments of ``gym.make``.
        seed: of everything.
        n_envs: environments side by side.
        steps: environment steps that the run is to take.
        eval_every: environment steps between evaluations.
        episodes_per_goal: how often each goal is tried in the last evaluation.
        commands: what was typed: to begin the run, and each time it went on.
        versions: library → version.
        hardware: what it ran on, in words.
        train_seconds: wall-clock time of training so far, its evaluations included.
        algorithm: the agent's name in the table of algorithms.
        minutes: after which the training was to end; None for no limit.
        commit: of the source, where it was run from a checkout.
        collect: where environments were stepped, as it was asked for.
        checkpoint_minutes: from one checkpoint to the next.
        finished: whether the run came to its end: it took its steps, or its minutes.
        goals: by which the agent was evaluated, as in :func:`~glamor_gym.evaluate`.
        trained_in: folder beside this one of the run whose agent was evaluated here; empty where
            the run trained its own.
        planner: how that agent planned here other than there.
    """

    task: str
    agent: str
    preset: str
    settings: dict[str, Any]
    policy_kwargs: dict[str, Any]
    env_kwargs: dict[str, Any]
    seed: int
    n_envs: int
    steps: int
    eval_every: int
    episodes_per_goal: int
    commands: list[str]
    versions: dict[str, str]
    hardware: str
    train_seconds: float = 0.0
    algorithm: str = "glamor"
    minutes: float | None = None
    commit: str = ""
    collect: str = "auto"
    checkpoint_minutes: float = 2.0
    finished: bool = False
    goals: str = "eval"
    trained_in: str = ""
    planner: dict[str, Any] = field(default_factory=dict)


class RunFolder:
    """Reads and writes the files of one run; nothing is made before it is written.

    Args:
        path: the folder, which need not exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.config_file = self.path / "config.json"
        self.metrics_file = self.path / "metrics.csv"
        self.evaluation_file = self.path / "evaluation.json"
        self.held_out_file = self.path / "held-out" / "evaluation.json"
        self.checkpoint_folder = self.path / "checkpoint"
        self.agent_file = self.checkpoint_folder / "agent.safetensors"
        self.library_agent_file = self.checkpoint_folder / "agent.zip"
        self.report_file = self.path / "report.html"

    def __fspath__(self) -> str:
        return str(self.path)

    def trainer_of(self, config: RunConfig) -> RunFolder:
        """Return the folder of the run that trained the agent of a run here: its own, or another.

        Args:
            config: of the run here, which need not be written yet.
        """
        return RunFolder(self.path.parent / config.trained_in) if config.trained_in else self

    def holds_a_run(self) -> bool:
        """Return whether a run was begun here."""
        return self.config_file.is_file()

    def holds_a_checkpoint(self) -> bool:
        """Return whether there is an agent to go on from."""
        return CheckpointFolder(self.checkpoint_folder).holds_checkpoints()

    def write_config(self, config: RunConfig) -> None:
        """Write what was run, as JSON.

        Raises:
            TypeError: a value is not JSON-able.
            ValueError: a number is not finite.
            OSError: the file cannot be written.
        """
        with write_atomically(self.config_file) as file:
            text = json.dumps(dataclasses.asdict(config), indent=2, allow_nan=False)
            file.write(text.encode())

    def config(self) -> RunConfig:
        """Return what was run.

        Raises:
            ValueError: there is no run here, its file is damaged, or a link leads from its
                checkpoint to a place outside, where going on would write.
        """
        try:
            config = RunConfig(**read_json(self.config_file, max_bytes=MAX_CONFIG_BYTES))
            _check_kinds(config)
        except (FileNotFoundError, NotADirectoryError):
            raise ValueError(f"{self.path} holds no run: there is no {self.config_file}") from None
        except (ValueError, TypeError) as error:
            raise ValueError(f"{self.config_file} is damaged: {error}") from error
        for file in (self.agent_file, self.library_agent_file):
            if not file.resolve().is_relative_to(self.path.resolve()):
                raise ValueError(f"{self.path} holds a link that leads out of it: {file}")
        return config

    def logger(self, resume_at: int = 0, keep_all: bool = False) -> Logger:
        """Return a logger for ``agent.set_logger``, into ``metrics.csv`` and for TensorBoard.

        Args:
            resume_at: the step at which the run goes on; later rows of the table are dropped.
            keep_all: no others are, whatever a checkpoint says of them.

        Raises:
            OSError: the folder cannot be written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        formats = [
            MetricsFile(self.metrics_file, resume_at, keep_all),
            TensorBoardOutputFormat(str(self.path)),
        ]
        return Logger(str(self.path), formats)

    def metrics(self) -> pd.DataFrame:
        """Return the curves: ``step``, and a column a figure with NaN where it was not logged.

        Raises:
            ValueError: the table is damaged.
        """
        if not self.metrics_file.is_file():
            return pd.DataFrame({"step": pd.Series(dtype=int)})
        try:
            return pd.read_csv(self.metrics_file)
        except ValueError as error:  # pandas' own errors among them
            raise ValueError(f"{self.metrics_file} is damaged: {error}") from error

    def save_agent(self, agent: BaseAlgorithm) -> None:
        """Write the agent to the checkpoint, as ``agent.zip`` where it is one of another library.

        Such a file holds pickles, which our own never do.
        """
        own = isinstance(agent, ImageGoalAgent)
        file = self.agent_file if own else self.library_agent_file
        file.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(file) as stream:
            agent.save(cast(BufferedIOBase, stream))

    def save_evaluation(self, result: EvaluationResult) -> None:
        """Keep `result` as the last evaluation."""
        save_result(result, self.evaluation_file)

    def evaluation(self) -> EvaluationResult | None:
        """Return the last evaluation; None where there was none yet.

        Raises:
            ValueError: its file is damaged.
        """
        return load_result(self.evaluation_file) if self.evaluation_file.is_file() else None

    def held_out(self) -> EvaluationResult | None:
        """Return the evaluation by goals held out of all choices; None where there was none.

        Raises:
            ValueError: its file is damaged.
        """
        return load_result(self.held_out_file) if self.held_out_file.is_file() else None

    def forget_held_out(self) -> None:
        """Remove that evaluation, where there is one: the agent is about to become another.

        Raises:
            OSError: it cannot be removed.
        """
        if self.held_out_file.is_file():
            shutil.rmtree(self.held_out_file.parent)


def _check_kinds(config: RunConfig) -> None:
    """Check that numbers are numbers, texts are texts and so on, where others rely on it.

    Raises:
        TypeError: a field is of another kind; the message names it.
    """
    kinds: dict[type, tuple[str, ...]] = {
        str: ("task", "agent", "preset", "hardware", "algorithm", "goals", "trained_in"),
        dict: ("settings", "policy_kwargs", "env_kwargs", "versions", "planner"),
        list: ("commands",),
    }
    for kind, names in kinds.items():
        for name in names:
            as_instance(getattr(config, name), kind, name=name)
    for name in ("seed", "n_envs", "steps", "eval_every", "episodes_per_goal"):
        as_integer(getattr(config, name), name=name, low=0)
    as_number(config.train_seconds, name="train_seconds")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries on which figures depend."""
    return {"python": platform.python_version()} | {
        library: metadata.version(library) for library in LIBRARIES
    }
