"""Values as distributions over fixed atoms (C51, Bellemare et al., 2017).

In: log-probabilities of atoms, rewards and discounts. Out: expectations, and the targets of the
Bellman update. Pure functions.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def atoms(n_atoms: int, device: torch.device | str = "cpu") -> Float[Tensor, "z"]:
    """Return the values of the atoms, evenly spaced on [0, 1], the range of DISCERN's returns."""
    return torch.linspace(0.0, 1.0, n_atoms, device=device)


def expectation(log_probs: Float[Tensor, "... z"]) -> Float[Tensor, "..."]:
    """Return the mean of each distribution over the atoms."""
    return log_probs.exp() @ atoms(log_probs.shape[-1], log_probs.device)


def project(
    probs: Float[Tensor, "b z"], reward: Float[Tensor, "b"], discount: Float[Tensor, "b"]
) -> Float[Tensor, "b z"]:
    """Return the distribution of reward + discount · value, projected onto the atoms.

    The probability of each shifted atom is split between the two atoms next to it, in proportion
    to how near they are; values outside [0, 1] are clipped.

    Args:
        probs: distribution of the value.
        reward: added to the value.
        discount: factor of the value; 0 where the episode ended.
    """
    n_atoms = probs.shape[-1]
    moved = reward[:, None] + discount[:, None] * atoms(n_atoms, probs.device)
    position = moved.clamp(0.0, 1.0) * (n_atoms - 1)
    low = position.floor().clamp(max=n_atoms - 2).long()
    share_of_high = position - low
    target = torch.zeros_like(probs)
    target.scatter_add_(1, low, probs * (1 - share_of_high))
    target.scatter_add_(1, low + 1, probs * share_of_high)
    return target
