"""Per-pixel standardisation of pictures, called whitening here (pixels are not decorrelated).

In: uint8 pictures (B, C, H, W). Out: floats of the same shape, (x − mean) / max(std, 0.05), with
statistics measured once, on the first training batch.

In most of these worlds almost nothing of a picture ever changes, and what matters may be three
pixels wide: the ball of Pong, the mass of point_mass. Next to the brightness of the background that
is noise; in units of how much each pixel varies, it is all there is to see.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor, nn

from glamor_gym.models.encoders import as_floats

SMALLEST_SPREAD = 0.05
"""Lower bound on a pixel's standard deviation (brightness 0 to 1). Without it, something new at a
pixel that never changed would outweigh everything else."""


class Whitening(nn.Module):
    """Subtract each pixel's mean and divide by its standard deviation in the first training batch.

    The statistics are measured only once, so that what an encoder has learned to see stays as it
    is. Before that, and for anything but uint8 pictures, inputs are returned unchanged: whitening
    twice is safe. The black frames before an episode's first count as pictures, 1 to 4 in 100 for
    episodes of 100 to 30 steps; a pixel that never changes otherwise then gets a standard deviation
    of a tenth to a fifth of its brightness.

    Args:
        frame_shape: (C, H, W) of one frame; all frames of a stack share its statistics.
    """

    mean: Float[Tensor, "c h w"]
    spread: Float[Tensor, "c h w"]
    measured: Tensor

    def __init__(self, frame_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(frame_shape))
        self.register_buffer("spread", torch.ones(frame_shape))
        self.register_buffer("measured", torch.zeros((), dtype=torch.bool))
        self._known_as_measured = False

    @property
    def is_measured(self) -> bool:
        """Whether there are statistics. On a GPU, asking waits for it, until the answer is yes."""
        if not self._known_as_measured:
            self._known_as_measured = bool(self.measured)
        return self._known_as_measured

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._known_as_measured = False

    @torch.no_grad()
    def measure_once(self, *pictures: UInt8[Tensor, "b _ h w"]) -> None:
        """Measure the statistics on these pictures; later calls do nothing."""
        if self.is_measured:
            return
        frames = torch.cat([self._frames(batch).flatten(0, 1) for batch in pictures]).float() / 255
        self.mean.copy_(frames.mean(dim=0))
        self.spread.copy_(frames.std(dim=0, correction=0).clamp(min=SMALLEST_SPREAD))
        self.measured.fill_(True)

    def forward(self, x: Shaped[Tensor, "b *shape"]) -> Shaped[Tensor, "b *shape"]:
        """Return standardised pictures in the dtype that the encoder computes in."""
        if x.dtype != torch.uint8 or not self.is_measured:
            return x
        pictures = as_floats(x)
        # In the dtype of the pictures: mixed dtypes would be converted back and forth. The mean is
        # subtracted first, so that bfloat16 keeps the small difference.
        mean = (255 * self.mean).to(pictures.dtype)
        scale = (1 / (255 * self.spread)).to(pictures.dtype)
        self._frames(pictures).sub_(mean).mul_(scale)
        return pictures

    def _frames(self, pictures: Shaped[Tensor, "b _ h w"]) -> Shaped[Tensor, "b s c h w"]:
        """Return a view of stacks of frames in which each frame has its channels."""
        n_frames = pictures.shape[1] // len(self.mean)
        return pictures.view(len(pictures), n_frames, *self.mean.shape)
