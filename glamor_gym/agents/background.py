"""Jobs on a background thread, one at a time.

In: a function. Out: what it returns, once the caller asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Background(Generic[Result]):
    """A thread that starts with the first job and ends with the process."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="updates")
        self._job: Future[Result] | None = None

    def __reduce__(self) -> tuple[type[Background[Result]], tuple[()]]:
        """Return how a copy is made: without a thread or a job."""
        return type(self), ()

    @property
    def pending(self) -> bool:
        """Whether there is a job whose result has not been taken."""
        return self._job is not None

    def begin(self, job: Callable[[], Result]) -> None:
        """Start a job, once the last one's result has been taken."""
        self._job = self._pool.submit(job)

    def take(self) -> Result | None:
        """Wait for the job and return its result; None if no job was started.

        Raises:
            Exception: whatever the job raised.
        """
        job = self._job
        if job is None:
            return None
        try:
            return job.result()
        finally:
            if job.done():  # not where Ctrl-C ended the waiting: the job goes on
                self._job = None
