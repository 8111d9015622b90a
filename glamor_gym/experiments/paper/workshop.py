"""The folder in which experiments are made: what is finished there is kept and used again.

In: what is to be trained, and what is to be measured. Out: the same, done; or read back, where it
was done before. A command that was interrupted goes on with what is missing::

    runs/RUN/              a training run, with its agents on the way under snapshots/
    measurements/….csv     a measurement each; evaluations as .json, their pictures as .npz

Experiments that ask for the same training share it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from stable_baselines3.common.callbacks import BaseCallback

from glamor_gym.evaluation import RunFolder, load_result, save_result
from glamor_gym.experiments import RunSpec, get_algorithm
from glamor_gym.experiments.run_config import check_alike
from glamor_gym.experiments.runs import train_run
from glamor_gym.files import write_atomically
from glamor_gym.tasks import get_task
from glamor_gym.types import EvaluationResult

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm


class OtherSettingsError(ValueError):
    """A run that could be used again has other settings than its preset has now."""


@dataclass(frozen=True)
class Trained:
    """A run that is finished, with the agents that were kept on its way.

    Attributes:
        name: of the run; no other run has it.
        spec: what was run.
        folder: its files.
        device: where agents are to be.
    """

    name: str
    spec: RunSpec
    folder: RunFolder
    device: str

    def agent(self, step: int) -> BaseAlgorithm:
        """Return the agent as it was after that many environment steps, to predict with."""
        file = snapshot_file(self.folder, step)
        return get_algorithm(self.spec.algorithm).load(file, device=self.device)

    @property
    def result(self) -> EvaluationResult:
        """The evaluation at the end of the run, with that of the random and the no-op agent."""
        result = self.folder.evaluation()
        assert result is not None  # a finished run has one
        return result


class Workshop:
    """Trains agents and keeps measurements below one folder.

    Args:
        path: the folder, which need not exist.
        command: what was typed, for the record of each run.
        device: where networks are: ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Attributes:
        used: the runs that were asked for so far, by name.
    """

    def __init__(self, path: str | os.PathLike[str], *, command: str, device: str = "auto") -> None:
        self.path = Path(path)
        self.used: dict[str, Trained] = {}
        self._command = command
        self._device = device

    def trained(self, spec: RunSpec, looks: Sequence[int] = ()) -> Trained:
        """Return a finished run; train what is missing of it.

        Args:
            spec: what is to be run.
            looks: environment steps at which the agent is to be kept.

        Raises:
            OtherSettingsError: the run that is there was begun with other settings.
            KeyboardInterrupt: the training was interrupted; another call goes on with it.
        """
        name = distinct_name(spec, looks)
        folder = RunFolder(self.path / "runs" / name)
        if folder.holds_a_run():
            try:
                check_alike(spec, folder)
            except ValueError as error:
                raise OtherSettingsError(f"the preset has changed since: {error}") from error
        if not _is_done(folder, looks):
            print(f"training {name}", flush=True)
            train_run(
                spec,
                folder,
                command=self._command,
                device=self._device,
                callbacks=[Snapshots(folder, looks)],
            )
        if not _is_done(folder, looks):
            raise ValueError(
                f"{folder.path} lacks agents of earlier steps, which going on does not make again; "
                "remove it to train anew"
            )
        self.used[name] = Trained(name, spec, folder, self._device)
        return self.used[name]

    def measured(self, name: str, measure: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """Return a measurement; take it if it was not taken before.

        Args:
            name: of the measurement, which tells it from all others.
            measure: takes it; called where there is none of that name.
        """
        file = self.path / "measurements" / f"{name}.csv"
        if not file.is_file():
            print(f"measuring {name}", flush=True)
            rows = measure()
            with write_atomically(file) as out:
                rows.to_csv(out, index=False)
        return pd.read_csv(file)

    def evaluated(self, name: str, measure: Callable[[], EvaluationResult]) -> EvaluationResult:
        """Return an evaluation; make it if it was not made before. See :meth:`measured`."""
        file = self.path / "measurements" / f"{name}.json"
        if not file.is_file():
            print(f"evaluating {name}", flush=True)
            save_result(measure(), file)
        return load_result(file)


def _is_done(folder: RunFolder, looks: Sequence[int]) -> bool:
    """Return whether a run is finished, with its evaluation and its agents of every look."""
    if not (folder.holds_a_run() and folder.config().finished):
        return False
    files = [folder.evaluation_file, *(snapshot_file(folder, step) for step in looks)]
    return all(file.is_file() for file in files)


class Snapshots(BaseCallback):
    """Keeps the agent, without its optimiser, at given environment steps.

    Args:
        folder: of the run.
        steps: when. With several environments side by side, a snapshot is of the first moment at
            or after the step that its name says.
    """

    def __init__(self, folder: RunFolder, steps: Sequence[int]) -> None:
        super().__init__()
        self._folder = folder
        self._steps = tuple(steps)

    def _on_step(self) -> bool:
        if self.num_timesteps < self.locals["total_timesteps"]:  # the last update is still to come
            self._keep()
        return True

    def _on_training_end(self) -> None:
        self._keep()

    def _keep(self) -> None:
        now = self.model.num_timesteps
        # A run that goes on after it was killed may have missed the very step; one that has long
        # passed it is another agent by now.
        moments = range(now - 2 * self.model.n_envs + 1, now + 1)
        for step in self._steps:
            file = snapshot_file(self._folder, step)
            if step in moments and not file.is_file():
                file.parent.mkdir(parents=True, exist_ok=True)
                self.model.save(file, exclude=["optimizer"])


def distinct_name(spec: RunSpec, looks: Sequence[int]) -> str:
    """Return a name for a run: what it is in words, and a hash of all that makes it what it is.

    What has its default does not count, so that a new field leaves old names as they are.
    """
    usual = dataclasses.asdict(RunSpec(spec.task))
    chosen = dataclasses.asdict(spec)
    unusual = {name: value for name, value in chosen.items() if value != usual[name]}
    digest = hashlib.sha256(json.dumps([unusual, list(looks)], sort_keys=True).encode())
    task = get_task(spec.task).name
    return f"{task}-{spec.algorithm}-{spec.steps}-seed{spec.seed}-{digest.hexdigest()[:8]}"


def snapshot_file(folder: RunFolder, step: int) -> Path:
    """Return where a run keeps its agent of a step."""
    return folder.path / "snapshots" / f"{step}.safetensors"
