"""One run: an algorithm trained on a task and judged by its fixed goals.

In: a :class:`~glamor_gym.experiments.spec.RunSpec` and a folder, empty or with a run that was
broken off. Out: the same folder with the run in it (see :mod:`glamor_gym.evaluation.run_folder`),
and its last evaluation. Whatever the algorithm, the goals, the steps at which it is evaluated and
the budget of environment steps are the same.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from typing import Any, cast

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from glamor_gym.agents import CheckpointCallback, GlamorAgent, StopRequest, TrainingInterrupted
from glamor_gym.evaluation import (
    EvaluationCallback,
    RunConfig,
    RunFolder,
    StopAfter,
    evaluate,
    record_result,
    versions,
)
from glamor_gym.evaluation.baselines import Predictor
from glamor_gym.evaluation.provenance import source_commit
from glamor_gym.experiments.algorithms import Algorithm, ImageGoalAlgorithm, Player, get_algorithm
from glamor_gym.experiments.allocator import keep_freed_memory
from glamor_gym.experiments.spec import RunSpec
from glamor_gym.files import lock_folder
from glamor_gym.tasks import get_task
from glamor_gym.types import EvaluationResult
from glamor_gym.vector import CollectorKind
from glamor_gym.vector.collector import make_collector
from glamor_gym.vector.sb3 import horizon_of, stop_action_of

LOG_ENTRIES = 200
"""About how many rows of training figures a run logs."""

PICTURES = 30
"""For how many goals pictures are kept."""


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
        ModuleNotFoundError: the algorithm is part of a library that is not installed.
    """
    algorithm = get_algorithm(spec.algorithm)
    was_finished = folder.holds_a_run() and folder.config().finished
    config = dataclasses.replace(
        _resumed(spec, folder) if folder.holds_a_run() else _begun(spec),
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
        return _PlayedRun(config, folder, _player(algorithm, config))
    if config.trained_in:
        return _PlayedRun(config, folder, _trained_agent(algorithm, config, folder, device))
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
        hardware=_hardware(agent),
        train_seconds=config.train_seconds if agent.num_timesteps else 0.0,
    )
    return _TrainedRun(
        config, folder, algorithm, agent, evaluation, callbacks, progress_bar, is_extended
    )


def is_finished(spec: RunSpec, folder: RunFolder) -> bool:
    """Return whether nothing of a run is left to do.

    Raises:
        ValueError: the run in the folder is another one, or has more steps already.
    """
    if not folder.holds_a_run():
        return False
    config = _resumed(spec, folder)
    if config.steps > spec.steps:
        raise ValueError(
            f"{folder.path} holds a run of {config.steps} steps, more than {spec.steps}; "
            "take another folder for a new run"
        )
    asked = (spec.steps, spec.minutes, spec.evaluation_interval, spec.episodes_per_goal)
    return (
        config.finished
        and folder.evaluation_file.is_file()
        and asked
        == (
            config.steps,
            config.minutes,
            config.eval_every,
            config.episodes_per_goal,
        )
    )


class Run(ABC):
    """A run that was found in order and is ready to go.

    Attributes:
        config: what is to be run.
        folder: where.
        lock: keeps other processes from the folder until it is closed, as it is at the end.

    Raises:
        FolderInUseError: another process is at work in the folder.
    """

    def __init__(self, config: RunConfig, folder: RunFolder) -> None:
        self.lock = ExitStack()
        self.lock.enter_context(lock_folder(folder.path))
        self.config = config
        self.folder = folder
        folder.write_config(config)

    @property
    def steps_taken(self) -> int:
        """Environment steps taken so far."""
        return 0

    @abstractmethod
    def complete(self) -> EvaluationResult:
        """Do what is left of the run, and return its last evaluation.

        Raises:
            KeyboardInterrupt: it was interrupted; what there is was saved. The run may have come to
                its end all the same: ``folder.config().finished``.
        """

    def _finished(self, result: EvaluationResult, seconds: float) -> EvaluationResult:
        self.folder.write_config(
            dataclasses.replace(self.config, train_seconds=seconds, finished=True)
        )
        return result


