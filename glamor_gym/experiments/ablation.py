"""An ablation: a base, and variants of it that change one thing each, on a panel of tasks.

In: a preset, changes to it, tasks, seeds and a budget. Out: a folder::

    runs/TASK-VARIANT-SEED/   a run each
    ablation.json             what is compared, with which budget, and what was typed
    results.csv               a row a run, those that failed included
    report.html               each variant beside the base

The base's settings are written down when the folder is begun and hold for whatever is added to it
later, so that everything in it has the same base. A variant that only plans otherwise trains no
agents of its own: those of the base are evaluated again.
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
from glamor_gym.experiments.benchmark import ExperimentFolder, distinct, run_name
from glamor_gym.experiments.spec import AlgorithmSpec, RunSpec
from glamor_gym.files import write_atomically
from glamor_gym.goals import load_goal_set
from glamor_gym.names import nearest_names
from glamor_gym.planners import PlannerSettings
from glamor_gym.tasks import get_task
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
"""The tasks that choices are made by: cheap ones of every kind."""

STEPS = 30_000
"""Environment steps of a run, where nothing else is asked for."""

LONGEST_NAME = 80
"""Characters of a variant's name that become part of the names of folders."""


@dataclass(frozen=True)
class Variant:
    """The base with one thing changed.

    Attributes:
        settings: arguments of :class:`~glamor_gym.GlamorAgent` that are other than the base's;
            ``policy_kwargs`` is a mapping of its own.
        planner: how its agents plan when they are evaluated, other than they were trained to:
            fields of :class:`~glamor_gym.planners.PlannerSettings`.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    planner: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, change: Mapping[str, Any]) -> Variant:
        """Return the variant that makes a change.

        Args:
            change: arguments of the agent; within ``planner``, settings of its planner.

        Raises:
            ValueError: there is no such setting, or it cannot have such a value.
            TypeError: it cannot have a value of such a type.
        """
        known = _changeable()
        for name in flat(change):
            if name not in known:
                raise ValueError(f"change names {name!r}; {nearest_names(name, known)}")
        settings = dict(change)
        planner = settings.pop("planner", {})
        GlamorSettings(
            **{name: value for name, value in settings.items() if name in GlamorSettings.names()}
        )
        PlannerSettings(**planner)
        return cls(settings, planner)

    @property
    def name(self) -> str:
        """What is changed, in words: ``"gamma=0.9"``."""
        change = {**self.settings, **({"planner": self.planner} if self.planner else {})}
        words = [f"{name}={_in_words(value)}" for name, value in flat(change).items()]
        return ", ".join(words) or BASE

    @property
    def trained(self) -> Variant:
        """The variant whose agents this one evaluates: itself, unless it plans otherwise."""
        return Variant(self.settings)


@dataclass(frozen=True)
class Setup:
    """What all runs of an ablation have in common; see :class:`~glamor_gym.experiments.RunSpec`.

    Attributes:
        base: the preset.
        arguments: of the base's agents, ``policy_kwargs`` among them.
        steps: environment steps of each run.
        minutes: after which the training of each run ends; None for no limit.
        n_envs: environments that collect data side by side.
        eval_every: environment steps from one evaluation to the next.
        episodes_per_goal: how often each goal is tried in the last evaluation.
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
        """Return what a :class:`~glamor_gym.experiments.RunSpec` takes of it as it is."""
        names = ("steps", "minutes", "n_envs", "eval_every", "episodes_per_goal", "env_kwargs")
        return {name: getattr(self, name) for name in names}


class AblationRun(NamedTuple):
    """Which run it is.

    Attributes:
        variant: name of the variant.
        task: name of the task.
        seed: of everything.
        goals: ``"eval"`` or ``"held-out"``.
    """

    variant: str
    task: str
    seed: int
    goals: str = "eval"


