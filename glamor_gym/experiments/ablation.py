"""An ablation: a base, and variants of it that change one thing each, on a panel of tasks.

In: a preset, changes to it, tasks, seeds and a budget. Out: a folder::

    runs/TASK-VARIANT-SEED/   one folder per run
    ablation.json             what is compared, the budget, and the commands as typed
    results.csv               one row per run, failed ones included
    report.html               each variant compared with the base

The base's settings are recorded when the folder is created and apply to everything that is added
later, so that all variants have the same base. A variant that changes only the planner trains no
agents of its own: it evaluates the base's agents again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from glamor_gym.agents.glamor import planner_of
from glamor_gym.agents.settings import GlamorSettings
from glamor_gym.evaluation import versions
from glamor_gym.evaluation.provenance import source_commit
from glamor_gym.experiments.algorithms import get_algorithm
from glamor_gym.experiments.folders import RECORD_FILES, ExperimentFolder, run_name
from glamor_gym.experiments.run_config import BUDGET
from glamor_gym.experiments.spec import RunSpec, check_learns, distinct
from glamor_gym.files import write_text
from glamor_gym.goals import load_goal_set
from glamor_gym.names import nearest_names
from glamor_gym.planners import PlannerSettings
from glamor_gym.registration import name_of_env
from glamor_gym.untrusted import DamagedFileError, read_json

ALGORITHM = "glamor"
"""The algorithm that is varied."""

BASE = "base"
"""Name of the variant that changes nothing."""

PANEL = (
    "GridWorld",
    "Seaquest",
    "Pong",
    "Qbert",
    "pendulum-swingup",
    "cartpole-balance",
    "point_mass-easy",
)
"""The default tasks for comparing variants: cheap ones of every suite."""

STEPS = 30_000
"""Default number of environment steps per run."""

LONGEST_NAME = 80
"""Largest number of characters of a variant's name that is used in folder names."""


