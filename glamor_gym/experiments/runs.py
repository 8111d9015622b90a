"""One run: an algorithm trained on a task and evaluated on its fixed goals.

In: a :class:`~glamor_gym.experiments.spec.RunSpec` and a folder, empty or with an interrupted run.
Out: the folder with the run (see :mod:`glamor_gym.evaluation.run_folder`), and its final
evaluation. Goals, evaluation steps and the budget of environment steps do not depend on the
algorithm.
"""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, cast

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from glamor_gym.agents import GlamorAgent
from glamor_gym.evaluation import EvaluationCallback, RunConfig, RunFolder
from glamor_gym.evaluation.baselines import Predictor
from glamor_gym.evaluation.provenance import source_commit, versions
from glamor_gym.experiments.algorithm_kinds import Algorithm, ImageGoalAlgorithm, Player
from glamor_gym.experiments.algorithms import get_algorithm
from glamor_gym.experiments.execution import (
    PICTURES,
    PlayedRun,
    Run,
    TrainedRun,
    hardware_of,
)
from glamor_gym.experiments.run_config import (
    BUDGET,
    check_checkpoint,
    config_of,
    is_closed,
    new_config,
)
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
) -> EvaluationResult:
    """Execute a run, or the rest of an interrupted one; see :func:`prepare_run` for the arguments.

    Raises:
        ValueError: a setting is invalid, or does not fit the run in the folder.
        FolderInUseError: another process is using the folder.
        TrainingInterrupted: SIGINT, SIGTERM or SIGHUP was received. The run can resume from that
            step, or is finished if the signal came after the last step.
        FloatingPointError: a loss or a weight became NaN; the last checkpoint before that is kept.
    """
    try:
        return prepare_run(
            spec,
            folder,
            command=command,
            callbacks=callbacks,
            device=device,
            verbose=verbose,
        ).complete()
    finally:
        gc.collect()  # a run is part of cycles, which would keep its agent and replay in memory


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
    """Validate a run and make its agent, so that it is ready to be executed.

    If the folder already holds a run, it resumes from its checkpoint if its algorithm supports it,
    and otherwise starts over; one that has lost its checkpoint is refused. `spec` may change only
    its budget, its evaluations, `collect` and `checkpoint_minutes`. If the agent does not learn, or
    is that of another run, it is only evaluated.

    Args:
        spec: the run.
        folder: folder of the run; nothing is written before everything is validated.
        command: the command line as typed, for the record.
        callbacks: further SB3 callbacks, called after the evaluation callback.
        device: device of the networks: ``"cpu"``, ``"cuda"`` or ``"auto"``.
        verbose: 1 prints a line per evaluation.
        progress_bar: whether to show a progress bar of the training.

    Raises:
        ValueError: a setting is invalid, or does not fit the run in the folder.
        FolderInUseError: another process is using the folder, or has changed the run meanwhile.
        ModuleNotFoundError: the algorithm's library is not installed.
    """
    algorithm = get_algorithm(spec.algorithm)
    before = folder.config() if folder.holds_a_run() else None
    config = _requested(spec, folder, before, command)
    if isinstance(algorithm, Player):
        return PlayedRun(config, folder, before, _player(algorithm, config))
    if config.trained_in:
        agent = _trained_agent(algorithm, config, folder, device)
        digest = folder.trainer_of(config).agent_sha256()
        config = dataclasses.replace(config, trainer_sha256=digest)
        return PlayedRun(config, folder, before, agent)
    if before is not None and is_closed(spec, before):
        raise ValueError(
            f"{folder.path} holds a finished run of {before.steps} steps, and runs of "
            f"{algorithm.name} cannot resume; choose another folder for a new run"
        )
    check_checkpoint(folder)
    with ExitStack() as opened:
        env = make_collector(
            config.task,
            config.n_envs,
            kind=cast(CollectorKind, config.collect),
            **{**config.env_kwargs, **algorithm.env_kwargs},
        )
        opened.callback(env.close)  # unless the run takes it over
        agent = _agent(algorithm, config, folder, env, device)
        config = _continued(config, folder, before, agent)
        run = TrainedRun(
            config,
            folder,
            before,
            algorithm,
            agent,
            _evaluation(config, folder, verbose),
            callbacks,
            progress_bar,
        )
        opened.pop_all()
        return run


