"""Stable-Baselines3 callbacks: periodic evaluation during training, and a limit on its time.

In: an algorithm that is being trained. Out: an evaluation every `every_steps` environment steps
and at the end, in the algorithm's log and, if one is given, in the run folder.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger

from glamor_gym.checks import as_integer, as_number
from glamor_gym.evaluation.arena import Arena
from glamor_gym.evaluation.evaluator import evaluate
from glamor_gym.evaluation.run_folder import RunFolder
from glamor_gym.types import EvaluationResult


def record_result(logger: Logger, result: EvaluationResult) -> None:
    """Record the rates of an evaluation as ``eval/…``; the caller calls ``logger.dump``."""
    for name, figure in {
        "success_rate": result.success_rate,
        "success_low": result.confidence_interval[0],
        "success_high": result.confidence_interval[1],
        "image_match_rate": result.image_match_rate,
        "reached_rate": result.reached_rate,
        "mean_length": result.mean_length,
        "random": result.random,
        "noop": result.noop,
    }.items():
        logger.record(f"eval/{name}", figure)


class EvaluationCallback(BaseCallback):
    """Evaluate every `every_steps` environment steps, and at the end of training.

    Logged are ``eval/success_rate`` with the bounds of its interval, ``eval/success_low`` and
    ``eval/success_high``; ``eval/image_match_rate``, ``eval/reached_rate`` and
    ``eval/mean_length``; and the success rates of the baselines, ``eval/random`` and
    ``eval/noop``, which are evaluated once for each number of episodes per goal. If a run folder
    is given, each result and the agent are saved to it, replacing the previous ones.

    Args:
        id: the goal environment, see :func:`~glamor_gym.evaluate`.
        every_steps: environment steps between evaluations, at least 1.
        episodes_per_goal: number of episodes per goal, at least 1.
        final_episodes_per_goal: the same for the final evaluation, at least 1; None for
            `episodes_per_goal`.
        seed: seed of every evaluation, so that all of them start from the same states.
        n_envs: number of environments to step in parallel.
        goals: which goals, as in ``gym.make``.
        env_kwargs: further keyword arguments of ``gym.make``.
        record: number of goals for which the run folder, and what :meth:`evaluate_now` returns,
            keep frames.
        run_folder: where results and agent are saved; None to save nothing.
        verbose: 1 prints one line per evaluation.

    Attributes:
        results: environment step → result without its pictures, in the order of the evaluations.

    Raises:
        ValueError: `every_steps` or a number of episodes is below 1. When training starts: there
            are no such environment or goals, or the agent has other actions.
        TypeError: one of these numbers is not an integer.
    """

    def __init__(
        self,
        id: str,
        every_steps: int,
        *,
        episodes_per_goal: int = 1,
        final_episodes_per_goal: int | None = None,
        seed: int = 0,
        n_envs: int = 10,
        goals: str | os.PathLike[str] = "eval",
        env_kwargs: Mapping[str, Any] | None = None,
        record: int = 6,
        run_folder: RunFolder | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(verbose)
        every_steps = as_integer(every_steps, name="every_steps", low=1)
        episodes_per_goal = as_integer(episodes_per_goal, name="episodes_per_goal", low=1)
        if final_episodes_per_goal is None:
            final_episodes_per_goal = episodes_per_goal
        self.results: dict[int, EvaluationResult] = {}
        self._id = id
        self._every_steps = every_steps
        self._run_folder = run_folder
        self._episodes_per_goal = episodes_per_goal
        self._final_episodes_per_goal = as_integer(
            final_episodes_per_goal, name="final_episodes_per_goal", low=1
        )
        self._baselines: dict[int, EvaluationResult] = {}
        self._arguments: dict[str, Any] = {
            "seed": seed,
            "n_envs": n_envs,
            "goals": goals,
            "env_kwargs": env_kwargs,
            "record": record,
        }

    def evaluate_now(self, episodes_per_goal: int | None = None) -> EvaluationResult:
        """Evaluate the agent now; log, save and return the result.

        Args:
            episodes_per_goal: number of episodes per goal; None for the `episodes_per_goal` of
                the callback.
        """
        repeats = episodes_per_goal or self._episodes_per_goal
        result = evaluate(
            self.model,
            self._id,
            episodes_per_goal=repeats,
            # The baselines do not learn: in the same episodes they get the same rates.
            baselines=self._baselines.get(repeats, True),
            **self._arguments,
        )
        step = self.model.num_timesteps
        # Without megabytes of pictures, which only the run folder keeps.
        self.results[step] = self._baselines[repeats] = replace(result, frames=[])
        record_result(self.logger, result)
        self.logger.dump(step)
        if self._run_folder is not None:
            self._run_folder.save_evaluation(result)
            self._run_folder.save_agent(self.model)
        if self.verbose:  # last, because printing fails if standard output has been closed
            low, high = result.confidence_interval
            print(
                f"step {step:,}: {result.success_rate:.2f} of the goals reached "
                f"({low:.2f} to {high:.2f})",
                flush=True,
            )
        return result

    def _on_training_start(self) -> None:
        # What the first evaluation would refuse, before there is anything to lose.
        goals, env_kwargs = self._arguments["goals"], self._arguments["env_kwargs"]
        with Arena(self._id, goals=goals, env_kwargs=env_kwargs, n_envs=1) as arena:
            arena.check_agent(self.model)
        self._due = self._following(self.num_timesteps)

    def _on_step(self) -> bool:
        is_last = self.num_timesteps >= self.locals["total_timesteps"]
        if self.num_timesteps >= self._due and not is_last:
            self.evaluate_now()
            self._due = self._following(self.num_timesteps)
        return True

    def _on_training_end(self) -> None:
        self.evaluate_now(self._final_episodes_per_goal)

    def _following(self, step: int) -> int:
        """Return the first multiple of `every_steps` that is greater than `step`."""
        return (step // self._every_steps + 1) * self._every_steps


class StopAfter(BaseCallback):
    """Stop training after a number of minutes.

    Args:
        minutes: wall-clock time from the start of training, more than 0.

    Raises:
        ValueError: `minutes` is not positive and finite.
        TypeError: `minutes` is not a number.
    """

    def __init__(self, minutes: float) -> None:
        super().__init__()
        self._seconds = 60.0 * as_number(minutes, name="minutes", above=0)

    def _on_training_start(self) -> None:
        self._end = time.monotonic() + self._seconds

    def _on_step(self) -> bool:
        return time.monotonic() < self._end