@dataclass(frozen=True)
class Variant:
    """The base with one thing changed.

    Attributes:
        settings: arguments of :class:`~glamor_gym.GlamorAgent` that differ from the base's;
            ``policy_kwargs`` is a nested mapping.
        planner: planner settings that are changed at evaluation only: fields of
            :class:`~glamor_gym.planners.PlannerSettings`.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    planner: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, change: Mapping[str, Any]) -> Variant:
        """Return the variant with a given change.

        Args:
            change: arguments of the agent; under the key ``planner``, settings of its planner.

        Raises:
            ValueError: a setting does not exist, or its value is out of range.
            TypeError: a setting's value is of the wrong type.
        """
        known = _changeable()
        for name in flat(change):
            if name not in known:
                raise ValueError(f"change has no setting {name!r}; {nearest_names(name, known)}")
        settings = dict(change)
        planner = settings.pop("planner", {})
        GlamorSettings(
            **{name: value for name, value in settings.items() if name in GlamorSettings.names()}
        )
        PlannerSettings(**planner)
        return cls(settings, planner)

    @property
    def name(self) -> str:
        """The changed settings as text, e.g. ``"gamma=0.9"``."""
        change = {**self.settings, **({"planner": self.planner} if self.planner else {})}
        words = [f"{name}={_in_words(value)}" for name, value in flat(change).items()]
        return ", ".join(words) or BASE

    @property
    def trained(self) -> Variant:
        """The variant whose agents this one evaluates: itself, unless it changes the planner."""
        return Variant(self.settings)


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
        commit: commit of the source at the last command; empty if not run from a checkout.
        versions: library → version.
    """

    setup: Setup
    variants: Mapping[str, Variant]
    tasks: Sequence[str]
    held_out: Sequence[str]
    runs: Sequence[AblationRun]
    commands: Sequence[str] = ()
    commit: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

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
            overrides=_merged(self.setup.arguments, variant.settings),
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

    def holds_an_ablation(self) -> bool:
        """Return whether the folder holds an ablation."""
        return self.record_file.is_file()

    def record(self) -> AblationRecord:
        """Return what was requested so far.

        Raises:
            ValueError: there is no ablation, or its file is damaged.
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
        except FileNotFoundError:
            raise ValueError(
                f"{self.path} holds no ablation: there is no {self.record_file}"
            ) from None
        except (DamagedFileError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{self.record_file} is damaged: {error!r}") from error

    def write(self, record: AblationRecord, command: str) -> None:
        """Write the record, with the command line that led to it.

        Raises:
            OSError: the file cannot be written.
        """
        signed = dataclasses.replace(
            record,
            commands=[*record.commands, command],
            commit=source_commit(),
            versions=versions(),
        )
        write_text(self.record_file, json.dumps(dataclasses.asdict(signed), indent=2))


def plan_ablation(
    before: AblationRecord | None,
    *,
    base: str | None = None,
    settings: Mapping[str, Any] | None = None,
    changes: Sequence[Mapping[str, Any]] = (),
    tasks: Iterable[str] = (),
    held_out: Iterable[str] = (),
    seeds: Iterable[int] = (),
    held_out_goals: bool = False,
    **budget: Any,
) -> tuple[AblationRecord, list[RunSpec]]:
    """Create or extend an ablation, and return its record and the requested runs.

    Arguments that are None or empty keep their earlier values; in a new ablation, the defaults.

    Args:
        before: what was requested so far; None for a new ablation.
        base: preset to vary.
        settings: settings in which the base differs from the preset.
        changes: one per variant; see :meth:`Variant.of`. The base is always run as well.
        tasks: names or ids of the tasks on which variants are compared.
        held_out: names or ids of tasks that are reported separately.
        seeds: random seeds, one run each.
        held_out_goals: also evaluate every agent on held-out goals, which are reported separately.
        **budget: other fields of :class:`Setup`.

    Returns:
        The record of the whole ablation; and a spec for each run that this call requests. Runs that
        train agents precede those that only evaluate them.

    Raises:
        ValueError: a name or a number is invalid, a change has no effect, an agent would learn
            nothing in its steps, or what all runs have in common would differ from the existing
            ablation.
        TypeError: a setting has a value of the wrong type.
    """
    setup = _setup(before, base, settings or {}, budget)
    start = before or AblationRecord(setup, {BASE: Variant()}, tasks=(), held_out=(), runs=())
    asked = {BASE: Variant()}
    for change in changes:
        variant = Variant.of(change)
        if _changes_nothing(variant, setup.arguments):
            raise ValueError(f"change {variant.name} has no effect on the base")
        asked |= {variant.trained.name: variant.trained, variant.name: variant}
    algorithm = get_algorithm(ALGORITHM)
    for variant in asked.values():
        arguments = _merged(setup.arguments, variant.settings)
        algorithm.check_values(arguments)
        check_learns(algorithm, arguments, setup.steps, setup.n_envs)
    if not changes:
        asked = dict(start.variants)
    panel = _tasks("tasks", tasks) or list(start.tasks or PANEL)
    apart = _tasks("held_out", held_out) or list(start.held_out)
    seeds = list(seeds) or sorted({run.seed for run in start.runs}) or [RunSpec.seed]
    runs = [
        AblationRun(name, task, seed, goals)
        for goals in ("eval", *(("held-out",) if held_out_goals else ()))
        for seed in distinct("seeds", seeds)
        for task in (*panel, *apart)
        for name in asked
    ]
    record = dataclasses.replace(
        start,
        variants={**start.variants, **asked},
        tasks=_united(start.tasks, panel),
        held_out=_united(start.held_out, apart),
        runs=_united(start.runs, runs),
    )
    if both := set(record.tasks) & set(record.held_out):
        raise ValueError(f"held_out must differ from tasks, got {', '.join(sorted(both))} in both")
    for task in (*panel, *apart) if held_out_goals else ():
        _ = load_goal_set(task).held_out  # raises an error if there are none
    specs = [record.spec(run) for run in runs]
    return record, sorted(specs, key=lambda spec: bool(spec.trained_in))


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return settings by dotted names, as on the command line: ``policy_kwargs.token_size``."""
    named: dict[str, Any] = {}
    for name, value in settings.items():
        within = isinstance(value, Mapping)
        named |= flat(value, f"{prefix}{name}.") if within else {prefix + name: value}
    return named


