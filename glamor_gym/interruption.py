"""Signals that end training, without losing the step in progress.

In: SIGTERM (from a scheduler, for example), SIGHUP (of a terminal that is closed) or SIGINT
(Ctrl-C). Out: a flag that :class:`~glamor_gym.agents.CheckpointCallback` checks between two steps.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)
"""The signal of a terminal that is closed, sent by its shell and by the kernel; not on Windows."""


def cause_of_end(exit_code: int | None) -> str:
    """Return how a child process ended, in words: by which signal, or with which exit code.

    Args:
        exit_code: as :mod:`multiprocessing` gives it, negative for a signal.
    """
    if exit_code is None or exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return f"signal {signal.Signals(-exit_code).name}"
    except ValueError:  # most real-time signals have no name
        return f"signal {-exit_code}"


class EndedBySignal(KeyboardInterrupt):
    """A signal ended the program's work.

    Args:
        signal_received: the signal.
        message: what happened.

    Attributes:
        exit_code: exit status of a program ended by that signal: 143 for SIGTERM, 130 for SIGINT,
            129 for SIGHUP.
    """

    def __init__(self, signal_received: signal.Signals, message: str) -> None:
        super().__init__(message)
        self.exit_code = 128 + int(signal_received)


class TrainingInterrupted(EndedBySignal):
    """A signal ended the training, after a checkpoint of the current step was written.

    Args:
        signal_received: the signal.
        step: environment steps taken.
    """

    def __init__(self, signal_received: signal.Signals, step: int) -> None:
        super().__init__(
            signal_received, f"{signal_received.name} at step {step}; a checkpoint was written"
        )


class StopRequest:
    """A context in which SIGINT and :func:`ending_signals` are only recorded.

    A second signal, unless it is SIGHUP again, raises KeyboardInterrupt at once. Outside the main
    thread, where Python handles no signals, the context has no effect.

    Attributes:
        received: the signal received in this context; None if there was none.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._handlers = contextlib.ExitStack()

    def __enter__(self) -> StopRequest:
        """Install the signal handlers, and forget a signal received in an earlier block."""
        self.received = None
        self._handlers.enter_context(_handled(self._notice, signal.SIGINT, *ending_signals()))
        return self

    def __exit__(self, *_: object) -> None:
        """Restore the previous signal handlers."""
        self._handlers.close()

    def _notice(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        _ignore_hangup(number)
        self.received = signal.Signals(number)
        with contextlib.suppress(OSError):  # the terminal is gone
            print(
                f"{self.received.name}: finishing the step and writing a checkpoint "
                "(send it again to stop at once)",
                file=sys.stderr,
                flush=True,
            )


def ended_in_order() -> contextlib.AbstractContextManager[None]:
    """Return a context in which :func:`ending_signals` raise :class:`EndedBySignal`.

    Outside the main thread, where Python handles no signals, the context has no effect.
    """
    return _handled(_end, *ending_signals())


def hangup_ignored() -> contextlib.AbstractContextManager[None]:
    """Return a context in which SIGHUP is ignored, by processes started in it also later.

    Outside the main thread, and on Windows, the context has no effect.
    """
    return _handled(signal.SIG_IGN, *([HANGUP] if HANGUP else []))


@contextlib.contextmanager
def _handled(handler: Any, *numbers: signal.Signals) -> Iterator[None]:
    """Handle signals within a context, if it is entered in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def ending_signals() -> list[signal.Signals]:
    """Return the signals by which others end a program: SIGTERM, and SIGHUP unless it is ignored.

    ``nohup`` has it ignored.
    """
    if HANGUP is None or signal.getsignal(HANGUP) is signal.SIG_IGN:
        return [signal.SIGTERM]
    return [signal.SIGTERM, HANGUP]


def _ignore_hangup(number: int) -> None:
    """Ignore SIGHUP once it has come."""
    if number == HANGUP:
        signal.signal(number, signal.SIG_IGN)


def _end(number: int, frame: FrameType | None) -> None:
    _ignore_hangup(number)
    received = signal.Signals(number)
    raise EndedBySignal(received, received.name)
