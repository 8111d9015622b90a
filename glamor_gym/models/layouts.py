"""The memory layouts in which encoders are fastest on a CPU, with the same results.

In: pictures (B, C, H, W). Out: what PyTorch's own layers return.

Channels-last (NHWC), convolutions and max-pooling are up to ten times as fast as in PyTorch's
default layout (NCHW). GroupNorm's backward pass is not: in float32 it takes as long or up to 1.6
times as long, in bfloat16 up to 28 times. So an encoder runs channels-last from its first layer on
in float32, whereas in bfloat16 a convolution and the pooling after it do, and what follows does
not. On a GPU pictures start channels-last, which is the first convolution's; PyTorch's GroupNorm
there returns the default layout.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


def picture_layout(device: torch.device, dtype: torch.dtype) -> torch.memory_format:
    """Return the layout of pictures at the start of an encoder that computes in `dtype`."""
    if device.type == "cuda":
        return torch.channels_last
    return _trunk_layout(dtype) if device.type == "cpu" else torch.contiguous_format


def layout_of(x: Tensor) -> torch.memory_format:
    """Return a picture's layout by its strides, which is what the layers that follow go by.

    Of one channel, `is_contiguous` says that it is in both.
    """
    return torch.channels_last if x.stride(1) == 1 else torch.contiguous_format


def _trunk_layout(dtype: torch.dtype) -> torch.memory_format:
    """Return the layout on a CPU outside convolutions and pooling."""
    is_short = dtype in (torch.bfloat16, torch.float16)
    return torch.contiguous_format if is_short else torch.channels_last


class ChannelsLastConv2d(nn.Conv2d):
    """:class:`torch.nn.Conv2d` whose output is channels-last on a CPU."""

    def forward(self, input: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """Convolve."""
        return super().forward(_laid_out(input, torch.channels_last))


class ChannelsLastMaxPool2d(nn.MaxPool2d):
    """:class:`torch.nn.MaxPool2d` for channels-last input, as what follows on a CPU takes it."""

    def forward(self, input: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """Pool."""
        return _laid_out(super().forward(input), _trunk_layout(input.dtype))


def _laid_out(x: Tensor, layout: torch.memory_format) -> Tensor:
    """Return `x` in that layout if it is on a CPU."""
    if x.device.type != "cpu" or layout_of(x) == layout:
        return x
    converted: Tensor = _Converted.apply(x, layout)  # type: ignore[no-untyped-call]
    return converted


class _Converted(torch.autograd.Function):
    """Conversion to another layout; the gradient is returned in the layout of the input.

    PyTorch's own conversion passes the gradient on as it is. Max-pooling would then convert all
    that it saved to the gradient's layout, which takes longer than the pooling itself.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, layout: torch.memory_format) -> Tensor:
        ctx.layout = layout_of(x)
        # A copy: `contiguous` returns pictures of one channel as they are.
        return torch.empty_like(x, memory_format=layout).copy_(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad.contiguous(memory_format=ctx.layout), None