def folder_name(variant: str) -> str:
    """Return a variant's name in a form that is valid and unique in file names."""
    plain = re.sub(r"[^\w.=+-]+", "_", variant)[:LONGEST_NAME]
    if plain == variant:
        return plain
    return f"{plain}-{hashlib.sha256(variant.encode()).hexdigest()[:6]}"


def _changeable() -> list[str]:
    """Return the dotted names of all settings that a variant can change."""
    algorithm = get_algorithm(ALGORITHM)
    return [
        *(name for name in algorithm.argument_names() if name != "policy_kwargs"),
        *(f"policy_kwargs.{name}" for name in algorithm.policy_argument_names()),
        *(f"planner.{setting.name}" for setting in dataclasses.fields(PlannerSettings)),
    ]


def _in_words(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _changes_nothing(variant: Variant, arguments: Mapping[str, Any]) -> bool:
    """Return whether the variant leaves training and planning with these arguments unchanged."""
    if _merged(arguments, variant.settings) != arguments:
        return False
    own = {name: value for name, value in arguments.items() if name in GlamorSettings.names()}
    planner = planner_of(GlamorSettings(**own))
    return dataclasses.replace(planner, **variant.planner) == planner


def _merged(arguments: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with changes applied; ``policy_kwargs`` are merged entry by entry."""
    policy_kwargs = {**arguments["policy_kwargs"], **changes.get("policy_kwargs", {})}
    return {**arguments, **changes, "policy_kwargs": policy_kwargs}


def _tasks(name: str, given: Iterable[str]) -> list[str]:
    named = [name_of_env(task) for task in given]
    return distinct(name, named) if named else []


def _united(before: Iterable[Any], added: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys([*before, *added]))


# ------------------------------------------------------------- what all runs have in common


def _setup(
    before: AblationRecord | None,
    base: str | None,
    settings: Mapping[str, Any],
    budget: Mapping[str, Any],
) -> Setup:
    """Return what all runs have in common, of the existing ablation or of a new one.

    Raises:
        ValueError: a value differs from the existing ablation's, or is invalid.
    """
    named = {name: value for name, value in {"base": base, **budget}.items() if value is not None}
    if before is None:
        return _begun(settings, **named)
    there = before.setup
    arguments = flat(there.arguments)
    for name, wanted, kept in (
        *((name, value, getattr(there, name)) for name, value in named.items()),
        *((name, value, arguments.get(name)) for name, value in flat(settings).items()),
    ):
        if wanted != kept:
            raise ValueError(
                f"the existing ablation has {name} {kept}, got {wanted}; "
                "choose another folder for a new one"
            )
    _check_preset(there)
    return there


def _begun(settings: Mapping[str, Any], *, base: str | None = None, **budget: Any) -> Setup:
    algorithm = get_algorithm(ALGORITHM)
    preset = algorithm.checked_preset(base)
    steps = budget.pop("steps", STEPS)
    usual = {
        "minutes": None,
        "n_envs": RunSpec.n_envs,
        "eval_every": steps,  # only at the end, since evaluations take time from other runs
        "episodes_per_goal": RunSpec.episodes_per_goal,
        "env_kwargs": {},
    }
    arguments = algorithm.arguments(preset, settings, steps)
    return Setup(preset, arguments, steps, **{**usual, **budget})


def _check_preset(setup: Setup) -> None:
    """Check that settings which were added to the code since do not change the base.

    Raises:
        ValueError: the preset gives a new setting a value that is not its default.
    """
    now = flat(get_algorithm(ALGORITHM).arguments(setup.base, {}, setup.steps))
    without_effect = flat(GlamorSettings().as_dict())
    kept = flat(setup.arguments)
    for name, value in now.items():
        if name not in kept and (name not in without_effect or without_effect[name] != value):
            raise ValueError(
                f"preset {setup.base} now has {name}={value}, a setting that the existing ablation "
                "was made without; choose another folder for a new one"
            )