def _requested(
    spec: RunSpec, folder: RunFolder, before: RunConfig | None, command: str
) -> RunConfig:
    """Return the configuration of the requested run: a new one, or the folder's with changes.

    Raises:
        ValueError: a setting is invalid, or does not fit the run in the folder.
    """
    if before is None and folder.holds_a_checkpoint():
        raise ValueError(
            f"{folder.path} holds a checkpoint but no config.json, so that its settings are "
            "unknown; choose another folder, or continue it with load_checkpoint in a program"
        )
    config = wanted = new_config(spec)
    if before is not None:
        config = config_of(spec, folder)
    return dataclasses.replace(
        config,
        **{name: getattr(wanted, name) for name in (*BUDGET, "checkpoint_minutes", "collect")},
        versions=versions(),
        commit=source_commit(),
        finished=False,
        commands=[*config.commands, command],
    )


def _continued(
    config: RunConfig, folder: RunFolder, before: RunConfig | None, agent: BaseAlgorithm
) -> RunConfig:
    """Return the configuration with what is known once there is an agent to train.

    The final evaluation is logged after the last checkpoint. A finished run that is extended keeps
    that row of its log, also if it is killed before it has another checkpoint; a run that was
    interrupted during the evaluation logs it again. ``extended_from`` tells the two apart.

    Raises:
        ValueError: the agent has already taken more steps than requested.
    """
    taken = agent.num_timesteps
    commit, hardware = config.commit, hardware_of(agent)
    if before is not None and taken:
        commit, hardware = _joined(before.commit, commit), _joined(before.hardware, hardware)
    if taken >= config.steps + config.n_envs:  # all environments step at once
        raise ValueError(
            f"steps must be at least the {taken} that the run in {folder.path} "
            f"has already taken, got {config.steps}"
        )
    is_extended = before is not None and before.finished and taken < config.steps
    return dataclasses.replace(
        config,
        extended_from=taken if is_extended else config.extended_from,
        commit=commit,
        hardware=hardware,
        train_seconds=config.train_seconds if taken else 0.0,
    )


def _joined(earlier: str, now: str) -> str:
    """Return the distinct values that a run's commands had, joined by ``"; "``; no empty ones.

    Args:
        earlier: the values of the commands before, joined already.
        now: the value of this command.
    """
    return "; ".join(dict.fromkeys(value for value in (*earlier.split("; "), now) if value))


def _evaluation(config: RunConfig, folder: RunFolder, verbose: int) -> EvaluationCallback:
    return EvaluationCallback(
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


def _agent(
    algorithm: Algorithm, config: RunConfig, folder: RunFolder, env: VecEnv, device: str
) -> BaseAlgorithm:
    """Return a new agent, or the one in the run's checkpoint, including its replay."""
    if isinstance(algorithm, ImageGoalAlgorithm) and folder.holds_a_checkpoint():
        return algorithm.load_checkpoint(folder.checkpoint_folder, env=env, device=device)
    arguments = config.settings | {"policy_kwargs": config.policy_kwargs}
    return algorithm.build(env, arguments, seed=config.seed, device=device)


def _player(algorithm: Player, config: RunConfig) -> Predictor:
    """Return an agent that does not learn."""
    env = make_collector(config.task, kind="in-process", **config.env_kwargs)
    player = algorithm.player(stop_action_of(env), config.seed)
    env.close()
    return player


def _trained_agent(
    algorithm: Algorithm, config: RunConfig, folder: RunFolder, device: str
) -> Predictor:
    """Return the agent of the run `trained_in`, with this run's planner settings.

    Raises:
        ValueError: that run is not finished.
    """
    there = folder.trainer_of(config)
    if not (there.holds_a_run() and there.config().finished):
        raise ValueError(f"trained_in must name a finished run, got {config.trained_in!r}")
    agent: Predictor = planned_by(algorithm.load(there.agent_file, device=device), config.planner)
    return agent


def planned_by(agent: Any, planner: Mapping[str, Any]) -> Any:
    """Change planner settings of an agent in place, and return it.

    Args:
        agent: the agent; any kind if `planner` is empty.
        planner: fields of :class:`~glamor_gym.planners.PlannerSettings` to change.

    Raises:
        TypeError: the agent does not plan, and `planner` is not empty.
        ValueError: a setting is out of range.
    """
    if not planner:
        return agent
    if not isinstance(agent, GlamorAgent):
        raise TypeError(f"{type(agent).__name__} does not plan, got planner={dict(planner)}")
    agent.planner = dataclasses.replace(agent.planner, **planner)
    return agent
