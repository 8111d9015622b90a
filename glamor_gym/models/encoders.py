"""Encoders: one observation or goal in, one embedding out.

In: uint8 pictures (B, C, H, W), scaled to [0, 1) here, or float vectors (B, d).
Out: float embeddings (B, size).

``"residual"`` is the paper's encoder (§4.2, after the large network of Espeholt et al., 2018),
``"compact"`` three convolutions at about a fifteenth of its cost, for two cores, ``"tiny"``
the same with half the channels, and ``"mlp"`` is for vectors and pictures too small to convolve.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Literal, get_args

import torch
from gymnasium import spaces
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from glamor_gym.checks import as_choice, as_instance, as_integer
from glamor_gym.models.layouts import ChannelsLastConv2d, ChannelsLastMaxPool2d, picture_layout

EncoderName = Literal["residual", "compact", "tiny", "mlp", "auto"]

MOST_UNITS = 2**13
"""Units of the widest layer that is built."""

SMALLEST_PICTURE = 36
"""Pictures with a shorter side are encoded by an MLP: convolutions would leave nothing of them."""


def as_floats(pictures: UInt8[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Return a float copy of uint8 pictures, values 0 to 255, in the dtype the encoder computes in.

    That is autocast's where autocast is on: whole numbers up to 256 are exact in bfloat16. The copy
    is in the layout of the first convolution (:mod:`~glamor_gym.models.layouts`).
    """
    device = pictures.device
    mixed = torch.is_autocast_enabled(device.type)
    dtype = torch.get_autocast_dtype(device.type) if mixed else torch.float32
    is_picture = pictures.dim() == 4
    layout = picture_layout(device, dtype) if is_picture else torch.contiguous_format
    return pictures.to(dtype=dtype, memory_format=layout)


def normalised(x: Tensor) -> Tensor:
    """Return uint8 pictures as floats in [0, 1), and floats as they are.

    Pixels are divided by 256 rather than 255: a power of two loses nothing in bfloat16.
    """
    if x.dtype == torch.uint8:
        return as_floats(x).mul_(1 / 256)
    return x if x.dtype == torch.bfloat16 else x.float()  # whitened, or a vector


class Normalise(nn.Module):
    """:func:`normalised` as the first layer of an encoder."""

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` in the floating-point dtype that the encoder computes in."""
        return normalised(x)


class ResidualBlock(nn.Module):
    """conv – GroupNorm – ReLU – conv – GroupNorm, added to the input, ReLU.

    The last GroupNorm starts at zero, so that the block starts as the identity.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        last_norm = nn.GroupNorm(4, channels)
        nn.init.zeros_(last_norm.weight)
        self.branch = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.GroupNorm(4, channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            last_norm,
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Return activations of the same shape."""
        return torch.relu(x + self.branch(x))


def residual_trunk(channels: int) -> nn.Sequential:
    """Three stages of 16, 32 and 32 channels: conv, max-pool, GroupNorm, two residual blocks."""
    layers: list[nn.Module] = []
    for width in (16, 32, 32):
        layers += [
            ChannelsLastConv2d(channels, width, 3, padding=1, bias=False),
            ChannelsLastMaxPool2d(3, stride=2, padding=1),
            nn.GroupNorm(4, width),
            nn.ReLU(inplace=True),
            ResidualBlock(width),
            ResidualBlock(width),
        ]
        channels = width
    return nn.Sequential(*layers)


def compact_trunk(channels: int, width: int = 32) -> nn.Sequential:
    """Three convolutions of `width`, 2 `width` and 2 `width` channels with GroupNorm."""
    layers: list[nn.Module] = []
    for n_outputs, kernel, stride in ((width, 8, 4), (2 * width, 4, 2), (2 * width, 3, 1)):
        layers += [
            nn.Conv2d(channels, n_outputs, kernel, stride, bias=False),
            nn.GroupNorm(4, n_outputs),
            nn.ReLU(inplace=True),
        ]
        channels = n_outputs
    return nn.Sequential(*layers)


def mlp_trunk(n_inputs: int) -> nn.Sequential:
    """Three layers of 128 units with LayerNorm.

    In the authors' grid world (Fig. 3a), observation and goal share one encoder of such layers;
    here each has its own.
    """
    layers: list[nn.Module] = []
    for _ in range(3):
        layers += [nn.Linear(n_inputs, 128), nn.LayerNorm(128), nn.ReLU(inplace=True)]
        n_inputs = 128
    return nn.Sequential(*layers)


_TRUNKS: Mapping[EncoderName, Callable[[int], nn.Sequential]] = MappingProxyType(
    {
        "auto": residual_trunk,
        "residual": residual_trunk,
        "compact": compact_trunk,
        "tiny": partial(compact_trunk, width=16),
    }
)


def make_encoder(space: spaces.Box, name: EncoderName = "auto", size: int = 512) -> nn.Sequential:
    """Build the encoder of one space.

    Args:
        space: (C, H, W) for pictures, uint8 or floats in [0, 1]; anything else is flattened.
        name: the encoder of pictures; ``"auto"`` is the residual one. Vectors and pictures with
            a side below `SMALLEST_PICTURE` take the MLP whatever the name.
        size: length of the embedding.

    Returns:
        A module from ``(B, *space.shape)`` to (B, size).

    Raises:
        ValueError: the name is unknown, or `size` out of range.
        TypeError: an argument is of the wrong type.
    """
    as_instance(space, spaces.Box, name="space")
    size = as_integer(size, name="size", low=1, high=MOST_UNITS)
    as_choice(name, get_args(EncoderName), name="encoder")
    is_picture = len(space.shape) == 3 and min(space.shape[1:]) >= SMALLEST_PICTURE
    if name == "mlp" or not is_picture:
        trunk = mlp_trunk(math.prod(space.shape))
        return nn.Sequential(
            Normalise(), nn.Flatten(), trunk, nn.Linear(128, size), nn.ReLU(inplace=True)
        )
    trunk = _TRUNKS[name](space.shape[0])
    with torch.no_grad():
        n_features = trunk(torch.zeros(1, *space.shape)).numel()
    return nn.Sequential(
        Normalise(), trunk, nn.Flatten(), nn.Linear(n_features, size), nn.ReLU(inplace=True)
    )
