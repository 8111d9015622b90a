"""Shifts move observation and goal by the same whole number of pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glamor_gym.models.augmentation import _padded, shift_together


def test_both_pictures_move_together_within_the_bound():
    observation = torch.zeros(200, 4, 9, 11, dtype=torch.uint8)
    observation[:, :, 4, 5] = 255
    goal = observation[:, :1].clone()
    moved, moved_goal = shift_together(observation, goal, 2, torch.Generator().manual_seed(0))
    assert (moved[:, :1] == moved_goal).all()
    assert (moved.flatten(1).sum(1, dtype=torch.int64) == 4 * 255).all()
    place = moved[:, 0].flatten(1).argmax(1)
    offsets = {(int(p) // 11 - 4, int(p) % 11 - 5) for p in place}
    assert offsets == {(down, right) for down in range(-2, 3) for right in range(-2, 3)}


def test_edges_are_repeated():
    picture = torch.full((50, 1, 6, 6), 7, dtype=torch.uint8)
    moved, _ = shift_together(picture, picture, 3, torch.Generator().manual_seed(0))
    assert (moved == 7).all()


def test_vectors_and_zero_shifts_are_left_alone():
    vector, picture = torch.rand(3, 5), torch.zeros(3, 1, 6, 6, dtype=torch.uint8)
    generator = torch.Generator().manual_seed(0)
    assert shift_together(vector, vector, 2, generator)[0] is vector
    assert shift_together(picture, picture, 0, generator)[0] is picture


def test_a_picture_is_shifted_beside_a_goal_that_is_none():
    picture, vector = torch.zeros(40, 1, 6, 6, dtype=torch.uint8), torch.rand(40, 5)
    picture[:, :, 3, 3] = 255
    for arguments in ((picture, vector), (vector, picture)):
        moved = shift_together(*arguments, 2, torch.Generator().manual_seed(0))
        for before, after in zip(arguments, moved, strict=True):
            assert before.shape == after.shape
            assert torch.equal(before, after) == (before is vector)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_the_memory_layout_is_kept(channels, layout):
    pictures = torch.empty(3, channels, 8, 10, memory_format=layout).copy_(
        torch.rand(3, channels, 8, 10)
    )
    moved, _ = shift_together(pictures, pictures, 2, torch.Generator().manual_seed(0))
    assert moved.stride() == pictures.stride()
    plain, _ = shift_together(pictures.contiguous(), pictures, 2, torch.Generator().manual_seed(0))
    assert torch.equal(moved, plain)


def test_edges_are_repeated_outwards():
    pictures = torch.randint(0, 256, (3, 2, 9, 13), dtype=torch.uint8)
    expected = np.pad(pictures.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), mode="edge")
    np.testing.assert_array_equal(_padded(pictures, 2), expected)
