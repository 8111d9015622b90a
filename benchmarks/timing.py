"""Two ways of doing the same work, timed in turn.

In: two callables. Out: medians, spread and ratio. Machines drift; taking turns lets both drift
alike, and only the ratio is quoted.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Comparison:
    """One hot path beside its reference.

    Attributes:
        name: what was done.
        reference: what it was compared with.
        fast_ms: median time in milliseconds.
        plain_ms: the reference's median time.
        ratio: median over the turns of plain / fast.
        low: smallest ratio of a turn.
        high: largest ratio of a turn.
        target: ratio that is wanted.
        note: what checks that both do the same, or what else is worth knowing.
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

    def as_dict(self) -> dict[str, Any]:
        """Return the record as JSON-able values."""
        return asdict(self)


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
    """Time two callables in turn, after one call of each that does not count.

    Args:
        name: what was done.
        reference: what `plain` is.
        fast: the project's way.
        plain: the reference.
        target: the ratio that is wanted.
        turns: number of times each has its turn.
        fast_repeats: calls of `fast` in a turn, of which the mean counts.
        per: units of work in a call of `fast` (observations, samples …).
        plain_per: units of work in a call of `plain`.
        note: goes into the record.
        device: where both work; a turn ends when it has done all it was given.
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
    """Let PyTorch use that many threads, and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def seconds(work: Callable[[], object], repeats: int = 1, device: str = "cpu") -> float:
    """Return the mean time of a call, until the device has done all that it was given."""
    wait_for(device)
    begun = time.perf_counter()
    for _ in range(repeats):
        work()
    wait_for(device)
    return (time.perf_counter() - begun) / repeats


def wait_for(device: str) -> None:
    """Wait until a device has done all that it was given."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
