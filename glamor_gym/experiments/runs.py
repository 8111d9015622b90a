"""One run: an algorithm trained on a task and judged by its fixed goals.

In: a :class:`~glamor_gym.experiments.spec.RunSpec` and a folder, empty or with a run that was
broken off. Out: the same folder with the run in it (see :mod:`glamor_gym.evaluation.run_folder`),
and its last evaluation. Whatever the algorithm, the goals, the steps at which it is evaluated and
the budget of environment steps are the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, cast

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from glamor_gym.agents import GlamorAgent
from glamor_gym.evaluation import (
    EvaluationCallback,
    RunConfig,
    RunFolder,
    versions,
)
from glamor_gym.evaluation.baselines import Predictor
from glamor_gym.evaluation.provenance import source_commit
from glamor_gym.experiments.algorithms import Algorithm, ImageGoalAlgorithm, Player, get_algorithm
from glamor_gym.experiments.execution import (
    PICTURES,
    PlayedRun,
    Run,
    TrainedRun,
    hardware_of,
)
from glamor_gym.experiments.run_config import config_of, is_closed, new_config
from glamor_gym.experiments.spec import RunSpec
from glamor_gym.types import EvaluationResult
from glamor_gym.vector import CollectorKind
from glamor_gym.vector.collector import make_collector
from glamor_gym.vector.sb3 import stop_action_of


def train_run(
    spec: RunSpec,
    folder: RunFolder,
    *,
    command: str,
    callbacks: Sequence[BaseCallback] = (),
    device: str = "auto",
    verbose: int = 0,
    progress_bar: bool = False,
) -> EvaluationResult:
    """Carry out a run, or the rest of one; see :func:`prepare_run` for the arguments.

    Raises:
        ValueError: the run cannot be carried out as it is asked for.
        FolderInUseError: another process is at work in the folder.
        TrainingInterrupted: SIGTERM or SIGINT came; the run can go on from that very step, or is
            finished, where it came after the last one.
        FloatingPointError: a loss or a weight became NaN; the checkpoint before it is kept.
    """
    return prepare_run(
        spec,
        folder,
        command=command,
        callbacks=callbacks,
        device=device,
        verbose=verbose,
        progress_bar=progress_bar,
    ).complete()


def prepare_run(
    spec: RunSpec,
    folder: RunFolder,
    *,
    command: str,
    callbacks: Sequence[BaseCallback] = (),
    device: str = "auto",
    verbose: int = 0,
    progress_bar: bool = False,
) -> Run:
    """Check everything and make the agent, so that only the work itself is left to do.

    A run that is in the folder already goes on from its checkpoint, where its algorithm can, else
    begins anew; `spec` may change its steps, evaluations and minutes, and nothing else. Where the
    agent is that of another run, or nothing is learned, there is an evaluation only.

    Args:
        spec: what is to be run.
        folder: where; nothing is written to it before all was found in order.
        command: what was typed to get this run, for the record.
        callbacks: further SB3 callbacks, called after each evaluation is due.
        device: where the networks are: ``"cpu"``, ``"cuda"``, or ``"auto"``.
        verbose: 1 prints a line an evaluation.
        progress_bar: show how far the training is.

    Raises:
        ValueError: a setting is wrong, or does not fit the run that is there.
        FolderInUseError: another process is at work in the folder, or was meanwhile.
        ModuleNotFoundError: the algorithm is part of a library that is not installed.
    """
    algorithm = get_algorithm(spec.algorithm)
    before = folder.config() if folder.holds_a_run() else None
    was_finished = before is not None and before.finished
    config = dataclasses.replace(
        new_config(spec) if before is None else config_of(spec, folder),
        steps=spec.steps,
        eval_every=spec.evaluation_interval,
        episodes_per_goal=spec.episodes_per_goal,
        minutes=spec.minutes,
        checkpoint_minutes=spec.checkpoint_minutes,
        collect=spec.collect,
        versions=versions(),
        commit=source_commit(),
        finished=False,
    )
    config = dataclasses.replace(config, commands=[*config.commands, command])
    if isinstance(algorithm, Player):
        return PlayedRun(config, folder, before, _player(algorithm, config))
    if config.trained_in:
        return PlayedRun(config, folder, before, _trained_agent(algorithm, config, folder, device))
    if before is not None and is_closed(spec, before):
        raise ValueError(
            f"{folder.path} holds a finished run of {before.steps} steps, and runs of "
            f"{algorithm.name} cannot go on; take another folder for a new run"
        )
    agent = _agent(algorithm, config, folder, device)
    if agent.num_timesteps >= config.steps + config.n_envs:  # all environments step at once
        raise ValueError(
            f"steps must be at least the {agent.num_timesteps} that the run in {folder.path} has "
            f"taken, got {config.steps}"
        )
    evaluation = EvaluationCallback(
        config.task,
        config.eval_every,
        final_episodes_per_goal=config.episodes_per_goal,
        seed=config.seed,
        goals=config.goals,
        env_kwargs=config.env_kwargs,
        record=PICTURES,
        run_folder=folder,
        verbose=verbose,
    )
    # The evaluation at the end came after the last checkpoint. A run that goes beyond its end keeps
    # that row of its log; one that was broken off within it logs it again.
    is_extended = was_finished and agent.num_timesteps < config.steps
    config = dataclasses.replace(
        config,
        hardware=hardware_of(agent),
        train_seconds=config.train_seconds if agent.num_timesteps else 0.0,
    )
    return TrainedRun(
        config, folder, before, algorithm, agent, evaluation, callbacks, progress_bar, is_extended
    )


def _agent(
    algorithm: Algorithm, config: RunConfig, folder: RunFolder, device: str
) -> BaseAlgorithm:
    """Return a new agent, or the one of the run's checkpoint with its replay."""
    env = make_collector(
        config.task,
        config.n_envs,
        kind=cast(CollectorKind, config.collect),
        **{**config.env_kwargs, **algorithm.env_kwargs},
    )
    if isinstance(algorithm, ImageGoalAlgorithm) and folder.holds_a_checkpoint():
        return algorithm.load_checkpoint(folder.checkpoint_folder, env=env, device=device)
    arguments = config.settings | {"policy_kwargs": config.policy_kwargs}
    return algorithm.build(env, arguments, seed=config.seed, device=device)