@dataclass(frozen=True)
class AblationRecord:
    """All that was ever asked of an ablation.

    Attributes:
        setup: what all runs have in common.
        variants: by name, in the order in which they were asked for, the base first.
        tasks: those that choices are made by.
        held_out: tasks that are reported apart from them.
        runs: every run, begun or not.
        commands: what was typed, to begin it and each time it was added to or went on.
        commit: of the source, where it was last run from a checkout.
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
        """Return what is to be run.

        Raises:
            ValueError: a number is out of its range.
        """
        variant = self.variants[run.variant]
        source = AblationRun(variant.trained.name, run.task, run.seed)
        algorithm = AlgorithmSpec(
            ALGORITHM,
            self.setup.base,
            _merged(self.setup.arguments, variant.settings),
            variant=folder_name(run.variant),
        )
        return algorithm.on(
            run.task,
            run.seed,
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
        self.record_file = self.path / "ablation.json"

    def holds_an_ablation(self) -> bool:
        """Return whether one was begun here."""
        return self.record_file.is_file()

    def record(self) -> AblationRecord:
        """Return what was asked for so far.

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
        """Write down what is asked for by now, and what was typed to ask for it.

        Raises:
            OSError: the file cannot be written.
        """
        signed = dataclasses.replace(
            record,
            commands=[*record.commands, command],
            commit=source_commit(),
            versions=versions(),
        )
        with write_atomically(self.record_file) as file:
            file.write(json.dumps(dataclasses.asdict(signed), indent=2).encode())


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
    """Return an ablation with more asked of it, and the runs that were asked for.

    What is left out (None, or empty) is as it was before; at the beginning, the defaults.

    Args:
        before: what was asked so far; None at the beginning.
        base: preset that is varied.
        settings: of the base, where they differ from the preset's.
        changes: one a variant; see :meth:`Variant.of`. The base is always run beside them.
        tasks: names or ids of the tasks to choose by.
        held_out: the same of tasks that are reported apart.
        seeds: each is a run of its own.
        held_out_goals: evaluate every agent by other goals as well, which are reported apart.
        **budget: other fields of :class:`Setup`.

    Returns:
        What is asked for by now; and a spec for each run that was asked for here, those first
        whose agents others evaluate again.

    Raises:
        ValueError: a name or a number is wrong, a change changes nothing, or what all runs have
            in common would be another than before.
        TypeError: a setting has a value of another type.
    """
    setup = _setup(before, base, settings or {}, budget)
    variants = dict(before.variants) if before else {BASE: Variant()}
    asked = {BASE: Variant()}
    for change in changes:
        variant = Variant.of(change)
        if _changes_nothing(variant, setup.arguments):
            raise ValueError(f"change {variant.name} changes nothing: the base has it")
        asked |= {variant.trained.name: variant.trained, variant.name: variant}
    for variant in asked.values():
        get_algorithm(ALGORITHM).check_values(_merged(setup.arguments, variant.settings))
    if not changes:
        asked = variants
    panel = _tasks("tasks", tasks) or list(before.tasks if before else PANEL)
    apart = _tasks("held_out", held_out) or list(before.held_out if before else ())
    seeds = list(seeds) or sorted({run.seed for run in before.runs} if before else {RunSpec.seed})
    runs = [
        AblationRun(name, task, seed, goals)
        for goals in ("eval", *(("held-out",) if held_out_goals else ()))
        for seed in distinct("seeds", seeds)
        for task in (*panel, *apart)
        for name in asked
    ]
    known_panel, known_apart = (before.tasks, before.held_out) if before else ((), ())
    record = AblationRecord(
        setup,
        variants={**variants, **asked},
        tasks=_united(known_panel, panel),
        held_out=_united(known_apart, apart),
        runs=_united(before.runs if before else (), runs),
        commands=before.commands if before else (),
    )
    if both := set(record.tasks) & set(record.held_out):
        raise ValueError(f"held_out must be apart from tasks, got {', '.join(sorted(both))} twice")
    for task in (*panel, *apart) if held_out_goals else ():
        _ = load_goal_set(task).held_out  # an error where there are none
    specs = [record.spec(run) for run in runs]
    return record, sorted(specs, key=lambda spec: bool(spec.trained_in))


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return settings by dotted names, as they are typed: ``policy_kwargs.token_size``."""
    named: dict[str, Any] = {}
    for name, value in settings.items():
        within = isinstance(value, Mapping)
        named |= flat(value, f"{prefix}{name}.") if within else {prefix + name: value}
    return named


def folder_name(variant: str) -> str:
    """Return a variant's name as a part of a file's name, different for different variants."""
    plain = re.sub(r"[^\w.=+-]+", "_", variant)[:LONGEST_NAME]
    if plain == variant:
        return plain
    return f"{plain}-{hashlib.sha256(variant.encode()).hexdigest()[:6]}"


def _changeable() -> list[str]:
    """Return the dotted name of everything that a variant can change."""
    algorithm = get_algorithm(ALGORITHM)
    return [
        *(name for name in algorithm.argument_names() if name != "policy_kwargs"),
        *(f"policy_kwargs.{name}" for name in algorithm.policy_argument_names()),
        *(f"planner.{setting.name}" for setting in dataclasses.fields(PlannerSettings)),
    ]


def _in_words(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _changes_nothing(variant: Variant, arguments: Mapping[str, Any]) -> bool:
    """Return whether agents with these arguments are trained and plan as the variant has it."""
    if _merged(arguments, variant.settings) != arguments:
        return False
    own = {name: value for name, value in arguments.items() if name in GlamorSettings.names()}
    planner = planner_of(GlamorSettings(**own))
    return dataclasses.replace(planner, **variant.planner) == planner


def _merged(arguments: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments with some of them, and of their ``policy_kwargs``, replaced."""
    policy_kwargs = {**arguments["policy_kwargs"], **changes.get("policy_kwargs", {})}
    return {**arguments, **changes, "policy_kwargs": policy_kwargs}


def _tasks(name: str, given: Iterable[str]) -> list[str]:
    named = [get_task(task).name for task in given]
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
    """Return what all runs have in common: what was before, or what is asked for now.

    Raises:
        ValueError: they are not the same, or something that is asked for cannot be.
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
                f"the ablation was begun with {name} {kept}, got {wanted}; "
                "take another folder for a new one"
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
        "eval_every": steps,  # at the end alone: evaluations take time from the others
        "episodes_per_goal": RunSpec.episodes_per_goal,
        "env_kwargs": {},
    }
    arguments = algorithm.arguments(preset, settings, steps)
    return Setup(preset, arguments, steps, **{**usual, **budget})


def _check_preset(setup: Setup) -> None:
    """Check that a setting which is new since the ablation began leaves the base as it was.

    Raises:
        ValueError: the preset gives it another value than that of before there was a choice.
    """
    now = flat(get_algorithm(ALGORITHM).arguments(setup.base, {}, setup.steps))
    without_effect = flat(GlamorSettings().as_dict())
    kept = flat(setup.arguments)
    for name, value in now.items():
        if name not in kept and (name not in without_effect or without_effect[name] != value):
            raise ValueError(
                f"preset {setup.base} has {name}={value} since, of which the ablation that is "
                "there knows nothing; take another folder for a new one"
            )
