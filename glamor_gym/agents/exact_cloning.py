"""What cloning relabelled data comes to when it is done exactly, in one-step worlds (App. A.1).

In: how likely each action is to reach each goal, which goals are asked for, and a first policy.
Out: the policies that GCSL would go through with unlimited data and a perfect fit (Equation 12).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glamor_gym.envs.dice import OUTCOMES


def clone_exactly(
    outcomes: ArrayLike, goals: ArrayLike, policy: ArrayLike
) -> Iterator[NDArray[np.float64]]:
    """Yield the policy after 1, 2, … iterations of collecting and cloning (Equation 12).

    π'(a | g) = p(s = g | a) Σ_g' p(g') π(a | g') / p(s = g).

    Args:
        outcomes: (A, G), p(s = g | a); rows sum to 1.
        goals: (G,), p(g), the goals that are asked for while data is collected.
        policy: (G, A), π(a | g) at the start.

    Yields:
        (G, A) float64, without end. Where no action that is taken reaches a goal, nothing is
        cloned and the goal keeps its policy.

    Raises:
        ValueError: the arguments are no distributions, or their shapes do not fit.
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
    """Return GCSL's exact path on the dice, from uniform goals and a uniform policy.

    Args:
        iterations: how often data is collected and cloned, 0 or more.

    Returns:
        (iterations + 1, 6, 2) float64, π(die | face) before the first and after each iteration;
        ``[:, 0, LOADED]`` is 0.5, 0.857, 0.5, …, although the loaded die is right there.

    Raises:
        ValueError: `iterations` is negative.
    """
    if iterations < 0:
        raise ValueError(f"iterations must be 0 or more, got {iterations}")
    n_dice, n_faces = OUTCOMES.shape
    first = np.full((n_faces, n_dice), 1 / n_dice)
    goals = np.full(n_faces, 1 / n_faces)
    path = chain((first,), islice(clone_exactly(OUTCOMES, goals, first), iterations))
    return np.stack(list(path))
