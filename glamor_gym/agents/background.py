"""Work that goes on while something else is waited for: one job at a time, on one thread.

In: a function. Out: what it returns, when that is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class Background(Generic[Result]):
    """A thread that is there from the first job on, and ends with the process."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._job: Future[Result] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy begins with, which has no thread; a job has to be taken first.

        Raises:
            RuntimeError: a job's result was not taken.
        """
        if self._job is not None:
            raise RuntimeError("take the job's result before a copy is made")
        return {"_pool": None, "_job": None}

    def begin(self, job: Callable[[], Result]) -> None:
        """Begin a job.

        Raises:
            RuntimeError: the last one's result was not taken.
        """
        if self._job is not None:
            raise RuntimeError("take the last job's result before the next is begun")
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="updates")
        self._job = self._pool.submit(job)

    def take(self) -> Result | None:
        """Wait for the job and return its result; None where none was begun.

        Raises:
            Exception: what the job raised.
        """
        job, self._job = self._job, None
        return None if job is None else job.result()