class _PlayedRun(Run):
    """An agent with nothing to learn, or that has learned already: one evaluation."""

    def __init__(self, config: RunConfig, folder: RunFolder, agent: Predictor) -> None:
        super().__init__(dataclasses.replace(config, hardware=_processors()), folder)
        self._agent = agent

    def complete(self) -> EvaluationResult:
        """Evaluate the agent."""
        with self.lock:
            return self._complete()

    def _complete(self) -> EvaluationResult:
        config = self.config
        result = evaluate(
            self._agent,
            config.task,
            episodes_per_goal=config.episodes_per_goal,
            seed=config.seed,
            goals=config.goals,
            env_kwargs=config.env_kwargs,
            record=PICTURES,
        )
        logger = self.folder.logger()
        record_result(logger, result)
        logger.dump(0)
        self.folder.save_evaluation(result)
        return self._finished(result, seconds=0.0)


class _TrainedRun(Run):
    """An agent that learns, with an evaluation every so many steps."""

    def __init__(
        self,
        config: RunConfig,
        folder: RunFolder,
        algorithm: Algorithm,
        agent: BaseAlgorithm,
        evaluation: EvaluationCallback,
        callbacks: Sequence[BaseCallback],
        progress_bar: bool,
        is_extended: bool,
    ) -> None:
        limits: list[BaseCallback] = []
        self._has_time = True
        if config.minutes is not None:
            minutes_left = config.minutes - config.train_seconds / 60
            self._has_time = minutes_left > 0
            limits += [StopAfter(minutes_left)] if self._has_time else []
        if not isinstance(agent, OffPolicyAlgorithm):
            limits.append(_StopAt(config.steps))
        super().__init__(config, folder)
        self._algorithm = algorithm
        self._agent = agent
        self._evaluation = evaluation
        # A checkpoint comes before the evaluation at the end, which leaves no trace in it.
        self._stop = StopRequest()
        checkpoints: list[CheckpointCallback] = []
        if algorithm.resumes:
            checkpoints.append(
                CheckpointCallback(
                    folder.checkpoint_folder,
                    every_minutes=config.checkpoint_minutes,
                    stop=self._stop,
                )
            )
        clock = _WhenWritten(
            lambda: len(evaluation.results) + sum(each.n_written for each in checkpoints),
            self._keep_seconds,
        )
        self._callbacks: list[BaseCallback] = [
            *checkpoints,
            clock,
            evaluation,
            *callbacks,
            *limits,
        ]
        self._began = time.monotonic()
        self._progress_bar = progress_bar
        agent.set_logger(folder.logger(agent.num_timesteps, keep_all=is_extended))

    @property
    def steps_taken(self) -> int:
        """Environment steps taken so far."""
        return self._agent.num_timesteps

    def complete(self) -> EvaluationResult:
        """Take the steps that are left, and evaluate as it goes and at the end."""
        with self.lock:
            return self._complete()

    def _complete(self) -> EvaluationResult:
        keep_freed_memory()
        self._began = time.monotonic()
        try:
            with self._stop if self._algorithm.resumes else nullcontext():
                self._learn()
        except KeyboardInterrupt:
            self._save()
            raise
        seconds = self._save()
        last = list(self._evaluation.results.values())[-1]
        result = self._finished(last, seconds)
        if self._stop.received is not None:  # after the last step: whoever began the run is to end
            raise TrainingInterrupted(self._stop.received, self._agent.num_timesteps)
        return result

    def _learn(self) -> None:
        """Take the steps that are left; without any, or time, do what comes at the end alone."""
        steps_left = self.config.steps - self._agent.num_timesteps
        if steps_left <= 0 or not self._has_time:
            at_the_end = CallbackList(self._callbacks)
            at_the_end.init_callback(self._agent)
            at_the_end.on_training_end()
            return
        self.folder.forget_held_out()
        self._agent.learn(
            steps_left,
            callback=self._callbacks,
            log_interval=self._log_interval(),
            reset_num_timesteps=False,
            progress_bar=self._progress_bar,
        )

    def _log_interval(self) -> int:
        """Return how many episodes (rollouts, without a replay) there are to a logged row."""
        env = self._agent.get_env()
        if env is None or not isinstance(self._agent, OffPolicyAlgorithm):
            return 1
        return max(1, self.config.steps // (horizon_of(env) * LOG_ENTRIES))

    def _save(self) -> float:
        """Write the agent; return the seconds of training so far."""
        self.folder.save_agent(self._agent)
        return self._keep_seconds()

    def _keep_seconds(self) -> float:
        """Write down and return the seconds of training so far."""
        seconds = self.config.train_seconds + time.monotonic() - self._began
        self.folder.write_config(dataclasses.replace(self.config, train_seconds=seconds))
        return seconds


class _WhenWritten(BaseCallback):
    """Do something whenever more was written: a process that is killed does nothing at its end."""

    def __init__(self, n_written: Callable[[], int], act: Callable[[], object]) -> None:
        super().__init__()
        self._n_written = n_written
        self._act = act
        self._seen = 0

    def _on_rollout_start(self) -> None:
        if self._n_written() != self._seen:
            self._seen = self._n_written()
            self._act()

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        self._act()


class _StopAt(BaseCallback):
    """End the training in the step in which the budget is spent, not at the end of a rollout."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._steps = steps

    def _on_step(self) -> bool:
        return self.num_timesteps < self._steps


# ------------------------------------------------------------------------- what is to be run


def _begun(spec: RunSpec) -> RunConfig:
    """Return the configuration of a new run."""
    algorithm = get_algorithm(spec.algorithm)
    settings = algorithm.arguments(spec.chosen_preset, spec.overrides, spec.steps)
    return RunConfig(
        task=get_task(spec.task).id,
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


def _resumed(spec: RunSpec, folder: RunFolder) -> RunConfig:
    """Return the configuration of the run that is there.

    Raises:
        ValueError: `spec` would change what a run cannot change on its way, or names a setting
            that there is not.
    """
    config = folder.config()
    algorithm = get_algorithm(spec.algorithm)
    algorithm.arguments(spec.chosen_preset, spec.overrides, spec.steps)
    overrides = dict(spec.overrides)
    policy_kwargs = overrides.pop("policy_kwargs", {})
    asked: list[tuple[str, Any, Any]] = [
        ("task", get_task(spec.task).id, config.task),
        ("agent", spec.algorithm, config.algorithm),
        ("preset", spec.chosen_preset, config.preset),
        ("seed", spec.seed, config.seed),
        ("n_envs", spec.n_envs, config.n_envs),
        ("goals", spec.goals, config.goals),
        ("trained_in", spec.trained_in, config.trained_in),
        ("planner", dict(spec.planner), config.planner),
        *_beside(spec.env_kwargs, config.env_kwargs),
        *_beside(overrides, config.settings),
        *_beside(policy_kwargs, config.policy_kwargs, "policy_kwargs."),
    ]
    _check_same(folder, asked)
    return config


def check_alike(spec: RunSpec, folder: RunFolder) -> None:
    """Check that a run could stand beside one that is there: all but task and seed is the same.

    A run of another algorithm, or of another preset, may differ.

    Args:
        spec: the whole of a run, which leaves nothing as it was.
        folder: with another run.

    Raises:
        ValueError: something is not the same; the message names it.
    """
    config = folder.config()
    if (config.algorithm, config.preset) != (spec.algorithm, spec.chosen_preset):
        return
    wanted = _begun(spec)
    _check_same(
        folder,
        [
            *(
                [("steps", spec.steps, config.steps)]
                if get_algorithm(spec.algorithm).learns
                else []
            ),
            ("n_envs", spec.n_envs, config.n_envs),
            *_all_beside(wanted.env_kwargs, config.env_kwargs),
            *_all_beside(wanted.settings, config.settings),
            *_all_beside(wanted.policy_kwargs, config.policy_kwargs, "policy_kwargs."),
        ],
    )


def _check_same(folder: RunFolder, asked: Iterable[tuple[str, Any, Any]]) -> None:
    """Check that every (name, value wanted, value that is there) has the same value twice.

    Raises:
        ValueError: one has not.
    """
    for name, wanted, there in asked:
        if wanted != there:
            raise ValueError(
                f"{folder.path} holds a run with {name} {there}, got {wanted}; "
                "take another folder for a new run"
            )


def _beside(
    wanted: Mapping[str, Any], there: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Yield (name, value wanted, value that is there) for each of `wanted`."""
    for name, value in wanted.items():
        yield prefix + name, value, there.get(name)


def _all_beside(
    wanted: Mapping[str, Any], there: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Yield the same for whatever is in one of them, `wanted` as JSON would have it."""
    as_kept = json.loads(json.dumps(dict(wanted)))
    return _beside({**dict.fromkeys(there), **as_kept}, there, prefix)


# ----------------------------------------------------------------------- what it is run with


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
    there = RunFolder(folder.path.parent / config.trained_in)
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


def _hardware(agent: BaseAlgorithm) -> str:
    if agent.device.type == "cuda":
        return torch.cuda.get_device_name(agent.device)
    return _processors()


def _processors() -> str:
    return f"{os.cpu_count()} CPU cores, PyTorch threads: {torch.get_num_threads()}"
