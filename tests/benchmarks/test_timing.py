from __future__ import annotations

import time

import pytest
import torch

from benchmarks.timing import compare, torch_threads


def test_ratio_is_of_the_times_of_a_unit_of_work():
    fast_calls, plain_calls = [], []

    def fast():
        fast_calls.append(time.sleep(0.002))

    def plain():
        plain_calls.append(time.sleep(0.02))

    result = compare("a", "b", fast, plain, target=1.0, turns=3, fast_repeats=2, per=4, plain_per=2)
    assert (len(fast_calls), len(plain_calls)) == (1 + 3 * 2, 1 + 3)
    assert 0.5 <= result.fast_ms < 10
    assert 10 <= result.plain_ms < 100
    assert result.low <= result.ratio <= result.high
    # At 2 ms / 4 and 20 ms / 2 the ratio is 20; sleeping takes a little longer than asked.
    assert result.ratio == pytest.approx(20, rel=0.5)


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
