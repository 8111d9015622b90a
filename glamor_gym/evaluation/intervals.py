"""How sure a rate is: counts of successes in, a confidence interval out."""

from __future__ import annotations

from scipy.stats import binomtest

from glamor_gym.checks import as_integer, as_number


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a share, which stays honest near 0 and 1.

    Args:
        successes: how many of the trials succeeded, 0 … `trials`.
        trials: how many there were, at least 1.
        confidence: probability that the interval covers the true share, in (0, 1).

    Returns:
        (low, high), both in [0, 1].

    Raises:
        ValueError: an argument is out of its range.
        TypeError: an argument is of the wrong type.
    """
    trials = as_integer(trials, name="trials", low=1)
    successes = as_integer(successes, name="successes", low=0)
    if successes > trials:
        raise ValueError(f"successes must be at most trials, got {successes} of {trials}")
    if not 0.0 < as_number(confidence, name="confidence") < 1.0:
        raise ValueError(f"confidence must be in (0, 1), got {confidence}")
    interval = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)
