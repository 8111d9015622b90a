"""Distributions over atoms: the projection, by hand and by a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glamor_gym.models.categorical import atoms, expectation, project


def project_plainly(probs, reward, discount):
    """Move each atom on its own and share it between its neighbours."""
    n_rows, n_atoms = probs.shape
    target = np.zeros((n_rows, n_atoms))
    for row in range(n_rows):
        for atom in range(n_atoms):
            value = min(1.0, max(0.0, reward[row] + discount[row] * atom / (n_atoms - 1)))
            place = value * (n_atoms - 1)
            low = int(np.floor(place))
            target[row, low] += probs[row, atom] * (1 - (place - low))
            if low + 1 < n_atoms:
                target[row, low + 1] += probs[row, atom] * (place - low)
    return target


def test_the_projection_is_that_of_a_plain_loop():
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(51), 20)
    reward = np.concatenate(([0, 1, 0.5], rng.random(17)))
    discount = np.concatenate(([1, 0, 0.97], rng.random(17)))
    ours = project(*(torch.from_numpy(x) for x in (probs, reward, discount)))
    assert ours.numpy() == pytest.approx(project_plainly(probs, reward, discount), abs=1e-6)


def test_by_hand_with_three_atoms():
    probs = torch.tensor([[0.0, 0.0, 1.0], [0.5, 0.0, 0.5], [1.0, 0.0, 0.0]])
    target = project(probs, torch.tensor([0.0, 0.25, 1.0]), torch.tensor([0.75, 0.5, 0.0]))
    # 0.75 lies midway between ½ and 1; {0.25, 0.75} lie midway on both sides of ½; 1 is an atom.
    expected = [[0, 0.5, 0.5], [0.25, 0.5, 0.25], [0, 0, 1]]
    assert target.numpy() == pytest.approx(np.array(expected))


def test_means_move_as_bellman_says_and_nothing_is_lost():
    probs = torch.rand(8, 51).softmax(-1)
    target = project(probs, torch.full((8,), 0.02), torch.full((8,), 0.9))
    assert target.sum(-1).numpy() == pytest.approx(np.ones(8), abs=1e-5)
    mean = expectation(probs.log())
    assert expectation(target.log()).numpy() == pytest.approx((0.02 + 0.9 * mean).numpy(), abs=1e-5)
    assert atoms(3).tolist() == [0.0, 0.5, 1.0]
