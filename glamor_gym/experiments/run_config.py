"""Comparison of a requested run with the one in a folder.

In: a :class:`~glamor_gym.experiments.spec.RunSpec`, and the folder of a run. Out: the configuration
of the run, or an error that names the first difference.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from glamor_gym.evaluation import RunConfig, RunFolder
from glamor_gym.experiments.algorithms import get_algorithm, is_trained
from glamor_gym.experiments.spec import RunSpec

IDENTITY = ("task", "agent", "preset", "seed", "n_envs", "goals", "trained_in", "planner")
"""What a run cannot change when it is continued, besides its settings."""

BUDGET = ("steps", "minutes", "eval_every", "episodes_per_goal")
"""Fields of a configuration: how long a run trains, and how often it is evaluated."""


def new_config(spec: RunSpec) -> RunConfig:
    """Return the configuration of a new run."""
    algorithm = get_algorithm(spec.algorithm)
    settings = algorithm.arguments(spec.chosen_preset, spec.overrides)
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
        minutes=spec.minutes,
        collect=spec.collect,
        checkpoint_minutes=spec.checkpoint_minutes,
        goals=spec.goals,
        trained_in=spec.trained_in,
        planner=dict(spec.planner),
    )


def config_of(spec: RunSpec, folder: RunFolder) -> RunConfig:
    """Return the configuration of an existing run.

    Raises:
        ValueError: `spec` differs in something that a run cannot change, or has an unknown setting.
    """
    wanted, there = new_config(spec), folder.config()
    settings = [name for name in spec.overrides if name != "policy_kwargs"]
    policy_kwargs = [f"policy_kwargs.{name}" for name in spec.overrides.get("policy_kwargs", {})]
    names = [*IDENTITY, *spec.env_kwargs, *settings, *policy_kwargs]
    _check_same(folder, wanted, there, names)
    return there


def is_finished(spec: RunSpec, folder: RunFolder) -> bool:
    """Return whether the requested run is finished.

    An evaluation of another run's agent is not if that run is gone or has another agent since. If
    only the agent's file is gone, or the evaluation does not record whose it is, it still counts.

    Raises:
        ValueError: the folder holds a different run, or a training of more steps; or a finished run
            that cannot resume and has other steps, minutes or evaluations.
    """
    if not folder.holds_a_run():
        return False
    config = config_of(spec, folder)
    if config.steps > spec.steps and not _only_evaluates(config):
        raise ValueError(
            f"{folder.path} holds a run of {config.steps} steps, more than {spec.steps}; "
            "choose another folder for a new run"
        )
    if not (config.finished and folder.is_evaluated() and _is_of_its_trainer(folder, config)):
        return False
    wanted = new_config(spec)
    if is_closed(spec, config):
        _check_same(folder, wanted, config, BUDGET)
    return all(getattr(wanted, name) == getattr(config, name) for name in BUDGET)


def _is_of_its_trainer(folder: RunFolder, config: RunConfig) -> bool:
    """Return whether nothing tells that a run evaluated another agent than its trainer has now."""
    if not config.trainer_sha256:
        return True
    trainer = folder.trainer_of(config)
    return trainer.holds_a_run() and trainer.agent_sha256() in ("", config.trainer_sha256)


def is_closed(spec: RunSpec, config: RunConfig) -> bool:
    """Return whether an existing run is finished and cannot be continued to what `spec` requests.

    Runs of other libraries' algorithms leave no checkpoint; if more steps are requested, they start
    over. Runs that only evaluate an agent can always do so again.
    """
    goes_on = get_algorithm(spec.algorithm).resumes or spec.steps > config.steps
    return config.finished and not _only_evaluates(config) and not goes_on


def check_checkpoint(folder: RunFolder) -> None:
    """Check that the run in a folder, if any, would not start over and overwrite its results.

    Runs that can resume have a checkpoint before their first step, so one without has lost it.

    Raises:
        ValueError: it has taken steps and could resume, but its checkpoint was removed.
    """
    if not folder.holds_a_run() or folder.holds_a_checkpoint():
        return
    config = folder.config()
    if _only_evaluates(config) or not get_algorithm(config.algorithm).resumes:
        return
    if config.finished or len(folder.metrics()):
        raise ValueError(
            f"{folder.path} holds a run without its checkpoint, from which it would go on; to "
            "start over would overwrite its results: choose another folder, or remove this one"
        )


def _only_evaluates(config: RunConfig) -> bool:
    return bool(config.trained_in) or not is_trained(config.algorithm)


def check_alike(spec: RunSpec, folder: RunFolder, *, budget: bool = True) -> None:
    """Check that a run is comparable with an existing one.

    Runs of the same algorithm and preset may differ only in task and seed. Other runs have
    settings of their own, but the same budget: the same episodes per goal, and if both learn, the
    same steps, minutes and steps between evaluations.

    Args:
        spec: the complete run; nothing is taken from the folder.
        folder: folder of an existing run.
        budget: whether to compare the budget and the evaluations as well.

    Raises:
        ValueError: the runs differ; the message names the difference.
    """
    wanted, there = new_config(spec), folder.config()
    if budget:
        both_learn = all(is_trained(config.algorithm) for config in (wanted, there))
        _check_same(folder, wanted, there, BUDGET if both_learn else ["episodes_per_goal"])
    if (there.algorithm, there.preset) == (wanted.algorithm, wanted.preset):
        names = ["n_envs", *_settings(there), *_settings(wanted)]
        _check_same(folder, wanted, there, names)


def _check_same(
    folder: RunFolder, wanted: RunConfig, there: RunConfig, names: Iterable[str]
) -> None:
    """Check that the run in a folder has the requested values of these names.

    Raises:
        ValueError: a value differs.
    """
    asked, has = _values(wanted), _values(there)
    for name in names:
        if asked.get(name) != has.get(name):
            raise ValueError(
                f"{folder.path} holds a run with {name} {has.get(name)}, got {asked.get(name)}; "
                "choose another folder for a new run"
            )


def _values(config: RunConfig) -> dict[str, Any]:
    """Return what runs are compared by, as a file keeps it (JSON has no tuples), by option."""
    fields = {name: getattr(config, name) for name in (*IDENTITY, *BUDGET)}
    named = {**_settings(config), **fields, "agent": config.algorithm}
    kept: dict[str, Any] = json.loads(json.dumps(named))
    return kept


def _settings(config: RunConfig) -> dict[str, Any]:
    """Return the settings of environments, agent and policy by their names."""
    policy_kwargs = {f"policy_kwargs.{name}": it for name, it in config.policy_kwargs.items()}
    return {**config.env_kwargs, **config.settings, **policy_kwargs}
