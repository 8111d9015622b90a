"""Weights in four bits: by hand on a small row, and as a property of all matrices."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from glamor_gym.agents.saving.packing import (
    GROUP,
    SMALLEST_PACKED,
    pack,
    pack_matrix,
    unpack,
    unpack_matrix,
)


def test_a_row_by_hand():
    row = torch.zeros(1, GROUP)
    row[0, :4] = torch.tensor([3.5, -1.0, 0.24, 0.26])  # steps of 3.5 / 7 = 0.5
    packed, scales = pack_matrix(row)
    assert scales.tolist() == [[0.5]]
    low, high = packed[0] & 15, packed[0] >> 4
    assert [low[0], high[0], low[1], high[1]] == [8 + 7, 8 - 2, 8 + 0, 8 + 1]
    assert unpack_matrix(packed, scales, row.shape)[0, :5].tolist() == [3.5, -1.0, 0.0, 0.5, 0.0]


@given(
    rows=st.integers(1, 5),
    columns=st.integers(1, 3 * GROUP),
    spread=st.sampled_from([1e-3, 1.0, 100.0]),
    seed=st.integers(0, 2**31),
)
def test_no_weight_is_further_off_than_half_a_step(rows, columns, spread, seed):
    matrix = spread * torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    packed, scales = pack_matrix(matrix)
    there = unpack_matrix(packed, scales, matrix.shape)
    steps = scales.float().repeat_interleave(GROUP, dim=1)[:, :columns]
    # Half a step; the scale itself is rounded, to eleven binary digits or to multiples of 2⁻²⁴, and
    # counts seven times at most.
    bound = (0.5 + 7 * 2**-11) * steps + 8 * 2**-25
    assert ((there - matrix).abs() <= bound).all()


def test_weights_are_rounded_to_steps_of_the_scale_as_it_is_stored():
    matrix = torch.randn(200, 10 * GROUP, generator=torch.Generator().manual_seed(0))
    packed, scales = pack_matrix(matrix)
    steps = scales.float().repeat_interleave(GROUP, dim=1)
    off = (unpack_matrix(packed, scales, matrix.shape) - matrix).abs() / steps
    assert off.max() <= 0.5 + 1e-5


def test_zeros_stay_zeros():
    packed, scales = pack_matrix(torch.zeros(2, 40))
    assert torch.equal(unpack_matrix(packed, scales, torch.Size((2, 40))), torch.zeros(2, 40))


def test_what_is_small_or_no_matrix_stays_as_it_is():
    tensors = {
        "large": torch.randn(SMALLEST_PACKED // 64, 64),
        "small": torch.randn(3, 64),
        "convolution": torch.randn(64, 64, 3, 3),
        "counts": torch.ones(SMALLEST_PACKED // 64, 64, dtype=torch.int64),
    }
    packed = pack(tensors)
    assert set(packed) == {"large.packed", "large.scales", "small", "convolution", "counts"}
    there = unpack(packed, tensors)
    assert set(there) == set(tensors)
    for name in ("small", "convolution", "counts"):
        assert there[name] is tensors[name]
    assert torch.allclose(there["large"], tensors["large"], atol=0.5)


def test_damaged_weights_are_refused():
    like = {"large": torch.randn(SMALLEST_PACKED // 64, 64)}
    packed = pack(like)
    scales = packed["large.scales"]
    for damaged in (
        {"large.packed": packed["large.packed"]},
        packed | {"large.scales": scales[:, :1]},
        packed | {"large.packed": packed["large.packed"][:, :-1]},
        packed | {"large.packed": packed["large.packed"].float()},
        {"other.packed": packed["large.packed"], "other.scales": scales},
    ):
        with pytest.raises(RuntimeError, match="packed"):
            unpack(damaged, like)
    with pytest.raises(RuntimeError, match="never packed"):
        unpack(packed, {"large": torch.randn(8)})
