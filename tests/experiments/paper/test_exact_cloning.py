"""The exact path of cloning, against numbers worked out by hand."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from glamor_gym.envs.dice import FAIR, LOADED, OUTCOMES
from glamor_gym.experiments.paper.exact_cloning import clone_exactly, dice_recursion


def test_the_dice_forget_the_loaded_one():
    loaded_at_one = dice_recursion(40)[:, 0, LOADED]
    # By hand: ½ / (½ + ½·⅙) = 6/7; then p(loaded) = 1/7, (1/7) / (1/7 + 6/7·⅙) = ½; then
    # p(loaded) = 1/12, (1/12) / (1/12 + 11/12·⅙) = 6/17.
    assert loaded_at_one[:4] == pytest.approx([1 / 2, 6 / 7, 1 / 2, 6 / 17])
    assert loaded_at_one[[5, 10, 40]] == pytest.approx([0.222, 0.115, 0.030], abs=5e-4)


def test_at_every_other_face_the_fair_die_is_right_at_once():
    path = dice_recursion(3)
    assert (path[1:, 1:, FAIR] == 1).all()
    assert path.sum(axis=-1) == pytest.approx(np.ones(path.shape[:2]))


def test_one_iteration_is_what_counting_relabelled_rolls_gives():
    rng = np.random.default_rng(0)
    policy = np.column_stack((np.linspace(0.1, 0.9, 6), np.linspace(0.9, 0.1, 6)))
    goals = np.array([0.3, 0.1, 0.1, 0.2, 0.2, 0.1])
    exact = next(clone_exactly(OUTCOMES, goals, policy))
    asked = rng.choice(6, size=200_000, p=goals)
    loaded = rng.random(len(asked)) < policy[asked, LOADED]
    face = np.where(loaded, 0, rng.integers(0, 6, len(asked)))
    assert loaded[face == 0].mean() == pytest.approx(exact[0, LOADED], abs=0.01)
    assert not loaded[face > 0].any()


def test_a_goal_that_nothing_reaches_keeps_its_policy():
    outcomes = [[1.0, 0.0], [1.0, 0.0]]
    policy = [[0.5, 0.5], [0.2, 0.8]]
    after = list(islice(clone_exactly(outcomes, [0.5, 0.5], policy), 2))[-1]
    assert after[1] == pytest.approx([0.2, 0.8])


@pytest.mark.parametrize(
    ("outcomes", "goals", "policy", "message"),
    [
        ([[0.5, 0.6]], [0.5, 0.5], [[1.0], [1.0]], "outcomes must hold"),
        ([[0.5, 0.5]], [1.5, -0.5], [[1.0], [1.0]], "goals must hold"),
        ([[0.5, 0.5]], [0.5, 0.5], [[0.9], [1.0]], "policy must hold"),
        ([[0.5, 0.5]], [1.0], [[1.0], [1.0]], r"outcomes must be \(A, G\)"),
    ],
)
def test_what_is_no_distribution_is_refused(outcomes, goals, policy, message):
    with pytest.raises(ValueError, match=message):
        next(clone_exactly(outcomes, goals, policy))
    with pytest.raises(ValueError, match="iterations"):
        dice_recursion(-1)
