"""Comparison of a requested run with the one in a folder.

In: a :class:`~glamor_gym.experiments.spec.RunSpec`, and the folder of a run. Out: the configuration
of the run, or an error that names the first difference.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from glamor_gym.evaluation import RunConfig, RunFolder
from glamor_gym.experiments.algorithms import get_algorithm
from glamor_gym.experiments.spec import RunSpec


def new_config(spec: RunSpec) -> RunConfig:
    """Return the configuration of a new run."""
    algorithm = get_algorithm(spec.algorithm)
    settings = algorithm.arguments(spec.chosen_preset, spec.overrides, spec.steps)
    return RunConfig(
        task=spec.env_id,
        algorithm=algorithm.name,
        agent=algorithm.agent_class().__name__,
        preset=spec.chosen_preset,
        policy_kwargs=settings.pop("policy_kwargs"),
        settings=settings,
        env_kwargs=dict(spec.env_kwargs),
        seed=spec.seed,
        n_envs=spec.n_envs,
        steps=spec.steps,
        eval_every=spec.evaluation_interval,
        episodes_per_goal=spec.episodes_per_goal,
        commands=[],
        versions={},
        hardware="",
        goals=spec.goals,
        trained_in=spec.trained_in,
        planner=dict(spec.planner),
    )


def config_of(spec: RunSpec, folder: RunFolder) -> RunConfig:
    """Return the configuration of an existing run.

    Raises:
        ValueError: `spec` differs in something that a run cannot change, or has an unknown setting.
    """
    config = folder.config()
    algorithm = get_algorithm(spec.algorithm)
    algorithm.arguments(spec.chosen_preset, spec.overrides, spec.steps)
    overrides = dict(spec.overrides)
    policy_kwargs = overrides.pop("policy_kwargs", {})
    asked: list[tuple[str, Any, Any]] = [
        ("task", spec.env_id, config.task),
        ("agent", spec.algorithm, config.algorithm),
        ("preset", spec.chosen_preset, config.preset),
        ("seed", spec.seed, config.seed),
        ("n_envs", spec.n_envs, config.n_envs),
        ("goals", spec.goals, config.goals),
        ("trained_in", spec.trained_in, config.trained_in),
        ("planner", _as_kept(spec.planner), config.planner),
        *_beside(spec.env_kwargs, config.env_kwargs),
        *_beside(overrides, config.settings),
        *_beside(policy_kwargs, config.policy_kwargs, "policy_kwargs."),
    ]
    _check_same(folder, asked)
    return config


def is_finished(spec: RunSpec, folder: RunFolder) -> bool:
    """Return whether the requested run is finished.

    Raises:
        ValueError: the folder holds a different run, or one of more steps; or a finished run that
            cannot resume and has other steps, minutes or evaluations.
    """
    if not folder.holds_a_run():
        return False
    config = config_of(spec, folder)
    if config.steps > spec.steps:
        raise ValueError(
            f"{folder.path} holds a run of {config.steps} steps, more than {spec.steps}; "
            "choose another folder for a new run"
        )
    if not (config.finished and folder.evaluation_file.is_file()):
        return False
    asked = [
        ("steps", spec.steps, config.steps),
        ("minutes", spec.minutes, config.minutes),
        ("eval_every", spec.evaluation_interval, config.eval_every),
        ("episodes_per_goal", spec.episodes_per_goal, config.episodes_per_goal),
    ]
    if is_closed(spec, config):
        _check_same(folder, asked)
    return all(wanted == there for _, wanted, there in asked)


def is_closed(spec: RunSpec, config: RunConfig) -> bool:
    """Return whether an existing run is finished and cannot be continued to what `spec` requests.

    Runs of other libraries' algorithms leave no checkpoint; if more steps are requested, they start
    over. Runs that only evaluate an agent can always do so again.
    """
    algorithm = get_algorithm(spec.algorithm)
    only_evaluates = bool(config.trained_in) or not algorithm.learns
    goes_on = algorithm.resumes or spec.steps > config.steps
    return config.finished and not only_evaluates and not goes_on


def check_alike(spec: RunSpec, folder: RunFolder) -> None:
    """Check that a run is comparable with an existing one.

    Runs of the same algorithm and preset may differ only in task and seed. Other runs have
    settings of their own, but the same budget: the same episodes per goal, and if both learn, the
    same steps, minutes and steps between evaluations.

    Args:
        spec: the complete run; nothing is taken from the folder.
        folder: folder of an existing run.

    Raises:
        ValueError: the runs differ; the message names the difference.
    """
    config = folder.config()
    budget: list[tuple[str, Any, Any]] = [
        ("episodes_per_goal", spec.episodes_per_goal, config.episodes_per_goal)
    ]
    if all(get_algorithm(name).learns for name in (spec.algorithm, config.algorithm)):
        budget = [
            ("steps", spec.steps, config.steps),
            ("minutes", spec.minutes, config.minutes),
            ("eval_every", spec.evaluation_interval, config.eval_every),
            *budget,
        ]
    _check_same(folder, budget)
    if (config.algorithm, config.preset) != (spec.algorithm, spec.chosen_preset):
        return
    wanted = new_config(spec)
    _check_same(
        folder,
        [
            ("n_envs", spec.n_envs, config.n_envs),
            *_all_beside(wanted.env_kwargs, config.env_kwargs),
            *_all_beside(wanted.settings, config.settings),
            *_all_beside(wanted.policy_kwargs, config.policy_kwargs, "policy_kwargs."),
        ],
    )


def _check_same(folder: RunFolder, asked: Iterable[tuple[str, Any, Any]]) -> None:
    """Check triples (name, requested value, existing value) for equal values.

    Raises:
        ValueError: two values differ.
    """
    for name, wanted, there in asked:
        if wanted != there:
            raise ValueError(
                f"{folder.path} holds a run with {name} {there}, got {wanted}; "
                "choose another folder for a new run"
            )


def _beside(
    wanted: Mapping[str, Any], there: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Yield (name, requested value as kept, existing value) for each name in `wanted`."""
    for name, value in _as_kept(wanted).items():
        yield prefix + name, value, there.get(name)


def _all_beside(
    wanted: Mapping[str, Any], there: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Yield the same for each name in either mapping."""
    return _beside({**dict.fromkeys(there), **wanted}, there, prefix)


def _as_kept(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as a configuration file keeps them: JSON has no tuples."""
    kept: dict[str, Any] = json.loads(json.dumps(dict(values)))
    return kept
