"""Planning of an ablation: which runs a command asks for, and what becomes of the record.

In: the record so far, and a preset, changes to it, tasks, seeds and a budget. Out: the record with
all of it, and specs of runs.

The base's settings are recorded when the ablation begins and apply to everything that is added
later, so that all variants have the same base. A variant that changes only the planner trains no
agents of its own: it evaluates the base's agents again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from glamor_gym.agents.settings import GlamorSettings
from glamor_gym.experiments.ablation.record import AblationRecord, AblationRun, Setup
from glamor_gym.experiments.ablation.variants import (
    ALGORITHM,
    BASE,
    Variant,
    changes_nothing,
    flat,
    merged,
)
from glamor_gym.experiments.algorithms import get_algorithm
from glamor_gym.experiments.spec import RunSpec, check_agent, distinct
from glamor_gym.goals import load_goal_set
from glamor_gym.registration import name_of_env

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
        The record of the whole ablation; and a spec for each run that this call requests.

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
        if changes_nothing(variant, setup.arguments):
            raise ValueError(f"change {variant.name} has no effect on the base")
        asked |= {variant.trained.name: variant.trained, variant.name: variant}
    algorithm = get_algorithm(ALGORITHM)
    for variant in asked.values():
        arguments = merged(setup.arguments, variant.settings)
        check_agent(algorithm, arguments, setup.steps, setup.n_envs)
    if not changes:
        asked = dict(start.variants)
    panel = _tasks("tasks", tasks) or list(start.tasks or PANEL)
    apart = _tasks("held_out", held_out) or list(start.held_out)
    seeds = list(seeds) or sorted({run.seed for run in start.runs}) or [RunSpec.seed]
    held_out_goals = held_out_goals or any(run.goals == "held-out" for run in start.runs)
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
    return record, [record.spec(run) for run in runs]


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
    arguments = algorithm.arguments(preset, settings)
    return Setup(preset, arguments, steps, **{**usual, **budget})


def _check_preset(setup: Setup) -> None:
    """Check that settings which were added to the code since do not change the base.

    Raises:
        ValueError: the preset gives a new setting a value that is not its default.
    """
    now = flat(get_algorithm(ALGORITHM).arguments(setup.base, {}))
    without_effect = flat(GlamorSettings().as_dict())
    kept = flat(setup.arguments)
    for name, value in now.items():
        if name not in kept and (name not in without_effect or without_effect[name] != value):
            raise ValueError(
                f"preset {setup.base} now has {name}={value}, a setting that the existing ablation "
                "was made without; choose another folder for a new one"
            )
