"""A folder in which reproductions are made, with a cache of training runs and measurements.

In: what to train and what to measure. Out: the results, computed or read back if they exist. After
an interruption, the same command continues with what is missing::

    runs/RUN/              a training run, with snapshots of its agent under snapshots/
    measurements/….csv     one measurement each; evaluations as .json, their pictures as .npz

Reproductions that need the same training run share it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from stable_baselines3.common.callbacks import BaseCallback

from glamor_gym.evaluation import RunFolder, load_result, save_result
from glamor_gym.experiments import RunSpec, get_algorithm
from glamor_gym.experiments.run_config import (
    check_alike,
    check_checkpoint,
    config_of,
    is_finished,
)
from glamor_gym.experiments.runs import train_run
from glamor_gym.files import write_atomically
from glamor_gym.goals import load_goal_set
from glamor_gym.names import without_module
from glamor_gym.tasks import get_task
from glamor_gym.types import EvaluationResult

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm


class CannotReuseError(ValueError):
    """An existing run or measurement is damaged, or its preset or goals have changed since."""


@dataclass(frozen=True)
class Trained:
    """A finished run, with snapshots of its agent during training.

    Attributes:
        name: unique name of the run.
        spec: spec of the run.
        folder: folder of the run.
        device: device to load agents on.
    """

    name: str
    spec: RunSpec
    folder: RunFolder
    device: str

    def agent(self, step: int) -> BaseAlgorithm:
        """Load the snapshot of the agent at an environment step, to predict with."""
        file = snapshot_file(self.folder, step)
        return get_algorithm(self.spec.algorithm).load(file, device=self.device)

    @property
    def result(self) -> EvaluationResult:
        """The final evaluation of the run, without frames; with the random and the no-op agent."""
        result = self.folder.evaluation(frames=False)
        assert result is not None  # every finished run has an evaluation
        return result


class Workshop:
    """Trains agents and takes measurements, and keeps both in one folder.

    Args:
        path: the folder, which need not exist.
        command: the command line as typed, for the record of each run.
        device: device of the networks: ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Attributes:
        device: device of the networks.
        used: the runs that were requested so far, by name.
    """

    def __init__(self, path: str | os.PathLike[str], *, command: str, device: str = "auto") -> None:
        self.path = Path(path)
        self.device = device
        self.used: dict[str, Trained] = {}
        self._command = command

    def trained(self, spec: RunSpec, looks: Sequence[int] = ()) -> Trained:
        """Return a finished run; train it, or the rest of it, if necessary.

        Measurements of an agent that was removed since go before another one is trained.

        Args:
            spec: spec of the run.
            looks: environment steps at which snapshots of the agent are kept.

        Raises:
            CannotReuseError: the existing run has other settings, was judged on other goals, is
                damaged, or lacks its checkpoint or snapshots that cannot be made any more.
            KeyboardInterrupt: the training was interrupted; another call continues it.
        """
        name = distinct_name(spec, looks)
        folder = RunFolder(self.path / "runs" / name)
        if folder.holds_a_run():
            try:
                folder.config()
            except ValueError as error:
                raise CannotReuseError(f"{error}; remove {folder.path} to train again") from error
            try:
                config_of(spec, folder)
                check_alike(spec, folder)
            except ValueError as error:
                raise CannotReuseError(f"the preset has changed since: {error}") from error
            _check_same_goals(spec, folder)
        elif (measured := self.path / "measurements" / name).is_dir():
            shutil.rmtree(measured)
        if not _is_done(spec, folder, looks):
            try:
                check_checkpoint(folder)
            except ValueError as error:
                raise CannotReuseError(str(error)) from error
            print(f"training {name}", flush=True)
            train_run(
                spec,
                folder,
                command=self._command,
                device=self.device,
                callbacks=[Snapshots(folder, looks)],
            )
        if not _is_done(spec, folder, looks):
            raise CannotReuseError(
                f"{folder.path} lacks snapshots of earlier steps, which resuming cannot recreate; "
                "remove the folder to train again"
            )
        self.used[name] = Trained(name, spec, folder, self.device)
        return self.used[name]

    def measured(self, name: str, measure: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """Return a measurement; take it if it does not exist.

        Args:
            name: unique name of the measurement.
            measure: takes the measurement; called if there is none of that name.

        Raises:
            CannotReuseError: the file of an earlier measurement cannot be read.
        """
        file = self.path / "measurements" / f"{name}.csv"
        if not file.is_file():
            print(f"measuring {name}", flush=True)
            rows = measure()
            with write_atomically(file) as out:
                rows.to_csv(out, index=False)
        try:
            rows = pd.read_csv(file)
        except ValueError as error:  # includes pandas' parser errors
            raise CannotReuseError(f"{file} is damaged: {error}; remove it") from error
        if rows.empty:
            raise CannotReuseError(f"{file} is damaged: it has no rows; remove it")
        return rows

    def evaluated(self, name: str, measure: Callable[[], EvaluationResult]) -> EvaluationResult:
        """Return an evaluation; make it if it, or the file of its pictures, does not exist.

        Args:
            name: unique name of the evaluation.
            measure: makes the evaluation; called if there is none of that name.

        Raises:
            CannotReuseError: the file of an earlier evaluation cannot be read.
        """
        file = self.path / "measurements" / f"{name}.json"
        if not (file.is_file() and file.with_suffix(".npz").is_file()):
            print(f"evaluating {name}", flush=True)
            save_result(measure(), file)
        try:
            return load_result(file)
        except ValueError as error:
            raise CannotReuseError(f"{file} is damaged: {error}; remove it") from error


def _check_same_goals(spec: RunSpec, folder: RunFolder) -> None:
    """Check that an evaluated run was judged on the goals that its task has now.

    Raises:
        CannotReuseError: the task had other goals then.
    """
    result = folder.evaluation(frames=False) if folder.is_evaluated() else None
    goals_hash = load_goal_set(spec.task).hash
    if result is not None and result.goals_hash != goals_hash:
        raise CannotReuseError(
            f"the goals of {spec.task} have changed since: {folder.path} was judged on "
            f"{result.goals_hash[:12]}, got {goals_hash[:12]}; choose another folder for a new run"
        )


def _is_done(spec: RunSpec, folder: RunFolder, looks: Sequence[int]) -> bool:
    """Return whether a run is finished and has its evaluation and all snapshots."""
    snapshots = [snapshot_file(folder, step) for step in looks]
    return is_finished(spec, folder) and all(file.is_file() for file in snapshots)


class Snapshots(BaseCallback):
    """Callback that saves the agent, without its optimiser, at given environment steps.

    Args:
        folder: folder of the run.
        steps: environment steps of the snapshots. With several environments, a snapshot is taken at
            the first moment at or after the step in its name.
    """

    def __init__(self, folder: RunFolder, steps: Sequence[int]) -> None:
        super().__init__()
        self._folder = folder
        self._steps = tuple(steps)

    def _on_step(self) -> bool:
        if self.num_timesteps < self.locals["total_timesteps"]:  # the last update is still due
            self._keep()
        return True

    def _on_training_end(self) -> None:
        self._keep()

    def _keep(self) -> None:
        now = self.model.num_timesteps
        # A run that resumes after being killed may have missed the exact step by a little; if it
        # is far beyond the step, its agent is not the one of that step.
        moments = range(now - 2 * self.model.n_envs + 1, now + 1)
        for step in self._steps:
            file = snapshot_file(self._folder, step)
            if step in moments and not file.is_file():
                file.parent.mkdir(parents=True, exist_ok=True)
                self.model.save(file, exclude=["optimizer"])


def distinct_name(spec: RunSpec, looks: Sequence[int]) -> str:
    """Return a unique name of a run: its main fields, and a hash of everything that defines it.

    Fields with default values are not hashed, so that names stay the same when a field is added.
    """
    usual = dataclasses.asdict(RunSpec(spec.task))
    chosen = dataclasses.asdict(spec)
    unusual = {name: value for name, value in chosen.items() if value != usual[name]}
    digest = hashlib.sha256(json.dumps([unusual, list(looks)], sort_keys=True).encode())
    task, agent = get_task(spec.task).name, without_module(spec.algorithm)
    return f"{task}-{agent}-{spec.steps}-seed{spec.seed}-{digest.hexdigest()[:8]}"


def snapshot_file(folder: RunFolder, step: int) -> Path:
    """Return the file of a run's snapshot at a step."""
    return folder.path / "snapshots" / f"{step}.safetensors"
