"""Random shifts of pictures (DrQ, Kostrikov et al., 2021), observation and goal together.

In: stacks and goals, uint8 or whitened. Out: the same, shifted by up to n pixels, edges repeated.
A goal is shifted with its observation: the model is to learn where things are relative to each
other.
"""

from __future__ import annotations

import torch
from torch import Tensor

from glamor_gym.models.layouts import layout_of


def shift_together(
    observation: Tensor, goal: Tensor, pixels: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Shift each row's pictures by one random offset.

    Args:
        observation: (B, S, H, W).
        goal: (B, 1, H, W). Either is returned unchanged if it is not a picture.
        pixels: largest shift in each direction; 0 for none.
        generator: source of the offsets, on the pictures' device.

    Returns:
        Pictures of the same shapes, dtype and memory layout.
    """
    if pixels == 0 or (observation.dim() != 4 and goal.dim() != 4):
        return observation, goal
    n_rows = len(observation)
    down, right = torch.randint(
        0, 2 * pixels + 1, (2, n_rows), generator=generator, device=observation.device
    )
    batch = torch.arange(n_rows, device=observation.device)

    def shifted(pictures: Tensor) -> Tensor:
        if pictures.dim() != 4:
            return pictures
        height, width = pictures.shape[2:]
        # All shifts of all pictures as a view, of which one per row is copied: whole lines of
        # pixels at a time, eight times as fast as indexing pixels.
        padded = _padded(pictures, pixels)
        shifts = padded.unfold(2, height, 1).unfold(3, width, 1)
        return shifts[batch, :, down, right]

    return shifted(observation), shifted(goal)


def _padded(pictures: Tensor, pixels: int) -> Tensor:
    """Repeat the edges outwards, in any dtype (PyTorch's own padding knows only floats).

    The copy keeps the memory layout, in which the encoder goes on.
    """
    *rows, height, width = pictures.shape
    padded = torch.empty(
        (*rows, height + 2 * pixels, width + 2 * pixels),
        dtype=pictures.dtype,
        device=pictures.device,
        memory_format=layout_of(pictures),
    )
    lines = padded[..., pixels:-pixels, :]
    lines[..., pixels:-pixels] = pictures
    lines[..., :pixels], lines[..., -pixels:] = pictures[..., :1], pictures[..., -1:]
    padded[..., :pixels, :], padded[..., -pixels:, :] = lines[..., :1, :], lines[..., -1:, :]
    return padded
