"""The folder of a training run: its files and their names.

In: a path. Out: the paths of its files, and their contents::

    config.json          the configuration: task, settings, seed, commands, versions
    metrics.csv          the curves, one row per log entry
    events.out.tfevents… the same for TensorBoard
    checkpoint/          the agent (agent.safetensors), and all else that resuming needs
    evaluation.json      the last evaluation, with its frames in evaluation.npz
    held-out/            an evaluation on held-out goals, which no choice was based on, if made
    report.html          all of it as one page
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import shutil
from dataclasses import dataclass, field
from io import BufferedIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pandas as pd
from stable_baselines3.common.logger import Logger

from glamor_gym.agents.base import ImageGoalAgent
from glamor_gym.agents.saving.checkpoint_folder import CheckpointFolder
from glamor_gym.checks import as_integer
from glamor_gym.evaluation.metrics_file import EventFile, MetricsFile, whole_lines
from glamor_gym.evaluation.result_file import load_result, save_result
from glamor_gym.files import real_path, write_atomically, write_text
from glamor_gym.types import EvaluationResult
from glamor_gym.untrusted import check_fields, read_json

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

MAX_CONFIG_BYTES = 2**20
"""Maximum size of a ``config.json`` that is read."""


@dataclass(frozen=True)
class RunConfig:
    """The configuration of a run; every value can be written as JSON.

    Attributes:
        task: id of the environment.
        agent: class name of the agent.
        preset: name of the preset that the settings come from.
        settings: the agent's settings, with the user's changes to the preset.
        policy_kwargs: keyword arguments of its policy.
        env_kwargs: keyword arguments of ``gym.make``.
        seed: seed of the agent, the environments and the evaluations.
        n_envs: number of training environments stepped in parallel.
        steps: number of environment steps to train for.
        eval_every: environment steps between evaluations.
        episodes_per_goal: number of episodes per goal in the final evaluation.
        commands: the command lines that started and resumed the run.
        versions: library → version.
        hardware: description of the hardware it ran on; if it was resumed on another, of each,
            joined by ``"; "`` in the order of first use.
        train_seconds: wall-clock time of training so far, evaluations included.
        algorithm: the agent's name in the table of algorithms.
        minutes: time limit of the training; None for no limit.
        commit: commit of the source, if it was run from a checkout; several as in `hardware`.
        collect: where environments were stepped, as requested.
        checkpoint_minutes: minutes between checkpoints.
        finished: whether the run is complete: it reached its number of steps or its time limit.
        goals: the goals of its evaluations, as in :func:`~glamor_gym.evaluate`.
        trained_in: name of the folder, next to this one, of the run whose agent was evaluated
            here; empty if the run trained its own agent.
        trainer_sha256: SHA-256 of the file of that run's agent when it was evaluated; empty if the
            run trained its own agent, or is older than this field.
        planner: planner settings of the evaluation that differ from those of that run.
        extended_from: the step at which the run was finished before it was last extended, and whose
            evaluation stays; None if it never was.
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
    trainer_sha256: str = ""
    planner: dict[str, Any] = field(default_factory=dict)
    extended_from: int | None = None


