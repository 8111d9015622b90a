"""Planning on a GPU by recorded programs: the thousands of small kernels of a plan in one launch.

In and out as :func:`glamor_gym.planners.plan`, with the same plans from the same noise. It is for
what :mod:`~glamor_gym.planners.fused` does not take.

A CUDA graph replays exactly the kernels that it recorded, on the same memory. So each program is
recorded for a number of observations and a number of slots, both rounded up so that few programs
serve all plans; weights, noise and limits are copied into its memory, and the plan out of it. A
program does not check for ended candidates, so reading the plan is the only synchronisation.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple, Self

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional

from glamor_gym.models.glamor import Folded
from glamor_gym.planners.random_shooting import plan, roll_out, sampling_noise
from glamor_gym.planners.settings import PlannerSettings
from glamor_gym.types import Plan

SLOT_BUCKET = 16
"""The number of slots is rounded up to a multiple of this; that of rows, to a power of two."""

MOST_PROGRAMS = 64
"""Most programs kept, each with its own copy of inputs and noise. When one more is needed, all are
dropped: the cuBLAS workspace belongs to the first and is used by all that were recorded later."""

WARM_UPS = 3
"""Runs before recording: kernels are loaded and workspaces allocated at their first call."""

Recorder = Callable[[Callable[[], Plan]], Callable[[], Plan]]
"""Takes a function that works on fixed memory; returns one that repeats the work and fills the same
plan."""

_LOG = logging.getLogger(__name__)


class RecordedPlanner:
    """Plans by replaying programs, each recorded for a shape of the inputs.

    Args:
        record: how programs are recorded; :class:`CudaGraphs` or any other :data:`Recorder`.
    """

    def __init__(self, record: Recorder) -> None:
        self._record = record
        self._programs: dict[_Key, _Program] = {}
        self._can_record = True

    def __reduce__(self) -> tuple[type[Self], tuple[Recorder]]:
        """Leave programs out of copies: they work on this planner's memory."""
        return type(self), (self._record,)

    @torch.inference_mode()
    def __call__(
        self,
        folded: Folded,
        max_actions: Int[Tensor, "b"],
        settings: PlannerSettings,
        generator: torch.Generator,
    ) -> Plan:
        """Plan as :func:`glamor_gym.planners.plan` does.

        If recording fails, that function makes this plan and all later ones.

        Raises:
            ValueError: a row of `max_actions` is below 1.
        """
        if not self._can_record or int(max_actions.min()) < 1:
            return plan(folded, max_actions, settings, generator)
        n_rows, n_slots = len(max_actions), int(max_actions.max()) + 1
        key = _Key(_next_power(n_rows), _next_multiple(n_slots), settings, folded.table.shape)
        if key not in self._programs:
            if len(self._programs) == MOST_PROGRAMS:
                self._programs.clear()
            try:
                self._programs[key] = _Program(key, folded, self._record)
            except torch.OutOfMemoryError:  # does not mean that recording is impossible
                raise
            except RuntimeError as error:
                _LOG.warning("planning without CUDA graphs, recording failed: %s", error)
                self._can_record = False
                return plan(folded, max_actions, settings, generator)
        uniforms = sampling_noise(n_slots, n_rows * settings.n_trials, generator)
        return self._programs[key](folded, max_actions, uniforms)


class _Key(NamedTuple):
    """What a program depends on besides its inputs."""

    n_rows: int
    n_slots: int
    settings: PlannerSettings
    table_shape: torch.Size


class _Program:
    """A recorded roll-out: the memory of its inputs, and the function that repeats it."""

    def __init__(self, key: _Key, like: Folded, record: Recorder) -> None:
        device = like.h.device
        self._folded = Folded(
            *(_widened(part, key.n_rows) for part in like[:3]), *(part.clone() for part in like[3:])
        )
        self._max_actions = torch.ones(key.n_rows, dtype=torch.long, device=device)
        n_candidates = key.n_rows * key.settings.n_trials
        self._uniforms = torch.zeros(key.n_slots, n_candidates, device=device)
        inputs = (self._folded, self._max_actions, self._uniforms)
        self._repeat = record(lambda: roll_out(*inputs, key.settings, look_every=None))

    def __call__(self, folded: Folded, max_actions: Tensor, uniforms: Tensor) -> Plan:
        """Copy the inputs in, repeat, and copy the plan out without surplus rows and slots."""
        n_rows, (n_slots, n_candidates) = len(max_actions), uniforms.shape
        for own, given in zip(self._folded[:3], folded[:3], strict=True):
            own[:, :n_rows].copy_(given)
        for own, given in zip(self._folded[3:], folded[3:], strict=True):
            own.copy_(given)
        self._max_actions[:n_rows].copy_(max_actions, non_blocking=True)
        self._uniforms[:n_slots, :n_candidates].copy_(uniforms)
        found = self._repeat()
        return Plan(
            found.tokens[:n_rows, :n_slots].clone(),
            found.length[:n_rows].clone(),
            found.log_score[:n_rows].clone(),
            found.token_scores[:n_rows, :n_slots].clone(),
        )


class CudaGraphs:
    """Records work as CUDA graphs, all on one stream: cuBLAS keeps a workspace for each stream.

    Args:
        device: the GPU that does the work.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: torch.cuda.Stream | None = None

    def __reduce__(self) -> tuple[type[Self], tuple[torch.device]]:
        """Leave the stream out of copies, which create their own."""
        return type(self), (self._device,)

    def __call__(self, work: Callable[[], Plan]) -> Callable[[], Plan]:
        """Record work on fixed memory; return a function that repeats it.

        Raises:
            RuntimeError: the work cannot be recorded.
        """
        with torch.cuda.device(self._device):
            if self._stream is None:
                self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            self._stream.wait_stream(torch.cuda.current_stream())
            # Enclose the recording, too: one that fails does not leave the stream by itself.
            with torch.cuda.stream(self._stream):
                for _ in range(WARM_UPS):
                    work()
                graph = torch.cuda.CUDAGraph()
                # Other threads may use CUDA meanwhile, for example to update another agent.
                with torch.cuda.graph(
                    graph, stream=self._stream, capture_error_mode="thread_local"
                ):
                    result = work()
            torch.cuda.current_stream().wait_stream(self._stream)

        def repeat() -> Plan:
            graph.replay()
            return result

        return repeat


def _widened(part: Tensor, n_rows: int) -> Tensor:
    """Return a copy of `part`, (M, B, …), zero-padded to B = `n_rows`."""
    return functional.pad(part, (0, 0, 0, n_rows - part.shape[1]))


def _next_power(number: int) -> int:
    return 1 << (number - 1).bit_length()


def _next_multiple(n_slots: int) -> int:
    return -(-n_slots // SLOT_BUCKET) * SLOT_BUCKET