def _player(algorithm: Player, config: RunConfig) -> Predictor:
    """Return an agent with nothing to learn."""
    env = make_collector(config.task, kind="in-process", **config.env_kwargs)
    player = algorithm.player(stop_action_of(env), config.seed)
    env.close()
    return player


def _trained_agent(
    algorithm: Algorithm, config: RunConfig, folder: RunFolder, device: str
) -> Predictor:
    """Return the agent of another run, planning as it is to plan in this one.

    Raises:
        ValueError: that run is not finished.
    """
    there = folder.trainer_of(config)
    if not (there.holds_a_run() and there.config().finished):
        raise ValueError(f"{config.trained_in} is no finished run whose agent could be evaluated")
    agent: Predictor = planned_by(algorithm.load(there.agent_file, device=device), config.planner)
    return agent


def planned_by(agent: Any, planner: Mapping[str, Any]) -> Any:
    """Return the agent, from now on planning with these settings instead of its own.

    Args:
        agent: any.
        planner: fields of :class:`~glamor_gym.planners.PlannerSettings`.

    Raises:
        TypeError: it does not plan, and there are settings.
        ValueError: a setting is out of its range.
    """
    if not planner:
        return agent
    if not isinstance(agent, GlamorAgent):
        raise TypeError(f"{type(agent).__name__} does not plan, got planner={dict(planner)}")
    agent.planner = dataclasses.replace(agent.planner, **planner)
    return agent
