"""Layers in another memory layout against PyTorch's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from glamor_gym.models.encoders import make_encoder
from glamor_gym.models.layouts import ChannelsLastConv2d, ChannelsLastMaxPool2d, _laid_out

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


def is_channels_last(x: torch.Tensor) -> bool:
    # Of one channel, PyTorch says that it is in both layouts; convolutions go by the strides.
    return x.stride() == torch.empty_like(x, memory_format=torch.channels_last).stride()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("dtype", "stays"), [(torch.float32, True), (torch.float64, True), (torch.bfloat16, False)]
)
def test_what_follows_the_pooling_is_channels_last_unless_group_norm_is_slow_there(
    channels, dtype, stays
):
    x = torch.rand(2, channels, 8, 10, dtype=dtype)
    convolved = ChannelsLastConv2d(channels, 4, 3, **CONV).to(dtype)(x)
    assert is_channels_last(convolved)
    pooled = ChannelsLastMaxPool2d(**POOL)(convolved)
    assert is_channels_last(pooled) == stays
    assert pooled.is_contiguous() != stays


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("mixed", [False, True])
def test_an_encoder_computes_in_one_layout_from_its_first_layer_on(channels, mixed):
    space = spaces.Box(0, 255, (channels, 80, 104), np.uint8)
    encoder = make_encoder(space, "compact")
    layouts = []
    for layer in encoder.modules():
        if isinstance(layer, nn.Conv2d | nn.GroupNorm):
            layer.register_forward_hook(lambda _, __, out: layouts.append(is_channels_last(out)))
    pictures = torch.randint(0, 256, (2, channels, 80, 104), dtype=torch.uint8)
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        encoder(pictures)
    assert layouts == [not mixed] * 6


def test_pictures_of_the_right_layout_are_not_copied():
    pooled = ChannelsLastMaxPool2d(**POOL)(torch.rand(2, 3, 8, 10))
    assert _laid_out(pooled, torch.channels_last) is pooled
    one = torch.rand(2, 1, 8, 10)
    assert _laid_out(one, torch.contiguous_format) is one
    assert is_channels_last(_laid_out(one, torch.channels_last))
