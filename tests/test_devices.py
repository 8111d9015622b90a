"""Errors of PyTorch that mean that a device cannot be used."""

from __future__ import annotations

import pytest
import torch

from glamor_gym.devices import checking_device


@pytest.mark.parametrize("device", ["abacus", "cuda:99", "mps:1", 3.5, []])
def test_a_device_that_cannot_be_used_is_named(device):
    with (
        pytest.raises(ValueError, match=r"--device .* cannot be used here: ") as raised,
        checking_device(device, name="--device"),
    ):
        torch.empty(0, device=device)
    assert repr(device) in str(raised.value)


def test_a_device_that_can_be_used_is():
    with checking_device("cpu"):
        assert torch.empty(0, device="cpu").device.type == "cpu"


def test_a_full_memory_is_no_missing_device():
    with pytest.raises(torch.OutOfMemoryError), checking_device("cuda"):
        raise torch.OutOfMemoryError("CUDA out of memory")
