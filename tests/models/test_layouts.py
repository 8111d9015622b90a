"""Layers in another memory layout against PyTorch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from glamor_gym.models.layouts import ChannelsLastConv2d, ChannelsLastMaxPool2d

CONV = {"padding": 1, "bias": False}
POOL = {"kernel_size": 3, "stride": 2, "padding": 1}


def outputs_and_gradients(conv: nn.Conv2d, pool: nn.MaxPool2d, x: torch.Tensor) -> list:
    x = x.clone().requires_grad_()
    y = pool(conv(x))
    weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)
    return [y, *torch.autograd.grad((y * weights).sum(), [x, conv.weight])]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(8, 10), (7, 9)])
def test_values_and_gradients_are_those_of_pytorchs_layers(channels, size):
    torch.manual_seed(0)
    plain = nn.Conv2d(channels, 4, 3, **CONV).double()
    fast = ChannelsLastConv2d(channels, 4, 3, **CONV).double()
    fast.load_state_dict(plain.state_dict())
    # Few values, so that windows hold equal ones: the gradient must take the same of them.
    x = torch.randint(0, 2, (2, channels, *size)).double()
    expected = outputs_and_gradients(plain, nn.MaxPool2d(**POOL), x)
    found = outputs_and_gradients(fast, ChannelsLastMaxPool2d(**POOL), x)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("channels", [1, 3])
def test_only_what_lies_between_them_is_channels_last(channels):
    x = torch.rand(2, channels, 8, 10)
    convolved = ChannelsLastConv2d(channels, 4, 3, **CONV)(x)
    assert convolved.is_contiguous(memory_format=torch.channels_last)
    assert ChannelsLastMaxPool2d(**POOL)(convolved).is_contiguous()