class RunFolder:
    """Reads and writes the files of one run; no folder or file is created before it is written.

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
        """Return the folder of the run that trained this run's agent: this one or another.

        Args:
            config: the configuration of this run, which need not be written yet.
        """
        return RunFolder(self.path.parent / config.trained_in) if config.trained_in else self

    def holds_a_run(self) -> bool:
        """Return whether the folder holds a run, finished or not."""
        return self.config_file.is_file()

    def holds_a_checkpoint(self) -> bool:
        """Return whether there is a checkpoint to resume from."""
        return CheckpointFolder(self.checkpoint_folder).holds_checkpoints()

    def write_config(self, config: RunConfig) -> None:
        """Write the configuration as JSON.

        Raises:
            TypeError: a value cannot be written as JSON.
            ValueError: a number is not finite.
            OSError: the file cannot be written.
        """
        text = json.dumps(dataclasses.asdict(config), indent=2, allow_nan=False)
        write_text(self.config_file, text)

    def config(self) -> RunConfig:
        """Return the configuration of the run.

        Raises:
            ValueError: the folder holds no run, its file is damaged, or its checkpoint is a link
                to outside the folder, where resuming would write.
        """
        try:
            config = RunConfig(**read_json(self.config_file, max_bytes=MAX_CONFIG_BYTES))
            check_fields(config)
            as_integer(config.seed, name="seed", low=0)
            for name in ("n_envs", "steps", "eval_every", "episodes_per_goal"):
                as_integer(getattr(config, name), name=name, low=1)
        except (FileNotFoundError, NotADirectoryError):
            raise ValueError(f"{self.path} holds no run: there is no {self.config_file}") from None
        except (ValueError, TypeError) as error:
            raise ValueError(f"{self.config_file} is damaged: {error}") from error
        for file in (self.agent_file, self.library_agent_file):
            if not real_path(file).is_relative_to(real_path(self.path)):
                raise ValueError(f"{self.path} holds a link that leads out of it: {file}")
        return config

    def logger(self, resume_at: int = 0, keep_all: bool = False) -> Logger:
        """Return a logger for ``agent.set_logger`` that writes ``metrics.csv`` and TensorBoard's.

        Args:
            resume_at: the step from which the run resumes; later rows of the table are dropped.
            keep_all: restoring a checkpoint drops no further rows.

        Raises:
            OSError: the folder cannot be written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        formats = [
            MetricsFile(self.metrics_file, resume_at, keep_all),
            EventFile(str(self.path)),
        ]
        return Logger(str(self.path), formats)

    def metrics(self) -> pd.DataFrame:
        """Return the curves: ``step`` and one column per logged name, NaN where it was not logged.

        A last row that was cut short when a process ended is left out.

        Raises:
            ValueError: the table is damaged.
        """
        if not self.metrics_file.is_file():
            return pd.DataFrame({"step": pd.Series(dtype=int)})
        try:
            table = io.StringIO("".join(whole_lines(self.metrics_file)))
            return pd.read_csv(table).astype({"step": int})
        except (KeyError, ValueError) as error:  # includes pandas' parser errors
            raise ValueError(f"{self.metrics_file} is damaged: {error}") from error

    def save_agent(self, agent: BaseAlgorithm) -> None:
        """Write the agent to the checkpoint; an agent of another library as ``agent.zip``.

        That format contains pickles; ``agent.safetensors`` does not.
        """
        own = isinstance(agent, ImageGoalAgent)
        file = self.agent_file if own else self.library_agent_file
        file.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(file) as stream:
            agent.save(cast(BufferedIOBase, stream))

    def agent_sha256(self) -> str:
        """Return the SHA-256 of the agent's file; empty if there is none.

        Raises:
            OSError: the file cannot be read.
        """
        if not self.agent_file.is_file():
            return ""
        with self.agent_file.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def save_evaluation(self, result: EvaluationResult) -> None:
        """Save `result` as the last evaluation."""
        save_result(result, self.evaluation_file)

    def evaluation(self, *, frames: bool = True) -> EvaluationResult | None:
        """Return the last evaluation; None if there is none yet.

        Args:
            frames: whether to read its frames, see :func:`~glamor_gym.evaluation.load_result`.

        Raises:
            ValueError: its file is damaged.
        """
        return _result(self.evaluation_file, frames=frames)

    def is_evaluated(self) -> bool:
        """Return whether there is an evaluation and it is not damaged."""
        try:
            return self.evaluation(frames=False) is not None
        except ValueError:
            return False

    def held_out(self) -> EvaluationResult | None:
        """Return the evaluation on the held-out goals, without its frames; None if there is none.

        Raises:
            ValueError: its file is damaged.
        """
        return _result(self.held_out_file, frames=False)

    def forget_held_out(self) -> None:
        """Remove the evaluation on the held-out goals, if any, as further training outdates it.

        Raises:
            OSError: it cannot be removed.
        """
        if self.held_out_file.is_file():
            shutil.rmtree(self.held_out_file.parent)


def _result(file: Path, *, frames: bool) -> EvaluationResult | None:
    return load_result(file, frames=frames) if file.is_file() else None
