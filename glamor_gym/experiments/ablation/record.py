"""The record of an ablation: what was requested of it so far, and the folder that holds it.

In: a setup that all runs share, variants, tasks and runs. Out: the spec of each run; and a folder::

    runs/TASK-VARIANT-SEED/   one folder per run
    ablation.json             what is compared, the budget, and the commands as typed
    results.csv               one row per run, failed ones included
    report.html               each variant compared with the base
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from glamor_gym.experiments.ablation.variants import ALGORITHM, Variant, folder_name, merged
from glamor_gym.experiments.folders import RECORD_FILES, ExperimentFolder, run_name
from glamor_gym.experiments.run_config import BUDGET
from glamor_gym.experiments.spec import RunSpec
from glamor_gym.files import write_text
from glamor_gym.untrusted import DamagedFileError, read_json


@dataclass(frozen=True)
class Setup:
    """What all runs of an ablation have in common; see :class:`~glamor_gym.experiments.RunSpec`.

    Attributes:
        base: the preset.
        arguments: arguments of the base's agents, including ``policy_kwargs``.
        steps: environment steps per run.
        minutes: limit on the minutes of training per run; None for no limit.
        n_envs: number of environments in which data is collected.
        eval_every: environment steps between two evaluations.
        episodes_per_goal: episodes per goal in the final evaluation.
        env_kwargs: keyword arguments of ``gym.make``.
    """

    base: str
    arguments: dict[str, Any]
    steps: int
    minutes: float | None
    n_envs: int
    eval_every: int
    episodes_per_goal: int
    env_kwargs: dict[str, Any]

    def budget(self) -> dict[str, Any]:
        """Return the fields that a :class:`~glamor_gym.experiments.RunSpec` has as well."""
        return {name: getattr(self, name) for name in (*BUDGET, "n_envs", "env_kwargs")}


class AblationRun(NamedTuple):
    """The identity of a run.

    Attributes:
        variant: name of the variant.
        task: name of the task.
        seed: random seed of the run.
        goals: ``"eval"`` or ``"held-out"``.
    """

    variant: str
    task: str
    seed: int
    goals: str = "eval"


@dataclass(frozen=True)
class AblationRecord:
    """Everything that was requested of an ablation so far.

    Attributes:
        setup: what all runs have in common.
        variants: variants by name, in the order in which they were requested, the base first.
        tasks: tasks on which variants are compared.
        held_out: tasks that are reported separately.
        runs: every run, started or not.
        commands: all command lines of this ablation, as typed.
    """

    setup: Setup
    variants: Mapping[str, Variant]
    tasks: Sequence[str]
    held_out: Sequence[str]
    runs: Sequence[AblationRun]
    commands: Sequence[str] = ()

    def spec(self, run: AblationRun) -> RunSpec:
        """Return the spec of a run.

        Raises:
            ValueError: a number is out of range.
        """
        variant = self.variants[run.variant]
        source = AblationRun(variant.trained.name, run.task, run.seed)
        return RunSpec(
            task=run.task,
            algorithm=ALGORITHM,
            preset=self.setup.base,
            overrides=merged(self.setup.arguments, variant.settings),
            seed=run.seed,
            variant=folder_name(run.variant),
            goals=run.goals,
            trained_in="" if run == source else run_name(self.spec(source)),
            planner=dict(variant.planner),
            **self.setup.budget(),
        )


class AblationFolder(ExperimentFolder):
    """The folder of an ablation.

    Args:
        path: the folder, which need not exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        self.record_file = self.path / RECORD_FILES["an ablation"]

    def record(self) -> AblationRecord:
        """Return what was requested so far.

        Raises:
            ValueError: its file is damaged.
            OSError: there is no such file.
        """
        try:
            there = read_json(self.record_file)
            return AblationRecord(
                **{
                    **there,
                    "setup": Setup(**there["setup"]),
                    "variants": {
                        name: Variant(**change) for name, change in there["variants"].items()
                    },
                    "runs": [AblationRun(*run) for run in there["runs"]],
                }
            )
        except (DamagedFileError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{self.record_file} is damaged: {error!r}") from error

    def write(self, record: AblationRecord, command: str) -> None:
        """Write the record, with the command line that led to it.

        Raises:
            OSError: the file cannot be written.
        """
        signed = dataclasses.replace(record, commands=[*record.commands, command])
        write_text(self.record_file, json.dumps(dataclasses.asdict(signed), indent=2))
