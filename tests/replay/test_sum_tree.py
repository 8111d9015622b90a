"""The sum tree, against cumulative sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glamor_gym.replay.sum_tree import SumTree


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.data())
def test_it_finds_what_a_cumulative_sum_finds(priorities, data):
    tree = SumTree(len(priorities))
    tree.set(np.arange(len(priorities)), np.array(priorities, np.float64))
    changed = data.draw(st.integers(0, len(priorities) - 1))
    priorities[changed] = 5
    tree.set(np.array([changed]), 5.0)
    assert tree.total == sum(priorities)
    assert (tree[slice(None)] == priorities).all()
    masses = np.arange(sum(priorities), dtype=np.float64)
    expected = np.searchsorted(np.cumsum(priorities), masses, side="right")
    assert (tree.find(masses) == expected).all()


def test_slots_are_drawn_in_proportion():
    tree = SumTree(1000)
    tree.set(np.array([3, 500, 999]), np.array([1.0, 2.0, 5.0]))
    masses = np.random.default_rng(0).random(80_000) * tree.total
    counts = np.bincount(tree.find(masses), minlength=1000)
    assert counts[[3, 500, 999]] / 80_000 == pytest.approx([1 / 8, 2 / 8, 5 / 8], abs=0.01)
    assert counts.sum() == counts[[3, 500, 999]].sum()


def test_a_mass_at_the_very_end_does_not_fall_off():
    tree = SumTree(7)
    tree.set(np.arange(5), 0.1)  # 0.1 five times is not quite a half
    end = np.nextafter(tree.total, 1.0)
    assert tree.find(np.array([tree.total, end])).tolist() == [4, 4]


def test_where_a_slot_is_named_twice_the_last_one_holds():
    tree = SumTree(4)
    tree.set(np.array([2, 2]), np.array([1.0, 3.0]))
    assert tree.total == 3.0


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_priorities_that_are_none_are_refused(bad):
    with pytest.raises(ValueError, match="priorities"):
        SumTree(3).set(np.array([0]), np.array([bad]))
