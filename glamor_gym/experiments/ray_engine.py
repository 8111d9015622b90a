"""An engine that executes the runs of an experiment with Ray, on this machine or on a cluster.

In: jobs. Out: their folders, which must be shared by all machines of the cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ray
from ray.exceptions import RayError

from glamor_gym.checks import as_integer, as_number
from glamor_gym.experiments.engines import TICK_SECONDS, NoClusterError, mark_dead
from glamor_gym.experiments.worker import Job, run_job
from glamor_gym.interruption import hangup_ignored

SECONDS_TO_SAVE = 120.0
"""Time in seconds that runs get to save their state after Ctrl-C."""


class RayEngine:
    """Executes each job as a Ray task in a new process.

    Args:
        jobs: number of jobs at a time if Ray is started here; a cluster has its own limits.
        address: of a cluster, e.g. ``"auto"`` or ``"ray://head:10001"``; None starts Ray here.
        retries: how often a run is restarted if its worker dies.
        gpus: GPUs reserved per run, e.g. 0.25 for four runs on one GPU.

    Raises:
        ValueError: `jobs` is below 1, or `retries` or `gpus` negative.
        TypeError: `jobs` or `retries` is not an integer, or `gpus` not a number.
    """

    def __init__(
        self, jobs: int = 1, *, address: str | None = None, retries: int = 1, gpus: float = 0.0
    ) -> None:
        self._jobs = as_integer(jobs, name="jobs", low=1)
        self._address = address
        self._retries = as_integer(retries, name="retries", low=0)
        self._gpus = as_number(gpus, name="gpus", low=0)

    def run_jobs(self, jobs: Sequence[Job], tick: Callable[[], object]) -> None:
        """See :meth:`~glamor_gym.experiments.engines.Engine.run_jobs`.

        Raises:
            NoClusterError: there is no cluster at the address.
        """
        self._start()
        pending: dict[Any, Job] = {}
        try:
            for job in jobs:
                task = ray.remote(
                    # If Ray was started here, it has one CPU per job slot.
                    num_cpus=job.threads if self._address else 1,
                    num_gpus=self._gpus,
                    max_calls=1,
                    max_retries=self._retries,
                )(run_job)
                pending[task.remote(job)] = job
            while pending:
                ended, _ = ray.wait(list(pending), timeout=TICK_SECONDS)
                for reference in ended:
                    job = pending.pop(reference)
                    try:
                        ray.get(reference)
                    except RayError as error:
                        mark_dead(job, f"the worker died: {type(error).__name__}")
                tick()
        finally:
            for reference in pending:
                ray.cancel(reference)
            if pending:
                ray.wait(list(pending), num_returns=len(pending), timeout=SECONDS_TO_SAVE)
            ray.shutdown()

    def _start(self) -> None:
        if self._address is None:
            with hangup_ignored():  # by the processes of Ray: the engine ends the runs in order
                # "local", as Ray prefers a cluster that it knows of otherwise.
                ray.init("local", num_cpus=self._jobs, include_dashboard=False, log_to_driver=False)
            return
        try:
            ray.init(self._address, log_to_driver=False)
        except (ConnectionError, ValueError) as error:
            raise NoClusterError(f"--address {self._address}: {error}") from error
