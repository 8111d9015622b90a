"""Signals that ask a training to end: noticed, and obeyed where nothing is lost by it.

In: SIGTERM (a scheduler that wants the machine back) or SIGINT (Ctrl-C). Out: a flag that
:class:`~glamor_gym.agents.CheckpointCallback` looks at between two steps.
"""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any


class TrainingInterrupted(KeyboardInterrupt):
    """A signal ended the training, and a checkpoint of the very step it had come to was written.

    Args:
        signal_received: which one.
        step: environment steps taken.

    Attributes:
        exit_code: what a program ends with that a signal has ended: 143 after SIGTERM, 130 after
            SIGINT.
    """

    def __init__(self, signal_received: signal.Signals, step: int) -> None:
        super().__init__(f"{signal_received.name} at step {step}; a checkpoint was written")
        self.exit_code = 128 + int(signal_received)


class StopRequest:
    """Within a ``with`` block, SIGTERM and SIGINT do no more than to be noticed.

    The second one raises KeyboardInterrupt at once. Outside the main thread, where Python takes
    no signals, nothing is changed.

    Attributes:
        received: the signal that came; None as long as there was none.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        """Take the signals over; one that came to an earlier block is past."""
        self.received = None
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._handlers[number] = signal.signal(number, self._notice)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the signals to whoever had them."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()

    def _notice(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = signal.Signals(number)
        print(
            f"{self.received.name}: finishing the step and writing a checkpoint "
            "(once more: stop at once)",
            file=sys.stderr,
            flush=True,
        )
