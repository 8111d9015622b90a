"""Timing of two implementations of the same work in alternation.

In: two callables. Out: medians, spread and ratio. The speed of a machine drifts; alternation lets
the drift affect both equally, and only the ratio is reported.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Comparison:
    """One hot path compared with its reference.

    Attributes:
        name: the work.
        reference: the implementation that it was compared with.
        fast_ms: median time in milliseconds.
        plain_ms: the reference's median time in milliseconds.
        ratio: median over turns of plain / fast.
        low: smallest ratio of a turn.
        high: largest ratio of a turn.
        target: target ratio.
        note: a check that both do the same, or other remarks.
    """

    name: str
    reference: str
    fast_ms: float
    plain_ms: float
    ratio: float
    low: float
    high: float
    target: float
    note: str = ""


def compare(
    name: str,
    reference: str,
    fast: Callable[[], object],
    plain: Callable[[], object],
    *,
    target: float,
    turns: int = 5,
    fast_repeats: int = 5,
    per: float = 1.0,
    plain_per: float = 1.0,
    note: str = "",
    device: str = "cpu",
) -> Comparison:
    """Time two callables alternately, after one call of each to warm up.

    Args:
        name: the work.
        reference: description of `plain`.
        fast: the project's implementation.
        plain: the reference.
        target: target ratio.
        turns: number of turns of each.
        fast_repeats: calls of `fast` per turn; their mean time is used.
        per: units of work in a call of `fast` (observations, samples …).
        plain_per: units of work in a call of `plain`.
        note: a remark for the record.
        device: device of both; it is synchronised before and after each turn.
    """
    fast()
    plain()
    fast_times, plain_times = [], []
    for _ in range(turns):
        fast_times.append(seconds(fast, fast_repeats, device) / per)
        plain_times.append(seconds(plain, 1, device) / plain_per)
    ratios = [slow / quick for slow, quick in zip(plain_times, fast_times, strict=True)]
    return Comparison(
        name,
        reference,
        fast_ms=1e3 * statistics.median(fast_times),
        plain_ms=1e3 * statistics.median(plain_times),
        ratio=statistics.median(ratios),
        low=min(ratios),
        high=max(ratios),
        target=target,
        note=note,
    )


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Set PyTorch's number of threads within the context."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def seconds(work: Callable[[], object], repeats: int = 1, device: str = "cpu") -> float:
    """Return the mean time of a call in seconds, including all work of the device."""
    wait_for(device)
    begun = time.perf_counter()
    for _ in range(repeats):
        work()
    wait_for(device)
    return (time.perf_counter() - begun) / repeats


def wait_for(device: str) -> None:
    """Wait until a device has finished all its work."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
