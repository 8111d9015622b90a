"""Confidence intervals of a success rate, and of the difference of two.

In: counts of successes and trials. Out: an interval.
"""

from __future__ import annotations

import math

from scipy.stats import binomtest

from glamor_gym.checks import as_integer, as_number


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion, which stays accurate near 0 and 1.

    Args:
        successes: number of successful trials, 0 … `trials`.
        trials: number of trials, at least 1.
        confidence: probability that the interval covers the true proportion, in (0, 1).

    Returns:
        (low, high), both in [0, 1].

    Raises:
        ValueError: an argument is out of its range.
        TypeError: an argument is of the wrong type.
    """
    trials = as_integer(trials, name="trials", low=1)
    successes = as_integer(successes, name="successes", low=0, high=trials)
    confidence = as_number(confidence, name="confidence", above=0, below=1)
    interval = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def newcombe_interval(
    counted: tuple[int, int], compared: tuple[int, int], confidence: float = 0.95
) -> tuple[float, float]:
    """Return the confidence interval of the difference of two independent proportions.

    Newcombe's hybrid of two Wilson score intervals, without continuity correction: method 10 of
    "Interval estimation for the difference between independent proportions" (Statistics in
    Medicine, 1998). Like Wilson's, it stays accurate near 0 and 1.

    Args:
        counted: (successes, trials) of the first proportion.
        compared: (successes, trials) of the proportion that is subtracted from it.
        confidence: probability that the interval covers the true difference, in (0, 1).

    Returns:
        (low, high), both in [−1, 1].

    Raises:
        ValueError: an argument is out of its range.
        TypeError: an argument is of the wrong type.
    """
    first_low, first_high = wilson_interval(*counted, confidence)
    second_low, second_high = wilson_interval(*compared, confidence)
    first, second = counted[0] / counted[1], compared[0] / compared[1]
    difference = first - second
    return (
        difference - math.hypot(first - first_low, second_high - second),
        difference + math.hypot(first_high - first, second - second_low),
    )
