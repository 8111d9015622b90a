"""Random shifts of pictures (DrQ, Kostrikov et al., 2021), observation and goal together.

In: stacks and goals, uint8 or whitened. Out: the same, moved by up to n pixels, edges repeated. A
goal moves with its observation: where things are relative to each other is what the model is to
learn.
"""

from __future__ import annotations

import torch
from torch import Tensor


def shift_together(
    observation: Tensor, goal: Tensor, pixels: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Shift each row's pictures by one random offset.

    Args:
        observation: (B, S, H, W); anything that is no picture is returned as it is.
        goal: (B, 1, H, W).
        pixels: largest shift in each direction; 0 for none.
        generator: source of the offsets, on the pictures' device.

    Returns:
        Pictures of the same shapes and dtype.
    """
    if pixels == 0 or observation.dim() != 4:
        return observation, goal
    n_rows, _, height, width = observation.shape
    down, right = torch.randint(
        -pixels, pixels + 1, (2, n_rows, 1), generator=generator, device=observation.device
    )
    rows = (torch.arange(height, device=observation.device) + down).clamp_(0, height - 1)
    columns = (torch.arange(width, device=observation.device) + right).clamp_(0, width - 1)
    batch = torch.arange(n_rows, device=observation.device)
    index = (batch[:, None, None, None], rows[:, None, :, None], columns[:, None, None, :])

    def shifted(pictures: Tensor) -> Tensor:
        channels = torch.arange(pictures.shape[1], device=pictures.device)[None, :, None, None]
        return pictures[index[0], channels, index[1], index[2]]

    return shifted(observation), shifted(goal)
