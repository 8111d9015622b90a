"""Whitening: pictures in, the same with every pixel at mean 0 and spread 1.

In: uint8 pictures (B, C, H, W). Out: floats of the same shape.

In most of these worlds almost nothing of a picture ever changes, and what matters may be three
pixels wide: the ball of Pong, the mass of point_mass. To a network that sees brightness they are
noise beside the background. Measured by how much each pixel varies, they are all there is to see.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor, nn

from glamor_gym.models.encoders import as_floats

SMALLEST_SPREAD = 0.05
"""Pixels that vary less than this, of a brightness from 0 to 1, are taken to vary this much: what
appears for the first time where all was still is to stand out, not to blind."""


class Whitening(nn.Module):
    """Subtract each pixel's mean and divide by its spread, as the first batch of training has them.

    They are measured once, not on and on: what an encoder has learned to see stays as it is. Before
    that, and for anything but uint8 pictures, inputs are left alone. The black frames before an
    episode's first count as pictures, some 4 in 100: to a pixel that never changes otherwise they
    give a spread of a fifth of its brightness.

    Args:
        frame_shape: (1, H, W) of one frame; all channels share its statistics.
    """

    mean: Float[Tensor, "1 h w"]
    spread: Float[Tensor, "1 h w"]
    measured: Tensor

    def __init__(self, frame_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(frame_shape))
        self.register_buffer("spread", torch.ones(frame_shape))
        self.register_buffer("measured", torch.zeros((), dtype=torch.bool))

    @torch.no_grad()
    def measure_once(self, *pictures: UInt8[Tensor, "b _ h w"]) -> None:
        """Take mean and spread from these pictures, unless they were taken before."""
        if self.measured:
            return
        frames = torch.cat([batch.flatten(0, 1) for batch in pictures]).float() / 255
        self.mean.copy_(frames.mean(dim=0))
        self.spread.copy_(frames.std(dim=0, correction=0).clamp(min=SMALLEST_SPREAD))
        self.measured.fill_(True)

    def forward(self, x: Shaped[Tensor, "b *shape"]) -> Shaped[Tensor, "b *shape"]:
        """Return whitened pictures in the type that the encoder computes in."""
        if x.dtype != torch.uint8 or not self.measured:
            return x
        pictures = as_floats(x)
        # In the type of the pictures, whatever it is: mixed types would be copied back and forth.
        # The mean is taken away first, so that bfloat16 keeps what little then remains.
        mean = (255 * self.mean).to(pictures.dtype)
        scale = (1 / (255 * self.spread)).to(pictures.dtype)
        return pictures.sub_(mean).mul_(scale)
