from __future__ import annotations

import pytest
import torch

from benchmarks import timing
from benchmarks.timing import compare, torch_threads


class FakeTime:
    """A clock that only its owner moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


def test_ratio_is_the_median_of_the_turns_for_a_unit_of_work(monkeypatch):
    clock = FakeTime()
    monkeypatch.setattr(timing, "time", clock)
    fast_seconds = iter([9.0, 1.0, 3.0, 1.0, 1.0, 2.0, 2.0])  # the first call does not count
    plain_seconds = iter([9.0, 20.0, 30.0, 16.0])

    def fast():
        clock.now += next(fast_seconds)

    def plain():
        clock.now += next(plain_seconds)

    result = compare("a", "b", fast, plain, target=1.0, turns=3, fast_repeats=2, per=4, plain_per=2)
    # A turn: mean of two calls / 4 is 0.5, 0.25 and 0.5 s; one call / 2 is 10, 15 and 8 s.
    assert result.fast_ms == pytest.approx(500)
    assert result.plain_ms == pytest.approx(10_000)
    assert (result.low, result.ratio, result.high) == pytest.approx((16, 20, 60))
    assert (next(fast_seconds, None), next(plain_seconds, None)) == (None, None)


def test_threads_are_as_before_even_after_an_error():
    before = torch.get_num_threads()
    seen = []

    def fail():
        with torch_threads(before + 1):
            seen.append(torch.get_num_threads())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert seen == [before + 1]
    assert torch.get_num_threads() == before
