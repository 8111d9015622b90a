"""Encoders: shapes, sizes and what they do with pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces

from glamor_gym.models import make_encoder

PICTURE = spaces.Box(0, 255, (4, 80, 104), np.uint8)


def n_parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", ["residual", "compact", "tiny", "mlp", "auto"])
@pytest.mark.parametrize(
    "space",
    [PICTURE, spaces.Box(0, 1, (49,), np.float32), spaces.Box(0, 255, (1, 7, 7), np.uint8)],
)
def test_every_space_is_encoded_into_finite_numbers(name, space):
    encoder = make_encoder(space, name, size=32)
    embedding = encoder(torch.from_numpy(np.stack([space.sample(), space.sample()])))
    assert embedding.shape == (2, 32)
    assert torch.isfinite(embedding).all()
    assert embedding.dtype == torch.float32


def test_the_residual_encoder_has_the_weights_of_the_paper():
    # 3×3 convolutions without bias, a scale and a shift for each channel of every GroupNorm,
    # then 32 channels of 10×13 into 512.
    def stage(channels_in, channels):
        return 9 * channels_in * channels + 2 * channels + 4 * (9 * channels**2 + 2 * channels)

    expected = stage(4, 16) + stage(16, 32) + stage(32, 32) + (32 * 10 * 13 + 1) * 512
    assert n_parameters(make_encoder(PICTURE, "residual")) == expected


def test_auto_takes_the_residual_encoder_for_pictures_and_an_mlp_for_vectors():
    assert n_parameters(make_encoder(PICTURE)) == n_parameters(make_encoder(PICTURE, "residual"))
    vector = spaces.Box(0, 1, (49,), np.float32)
    assert n_parameters(make_encoder(vector)) == n_parameters(make_encoder(vector, "mlp"))


def test_residual_blocks_start_as_the_identity():
    trunk = make_encoder(PICTURE, "residual")[1]
    x = torch.rand(1, 16, 8, 8)
    torch.testing.assert_close(trunk[4](x), x)


def test_no_pixel_value_is_lost_in_bfloat16():
    normalise = make_encoder(PICTURE, "compact")[0]
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        scaled = normalise(pixels)
    assert scaled.dtype == torch.bfloat16
    assert (scaled.float() * 256 == pixels).all()
    torch.testing.assert_close(normalise(pixels), scaled.float())


def test_an_unknown_encoder_is_named():
    with pytest.raises(ValueError, match="resnet50"):
        make_encoder(PICTURE, "resnet50")
