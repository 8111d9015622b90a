"""Environments in worker processes, which are replaced if they fail.

In: functions that make environments. Out: a Stable-Baselines3 ``VecEnv``. Observations are
returned in shared memory, everything else through one pipe per worker.

A worker that dies, hangs or raises an error is logged and replaced by a new one, with a new seed
derived from the vector's. The step in which that happens ends the episode and is marked in its
info, so that the interrupted episode and the next one are not taken for a single one.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import time
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from gymnasium.vector.utils import create_shared_memory, read_from_shared_memory
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from glamor_gym.checks import as_integer, as_number
from glamor_gym.registration import register_in_workers
from glamor_gym.vector.rows import check_arrays, row_of
from glamor_gym.vector.worker_process import START_SECONDS, Fault, MakeEnv, RaisedError, Worker

_logger = logging.getLogger(__name__)

CLOSE_SECONDS = 5.0
"""Time limit for a worker to close its environment before it is killed."""

LONGEST_TIMEOUT = 86_400.0
"""A day; the system limits waits to 2³¹ milliseconds."""


class WorkerError(RuntimeError):
    """A worker failed and was not replaced, or a call in its environment raised an error."""


class WorkerVecEnv(VecEnv):
    """A vector of environments, each in a worker process that is replaced if it fails.

    Environments that end an episode are reset in the same step, as in all of SB3's vectors. In a
    step in which a worker is replaced, its environment does not take its action; it reports
    ``done``, and its info holds

    * ``reset_step``: True, so that this library's agents drop the interrupted episode;
    * ``TimeLimit.truncated``: True, so that SB3's agents do not treat it as a true end;
    * ``terminal_observation``: the last observation before the failure (there is no ``episode``);
    * ``worker_fault``: what happened.

    Attributes:
        name: id of the environments, or their class where they have none, for messages.
        timeout: time limit for a step or a reset in seconds.
        restarts: number of workers replaced so far.
        max_restarts: maximum number of workers to replace.
    """

    def __init__(
        self,
        makers: Sequence[MakeEnv],
        *,
        timeout: float = 60.0,
        max_restarts: int = 10,
    ) -> None:
        """Start a worker for each environment.

        Args:
            makers: functions that make the environments, whose observations are arrays or dicts of
                arrays; they are sent to the workers.
            timeout: time limit for a step or a reset in seconds, at most a day, after which a
                worker counts as hung.
            max_restarts: maximum number of workers to replace in total.

        Raises:
            ValueError: an argument is out of range, or the observations are of another kind.
            TypeError: `timeout` is not a number, or `max_restarts` is not an integer.
            WorkerError: a worker did not start.
        """
        if not makers:
            raise ValueError("makers must hold at least one function, got none")
        self.timeout = as_number(timeout, name="timeout", above=0, high=LONGEST_TIMEOUT)
        self.max_restarts = as_integer(max_restarts, name="max_restarts", low=0)
        self.restarts = 0
        with contextlib.closing(makers[0]()) as example:
            spec, kind = example.spec, type(example.unwrapped).__name__
            spaces = example.observation_space, example.action_space
        check_arrays(spaces[0], name="an environment of makers")
        self.name = kind if spec is None else spec.id
        self._makers = makers
        # A worker that has to import PyTorch and SB3 itself takes seconds to start, and all others
        # wait while one is replaced.
        register_in_workers("glamor_gym.vector.collector")
        # Workers inherit neither locks nor OpenGL contexts nor the other workers' pipes.
        methods = multiprocessing.get_all_start_methods()
        self._context: Any = multiprocessing.get_context(
            "forkserver" if "forkserver" in methods else "spawn"
        )
        self._buffer = create_shared_memory(
            spaces[0],
            len(makers),
            self._context,  # type: ignore[arg-type]  # Gymnasium's annotation is wrong
        )
        self._rows: Any = read_from_shared_memory(spaces[0], self._buffer, len(makers))
        self._entropy = int(np.random.SeedSequence().entropy)  # type: ignore[arg-type]
        self._seen: Any = None  # the last observations
        self._env_seeds: list[int | None] = [None] * len(makers)
        self._attributes: list[dict[str, Any]] = [{} for _ in makers]  # those that were set
        self._workers: list[Worker] = []
        try:
            for index in range(len(makers)):
                self._workers.append(self._start(index))
            super().__init__(len(makers), *spaces)
        except BaseException:
            self.close()
            raise

    # ------------------------------------------------------------------------ SB3's vector API

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seed the next reset with `seed`, `seed` + 1 and so on, and replacements of workers."""
        seeds = super().seed(seed)
        self._entropy = int(self._seeds[0] or 0)
        return seeds

    def reset(self) -> VecEnvObs:
        """Begin an episode in every environment.

        Raises:
            WorkerError: more than `max_restarts` workers have failed.
            ClosedEnvironmentError: the vector was closed.
        """
        self._check_open()
        for index, worker in enumerate(self._workers):
            self._env_seeds[index] = self._seeds[index]
            worker.send("reset", self._seeds[index], self._options[index])
        since = time.monotonic()
        for index, worker in enumerate(self._workers):
            try:
                self.reset_infos[index] = worker.receive(since, self.timeout)
            except Fault as fault:
                self.reset_infos[index] = self._replace(index, fault, self._options[index])
        self._reset_seeds()
        self._reset_options()
        return self._observe()

    def step_async(self, actions: NDArray[Any]) -> None:
        """Send each worker its action.

        Raises:
            ValueError: there are not as many actions as environments.
            ResetNeeded: no episode has begun.
            ClosedEnvironmentError: the vector was closed.
        """
        self._check_open()
        if self._seen is None:
            raise ResetNeeded("call reset() first: no episode has begun")
        if len(actions) != self.num_envs:
            raise ValueError(f"actions must be {self.num_envs}, one each, got {len(actions)}")
        for worker, action in zip(self._workers, actions, strict=True):
            worker.send("step", action)

    def step_wait(self) -> VecEnvStepReturn:
        """Wait for all workers; replace those that fail.

        Raises:
            WorkerError: more than `max_restarts` workers have failed.
        """
        rewards = np.zeros(self.num_envs, np.float32)
        dones = np.zeros(self.num_envs, np.bool_)
        infos: list[dict[str, Any]] = []
        since = time.monotonic()
        for index, worker in enumerate(self._workers):
            try:
                rewards[index], dones[index], info, reset_info = worker.receive(since, self.timeout)
                if dones[index]:
                    self.reset_infos[index] = reset_info
            except Fault as fault:
                last = row_of(self._seen, index)
                self.reset_infos[index] = self._replace(index, fault)
                dones[index] = True
                info = {
                    "reset_step": True,
                    "TimeLimit.truncated": True,
                    "terminal_observation": last,
                    "worker_fault": str(fault),
                }
            infos.append(info)
        return self._observe(), rewards, dones, infos

    def close(self) -> None:
        """Stop all workers; a second call does nothing."""
        for worker in self._workers:
            worker.send("close")
        for worker in self._workers:
            worker.end(patience=CLOSE_SECONDS)
        self._workers = []

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of some environments.

        Raises:
            AttributeError: the environments have no such attribute.
            WorkerError: a worker failed.
        """
        if not all(self._ask(indices, "has_wrapper_attr", attr_name)):
            raise AttributeError(f"{self.name} has no attribute {attr_name!r}")
        return self._ask(indices, "get_wrapper_attr", attr_name)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of some environments, and of those that replace them.

        Raises:
            WorkerError: a worker failed.
        """
        self._ask(indices, "set_wrapper_attr", attr_name, value)
        for index in self._get_indices(indices):
            self._attributes[index][attr_name] = value

    def env_method(
        self,
        method_name: str,
        *method_args: Any,
        indices: VecEnvIndices = None,
        **method_kwargs: Any,
    ) -> list[Any]:
        """Call a method of some environments and return the results.

        Raises:
            WorkerError: a worker failed, or the method raised an error.
        """
        return self._ask(indices, "call", method_name, method_args, method_kwargs)

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Return for some environments whether they are wrapped in a wrapper of a given class.

        Raises:
            WorkerError: a worker failed.
        """
        return self._ask(indices, "is_wrapped", wrapper_class)

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """Return a picture of each environment."""
        return self.env_method("render")

    # ----------------------------------------------------------------------------- supervision

    def _start(self, index: int) -> Worker:
        return Worker(self._context, index, self._makers[index], self._buffer)

    def _replace(
        self, index: int, fault: Fault, options: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Replace a worker that failed; return the info of the new worker's first reset.

        Args:
            index: index of the worker.
            fault: how it failed.
            options: options of the reset in which it failed, if it was a reset.

        Raises:
            WorkerError: `max_restarts` workers have been replaced already.
        """
        while True:
            self._workers[index].end(patience=0.0)
            if self.restarts >= self.max_restarts:
                self.close()
                raise WorkerError(
                    f"{self._place(index)}: {fault}\nmax_restarts is {self.max_restarts}, and that "
                    "many workers have been replaced already"
                )
            self.restarts += 1
            seeds = np.random.SeedSequence((self._entropy, index, self.restarts))
            seed = int(seeds.generate_state(1)[0])
            _logger.warning(
                "%s: %s\nits episode is dropped; restart %d of at most %d, with seed %d",
                *(self._place(index), fault, self.restarts, self.max_restarts, seed),
            )
            self._env_seeds[index] = seed
            self._workers[index] = worker = self._start(index)
            try:
                for name, value in self._attributes[index].items():
                    worker.send("set_wrapper_attr", name, value)
                    worker.receive(time.monotonic(), self.timeout)
                worker.send("reset", seed, options or {})
                info: dict[str, Any] = worker.receive(time.monotonic(), self.timeout)
            except Fault as another:
                fault = another
            else:
                return info

    def _place(self, index: int) -> str:
        return f"{self.name}, environment {index}, seed {self._env_seeds[index]}"

    def _observe(self) -> VecEnvObs:
        """Return the observations, as fresh arrays."""
        rows = self._rows
        copies = {k: v.copy() for k, v in rows.items()} if isinstance(rows, dict) else rows.copy()
        self._seen = copies
        return copies

    def _check_open(self) -> None:
        if not self._workers:
            raise ClosedEnvironmentError("the vector was closed: make a new one")

    def _ask(self, indices: VecEnvIndices, command: str, *arguments: Any) -> list[Any]:
        """Send a command other than a step or reset to some workers; return their answers."""
        self._check_open()
        rows = list(self._get_indices(indices))
        for index in rows:
            self._workers[index].send(command, *arguments)
        since = time.monotonic()
        answers, faults = [], []
        for index in rows:  # all of them, so that no answer is left for a later command
            try:
                answers.append(self._workers[index].receive(since, START_SECONDS))
            except Fault as fault:
                if not isinstance(fault, RaisedError):
                    self._workers[index].end(patience=0.0)  # the next step replaces it
                faults.append(f"{self._place(index)}: {fault}")
        if faults:
            raise WorkerError("\n".join(faults))
        return answers
