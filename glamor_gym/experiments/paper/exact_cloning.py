"""Exact iterated cloning of relabelled data, in environments of one step (App. A.1).

In: the probability that each action reaches each goal, the goals' distribution, and a first policy.
Out: the policies that GCSL would go through with unlimited data and a perfect fit (Equation 12).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glamor_gym.checks import as_integer
from glamor_gym.envs.dice import OUTCOMES


def clone_exactly(
    outcomes: ArrayLike, goals: ArrayLike, policy: ArrayLike
) -> Iterator[NDArray[np.float64]]:
    """Yield the policy after 1, 2, … iterations of collecting and cloning (Equation 12).

    π'(a | g) = p(s = g | a) Σ_g' p(g') π(a | g') / p(s = g).

    Args:
        outcomes: (A, G), p(s = g | a); rows sum to 1.
        goals: (G,), p(g), the goals while data is collected; sums to 1.
        policy: (G, A), π(a | g) at the start; rows sum to 1.

    Yields:
        (G, A) float64, endlessly. A goal that no action taken can reach keeps its policy, since
        there is nothing to clone.

    Raises:
        ValueError: the arguments are not distributions, or their shapes do not fit; raised by the
            first iteration.
    """
    p_outcome, p_goal, pi = (np.asarray(x, np.float64) for x in (outcomes, goals, policy))
    if p_outcome.ndim != 2 or p_goal.shape != p_outcome.shape[1:] or pi.shape != p_outcome.T.shape:
        raise ValueError(
            "outcomes must be (A, G), goals (G,) and policy (G, A); got "
            f"{p_outcome.shape}, {p_goal.shape} and {pi.shape}"
        )
    for name, table in (("outcomes", p_outcome), ("goals", p_goal), ("policy", pi)):
        if (table < 0).any() or not np.allclose(table.sum(axis=-1), 1):
            raise ValueError(f"{name} must hold probabilities that sum to 1, got {table.tolist()}")
    while True:
        p_action = p_goal @ pi  # Equation 11
        joint = p_outcome.T * p_action  # p(a, s = g)
        reached = joint.sum(axis=1, keepdims=True)
        pi = np.divide(joint, reached, out=pi.copy(), where=reached > 0)
        yield pi


def dice_recursion(iterations: int) -> NDArray[np.float64]:
    """Return GCSL's exact sequence of policies on the dice, from uniform goals and policy.

    Args:
        iterations: number of rounds of collecting data and cloning it, 0 or more.

    Returns:
        (iterations + 1, 6, 2) float64, π(die | face) before the first and after each iteration;
        ``[:, 0, LOADED]`` is 0.5, 0.857, 0.5, …, although the loaded die is optimal there.

    Raises:
        ValueError: `iterations` is negative.
        TypeError: `iterations` is not an integer.
    """
    iterations = as_integer(iterations, name="iterations", low=0)
    n_dice, n_faces = OUTCOMES.shape
    first = np.full((n_faces, n_dice), 1 / n_dice)
    goals = np.full(n_faces, 1 / n_faces)
    path = chain((first,), islice(clone_exactly(OUTCOMES, goals, first), iterations))
    return np.stack(list(path))
