"""One environment in a process of its own, and the parent's end of the pipe to it.

In: a function that makes the environment, and commands. Out: the answers, or a :class:`Fault` that
says how the process failed. Observations are written to shared memory, everything else goes through
the pipe. What follows from a failure is for :mod:`glamor_gym.vector.workers` to decide.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.util import Finalize
from typing import Any

import gymnasium as gym
from gymnasium.vector.utils import CloudpickleWrapper, write_to_shared_memory
from stable_baselines3.common.env_util import is_wrapped

from glamor_gym.interruption import cause_of_end, ending_signals

START_SECONDS = 120.0
"""Time limit for a new worker to import a simulator and begin its first episode, and for any
command other than a step or a reset."""

MakeEnv = Callable[[], gym.Env[Any, Any]]


class Fault(Exception):  # noqa: N818  (a report rather than an error)
    """A worker failed; the message says how."""


class RaisedError(Fault):
    """A worker's environment raised an error; the message contains its traceback."""


class Worker:
    """The parent process's handle of one worker.

    Args:
        context: start method of processes.
        index: number of the environment, its row of `buffer`.
        make: makes the environment; it is sent to the worker.
        buffer: shared memory for the observations of all environments.
    """

    def __init__(self, context: Any, index: int, make: MakeEnv, buffer: Any) -> None:
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve,
            args=(theirs, CloudpickleWrapper(make), buffer, index),
            name=f"environment-{index}",
            daemon=True,
        )
        self._process.start()
        # At exit, multiprocessing ends daemons by SIGTERM, which this one ignores.
        Finalize(self, self._process.kill, exitpriority=0)
        self._sent = 0  # number of commands; they are numbered from 1, and so are their answers
        self._has_answered = False
        theirs.close()  # so that the pipe breaks when the worker dies

    def send(self, command: str, *arguments: Any) -> None:
        """Send a command; a dead worker is only noticed when its answer is received."""
        with contextlib.suppress(OSError):
            self._sent += 1
            self._pipe.send((self._sent, command, arguments))

    def receive(self, since: float, timeout: float) -> Any:
        """Return the answer to the last command.

        An earlier answer that was not received because the wait was interrupted is discarded.

        Args:
            since: when the wait for all workers' answers began, by :func:`time.monotonic`.
            timeout: seconds from then on after which the worker counts as hung; at least
                :data:`START_SECONDS` before its first answer.

        Raises:
            RaisedError: the environment raised an error; the worker accepts further commands.
            Fault: the worker died or hung.
        """
        if not self._has_answered:
            timeout = max(timeout, START_SECONDS)
        number, deadline = 0, since + timeout
        try:
            while number < self._sent:
                if not self._pipe.poll(max(0.0, deadline - time.monotonic())):
                    raise Fault(f"the worker hung: no answer in {timeout:g} s")
                number, succeeded, answer = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(timeout=1.0)
            raise Fault(f"the worker died ({cause_of_end(self._process.exitcode)})") from None
        self._has_answered = True
        if not succeeded:
            raise RaisedError(f"the worker raised an error:\n{answer}")
        return answer

    def end(self, patience: float) -> None:
        """Wait `patience` seconds for the process to end, then kill it.

        Its pipe tells that it has ended: multiprocessing takes every process for dead once the fork
        server is, to which a signal to all processes of the job comes, too.
        """
        deadline = time.monotonic() + patience
        with contextlib.suppress(EOFError, OSError):  # it has ended
            while self._pipe.poll(max(0.0, deadline - time.monotonic())):
                self._pipe.recv()
            os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()
        self._pipe.close()


def _serve(pipe: Connection, make: CloudpickleWrapper[Any], buffer: Any, index: int) -> None:
    """Carry out commands for one environment, in the worker process, until ``close``."""
    # Sent to all processes of the job: the parent handles them and ends the workers. SIG_IGN would
    # be inherited by the programs that an environment starts.
    for number in (signal.SIGINT, *ending_signals()):
        signal.signal(number, lambda *_: None)
    with contextlib.suppress(EOFError, OSError):  # the parent is gone
        try:
            env = make()
        except Exception:  # noqa: BLE001  (any error is reported by the parent)
            failure = traceback.format_exc()
            number, *_ = pipe.recv()
            pipe.send((number, False, failure))
            return
        with contextlib.closing(env):
            while True:
                number, command, arguments = pipe.recv()
                if command == "close":
                    return
                try:
                    answer = number, True, _carry_out(env, buffer, index, command, arguments)
                    pipe.send(answer)
                except Exception:  # noqa: BLE001  (any error is reported by the parent)
                    pipe.send((number, False, traceback.format_exc()))


def _carry_out(
    env: gym.Env[Any, Any], buffer: Any, index: int, command: str, arguments: tuple[Any, ...]
) -> Any:
    """Carry out one command; observations are written to row `index` of the shared memory."""
    match command, arguments:
        case "step", (action,):
            observation, reward, terminated, truncated, info = env.step(action)
            done = bool(terminated or truncated)
            info["TimeLimit.truncated"] = bool(truncated and not terminated)
            reset_info: dict[str, Any] = {}
            if done:
                info["terminal_observation"] = observation
                observation, reset_info = env.reset()
            write_to_shared_memory(env.observation_space, index, observation, buffer)
            return float(reward), done, info, reset_info
        case "reset", (seed, options):
            observation, info = env.reset(seed=seed, **({"options": options} if options else {}))
            write_to_shared_memory(env.observation_space, index, observation, buffer)
            return info
        case "is_wrapped", (wrapper_class,):
            return is_wrapped(env, wrapper_class)
        case "call", (name, args, kwargs):
            return env.get_wrapper_attr(name)(*args, **kwargs)
        case _:  # has_wrapper_attr, get_wrapper_attr, set_wrapper_attr
            return getattr(env, command)(*arguments)
