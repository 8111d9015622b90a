"""Execution of validated runs: training, evaluations, checkpoints and time limits.

In: a configuration, an agent, and a folder that no other process writes to. Out: the folder with
the run, and its final evaluation. An interrupted run leaves what it needs to continue.
"""

from __future__ import annotations

import dataclasses
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from glamor_gym.agents import CheckpointCallback, StopRequest, TrainingInterrupted
from glamor_gym.agents.base import ImageGoalAgent
from glamor_gym.devices import available_cores
from glamor_gym.evaluation import (
    EvaluationCallback,
    RunConfig,
    RunFolder,
    StopAfter,
    evaluate,
    record_result,
)
from glamor_gym.evaluation.baselines import Predictor
from glamor_gym.experiments.algorithm_kinds import Algorithm
from glamor_gym.experiments.allocator import keep_freed_memory
from glamor_gym.files import FolderInUseError, lock_folder
from glamor_gym.interruption import ended_in_order
from glamor_gym.types import EvaluationResult
from glamor_gym.vector.sb3 import horizon_of

LOG_ENTRIES = 200
"""Approximate number of rows of training metrics that a run logs."""

PICTURES = 30
"""Number of goals of which pictures are kept."""


class Run(ABC):
    """A validated run, ready to be executed.

    Args:
        config: configuration of the run.
        folder: folder of the run.
        before: the folder's configuration when the run was validated; None if there was none.

    Attributes:
        config: configuration of the run.
        folder: folder of the run, which other processes cannot use until the end of the run.

    Raises:
        FolderInUseError: another process is using the folder, or has changed its configuration
            since the run was validated.
        ValueError: the folder's ``metrics.csv`` is damaged.
    """

    def __init__(self, config: RunConfig, folder: RunFolder, before: RunConfig | None) -> None:
        with ExitStack() as held:
            held.enter_context(lock_folder(folder.path))
            if before != (folder.config() if folder.holds_a_run() else None):
                raise FolderInUseError(
                    f"another process has changed the run in {folder.path} since it was validated; "
                    "repeat the command to continue from its new state"
                )
            folder.metrics()  # damaged ones are refused before anything is written
            self._until_end = held.pop_all()
        self.config = config
        self.folder = folder
        folder.write_config(config)

    @property
    def steps_taken(self) -> int:
        """Environment steps taken so far."""
        return 0

    @property
    def out_of_time(self) -> bool:
        """Whether steps are left but the run's minutes are used up."""
        return False

    def complete(self) -> EvaluationResult:
        """Execute the rest of the run, and return its final evaluation.

        Afterwards the folder is free for other processes, and the training environments are closed.

        Raises:
            KeyboardInterrupt: the run was interrupted and has saved its state. It may be finished
                nevertheless; see ``folder.config().finished``.
        """
        with self._until_end:
            return self._complete()

    @abstractmethod
    def _complete(self) -> EvaluationResult:
        """Do what :meth:`complete` does, in the locked folder."""

    def _finished(self, result: EvaluationResult, seconds: float) -> EvaluationResult:
        self.folder.write_config(
            dataclasses.replace(self.config, train_seconds=seconds, finished=True)
        )
        return result


class PlayedRun(Run):
    """One evaluation of an agent that does not learn, or that was trained before."""

    def __init__(
        self,
        config: RunConfig,
        folder: RunFolder,
        before: RunConfig | None,
        agent: Predictor,
    ) -> None:
        super().__init__(dataclasses.replace(config, hardware=hardware_of(agent)), folder, before)
        self._agent = agent

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


class TrainedRun(Run):
    """Training of an agent, with periodic evaluations."""

    def __init__(
        self,
        config: RunConfig,
        folder: RunFolder,
        before: RunConfig | None,
        algorithm: Algorithm,
        agent: BaseAlgorithm,
        evaluation: EvaluationCallback,
        callbacks: Sequence[BaseCallback],
        progress_bar: bool,
    ) -> None:
        limits: list[BaseCallback] = []
        minutes = math.inf if config.minutes is None else config.minutes
        minutes_left = minutes - config.train_seconds / 60
        self._has_time = minutes_left > 0
        if 0 < minutes_left < math.inf:
            limits.append(StopAfter(minutes_left))
        if not isinstance(agent, ImageGoalAgent):  # those stop at the budget by themselves
            limits.append(_StopAt(config.steps))
        super().__init__(config, folder, before)
        if (env := agent.get_env()) is not None:
            self._until_end.callback(env.close)
        self._algorithm = algorithm
        self._agent = agent
        # The last checkpoint precedes the final evaluation, so it is not affected by it.
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
        self._progress_bar = progress_bar
        taken = agent.num_timesteps
        agent.set_logger(folder.logger(taken, keep_all=config.extended_from == taken))

    @property
    def steps_taken(self) -> int:
        """Environment steps taken so far."""
        return self._agent.num_timesteps

    @property
    def out_of_time(self) -> bool:
        """See :class:`Run`."""
        return not self._has_time and self.steps_taken < self.config.steps

    def _complete(self) -> EvaluationResult:
        keep_freed_memory()
        self._began = time.monotonic()
        with self._stop if self._algorithm.resumes else ended_in_order():
            try:
                self._learn()
            except KeyboardInterrupt:
                self._save()
                raise
        seconds = self._save()
        last = self.folder.evaluation()
        assert last is not None  # training ends with one
        result = self._finished(last, seconds)
        if self._stop.received is not None:  # it came after the last step: still end the process
            raise TrainingInterrupted(self._stop.received, self._agent.num_timesteps)
        return result

    def _learn(self) -> None:
        """Train for the remaining steps; if no steps or time are left, only end the training."""
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
        self.folder.forget_held_out()  # one made during training is not of the final agent

    def _log_interval(self) -> int:
        """Return the number of episodes (rollouts for on-policy algorithms) per logged row."""
        env = self._agent.get_env()
        if env is None or not isinstance(self._agent, OffPolicyAlgorithm):
            return 1
        return max(1, self.config.steps // (horizon_of(env) * LOG_ENTRIES))

    def _save(self) -> float:
        """Save the agent; return the seconds of training so far."""
        self.folder.save_agent(self._agent)
        return self._keep_seconds()

    def _keep_seconds(self) -> float:
        """Record and return the seconds of training so far."""
        seconds = self.config.train_seconds + time.monotonic() - self._began
        self.folder.write_config(dataclasses.replace(self.config, train_seconds=seconds))
        return seconds


class _WhenWritten(BaseCallback):
    """Acts after each new result or checkpoint: a killed process cannot act at its end."""

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
    """Ends training at the step that uses up the budget, not at the end of a rollout."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._steps = steps

    def _on_step(self) -> bool:
        return self.num_timesteps < self._steps


def hardware_of(agent: object) -> str:
    """Return a description of the hardware that an agent computes on."""
    if isinstance(agent, BaseAlgorithm) and agent.device.type == "cuda":
        return torch.cuda.get_device_name(agent.device)
    return f"{available_cores()} CPU cores, PyTorch threads: {torch.get_num_threads()}"
