from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glamor_gym.evaluation import newcombe_interval, wilson_interval


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_equals_the_formula(counts):
    successes, trials = counts
    z = 1.959963984540054
    share = successes / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    reach = z * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    reach /= 1 + z**2 / trials
    assert wilson_interval(successes, trials) == pytest.approx(
        (max(0.0, centre - reach), min(1.0, centre + reach)), abs=1e-9
    )


def test_a_higher_confidence_is_wider():
    low, high = wilson_interval(10, 30)
    lower, higher = wilson_interval(10, 30, confidence=0.99)
    assert lower < low < 1 / 3 < high < higher


@pytest.mark.parametrize("counts", [(1, 0), (-1, 3), (4, 3)])
def test_impossible_counts_are_refused(counts):
    with pytest.raises(ValueError, match=r"successes|trials"):
        wilson_interval(*counts)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95])
def test_an_impossible_confidence_is_refused(confidence):
    with pytest.raises(ValueError, match="confidence"):
        wilson_interval(1, 2, confidence)


@pytest.mark.parametrize(
    ("counted", "compared", "expected"),
    [
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((5, 56), (0, 29), (-0.0381, 0.1926)),
        ((0, 10), (0, 20), (-0.1611, 0.2775)),
        ((10, 10), (0, 20), (0.6791, 1.0)),
    ],
)
def test_the_interval_of_a_difference_is_the_published_one(counted, compared, expected):
    """Newcombe (1998), Table II, method 10."""
    assert newcombe_interval(counted, compared) == pytest.approx(expected, abs=5e-5)


def test_a_difference_the_other_way_round_has_the_mirrored_interval():
    low, high = newcombe_interval((12, 30), (20, 60))
    assert newcombe_interval((20, 60), (12, 30)) == pytest.approx((-high, -low))


def test_a_difference_of_impossible_counts_is_refused():
    with pytest.raises(ValueError, match="trials must be"):
        newcombe_interval((1, 2), (0, 0))
