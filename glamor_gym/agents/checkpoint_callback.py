"""A Stable-Baselines3 callback that writes checkpoints during training.

In: an agent in training. Out: a folder from which ``load_checkpoint`` continues it exactly.
"""

from __future__ import annotations

import math
import time
import warnings
from contextlib import ExitStack
from pathlib import Path

from stable_baselines3.common.callbacks import BaseCallback

from glamor_gym.agents.base import ImageGoalAgent
from glamor_gym.checks import as_integer, as_number
from glamor_gym.files import lock_folder
from glamor_gym.interruption import StopRequest, TrainingInterrupted


class CheckpointCallback(BaseCallback):
    """Write checkpoints at intervals, and before the first step and after the last.

    Training is not affected: how often checkpoints are written changes nothing that is learned.

    .. code-block:: python

        agent = GlamorAgent("glamor/Pong-v0", seed=1)
        with StopRequest() as stop:  # Ctrl-C, SIGTERM: one more step, then a checkpoint
            agent.learn(500_000, callback=CheckpointCallback("pong/checkpoint", stop=stop))
        # … and after the process has ended, for whatever reason:
        agent = GlamorAgent.load_checkpoint("pong/checkpoint", "glamor/Pong-v0")
        agent.resume(callback=CheckpointCallback("pong/checkpoint"))

    If a checkpoint cannot be written during training (the disk is full, say), training continues
    with a warning and the previous checkpoint is kept; an error at the first or the last checkpoint
    is raised, as is one of a log on the same disk. During training no other process can write to
    the folder. After an error in training it stays locked until :meth:`release` is called or the
    callback is deleted.

    Args:
        path: the folder; checkpoints that it already holds must be this agent's.
        every_minutes: wall-clock minutes between two checkpoints.
        every_steps: environment steps between two checkpoints, instead of `every_minutes`.
        stop: if it receives a signal, training ends before the next step, after a checkpoint,
            with :class:`~glamor_gym.agents.TrainingInterrupted`, a ``KeyboardInterrupt``. None for
            no checkpoint when a signal ends training.

    Attributes:
        n_written: number of checkpoints written.
        seconds: time spent on writing them, in seconds.

    Raises:
        ValueError: `every_minutes` or `every_steps` is not positive and finite.
        TypeError: `every_minutes` is not a number, or `every_steps` is not an integer.
    """

    model: ImageGoalAgent

    def __init__(
        self,
        path: str | Path,
        *,
        every_minutes: float = 2.0,
        every_steps: int | None = None,
        stop: StopRequest | None = None,
    ) -> None:
        super().__init__()
        every_minutes = as_number(every_minutes, name="every_minutes", above=0)
        if every_steps is not None:
            every_steps = as_integer(every_steps, name="every_steps", low=1)
        self.n_written = 0
        self.seconds = 0.0
        self._path = Path(path)
        self._every_seconds = 60.0 * every_minutes if every_steps is None else math.inf
        self._every_steps = math.inf if every_steps is None else every_steps
        self._stop = stop
        self._lock = ExitStack()

    def _init_callback(self) -> None:
        if not isinstance(self.model, ImageGoalAgent):
            raise ValueError(
                f"the agent must be one of glamor_gym's, got a {type(self.model).__name__}"
            )

    def _on_training_start(self) -> None:
        self._lock.close()
        self._lock.enter_context(lock_folder(self._path))
        try:
            self._write()
        except BaseException:  # the folder holds another agent's checkpoints, say
            self.release()
            raise

    def _on_rollout_start(self) -> None:
        # Between two steps: the previous one has been stored and learned from.
        if self._stop is not None and self._stop.received is not None:
            self._write()
            self.release()
            raise TrainingInterrupted(self._stop.received, self.num_timesteps)
        if self.num_timesteps >= self._due_step or time.monotonic() >= self._due_time:
            try:
                self._write()
            except OSError as error:
                warnings.warn(
                    f"no checkpoint at step {self.num_timesteps} ({error}); the previous one is "
                    "kept",
                    stacklevel=2,
                )
                self._plan_next()

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        self._write()
        self.release()

    def release(self) -> None:
        """Unlock the folder; needed only after training ended in an error."""
        self._lock.close()

    def _write(self) -> None:
        began = time.monotonic()
        self.model.save_checkpoint(self._path)
        self.seconds += time.monotonic() - began
        self.n_written += 1
        self._plan_next()

    def _plan_next(self) -> None:
        self._due_time = time.monotonic() + self._every_seconds
        self._due_step = math.inf
        if math.isfinite(self._every_steps):
            self._due_step = (self.num_timesteps // self._every_steps + 1) * self._every_steps
