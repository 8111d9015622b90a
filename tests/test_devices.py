"""Errors of PyTorch that mean that a device cannot be used; the cores that there are."""

from __future__ import annotations

import os

import pytest
import torch

from glamor_gym.devices import available_cores, checking_device


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


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinities")
def test_only_cores_that_the_process_may_use_are_counted():
    allowed = os.sched_getaffinity(0)
    assert available_cores() == len(allowed)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert available_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_where_there_are_no_affinities_all_cores_count(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    assert available_cores() == 6
