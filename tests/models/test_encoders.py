"""Encoders: shapes, sizes and what they do with pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.spaces import Box

from glamor_gym.models import GlamorModel, make_encoder
from glamor_gym.models.pair_encoder import stacked

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


@pytest.mark.parametrize("pictured", ["observation", "achieved_goal"])
def test_pictures_beside_vectors_are_seen_as_numbers_from_0_to_1(pictured):
    picture, vector = Box(0, 255, (3, 40, 40), np.uint8), Box(-1, 1, (2,), np.float32)
    entries = {"observation": vector, "achieved_goal": vector, pictured: picture}
    model = GlamorModel(spaces.Dict(entries), 3, fusion="early", whiten=True, embedding_size=8)
    given = {
        name: torch.full((2, *space.shape), 255 if name == pictured else 1).to(
            torch.uint8 if name == pictured else torch.float32
        )
        for name, space in entries.items()
    }
    observation, goal = given["observation"], given["achieved_goal"]
    assert stacked(observation, goal).max() == 1
    assert all(part.isfinite().all() for part in model.encoded(observation, goal))


def test_pictures_of_other_sizes_or_channels_than_the_goals_are_taken():
    for shape in ((3, 40, 40), (9, 40, 40), (3, 50, 60)):
        entries = {"observation": Box(0, 255, shape, np.uint8)}
        entries["achieved_goal"] = Box(0, 255, (3, 40, 40), np.uint8)
        model = GlamorModel(spaces.Dict(entries), 3, whiten=True, embedding_size=8)
        observation = torch.randint(0, 256, (4, *shape), dtype=torch.uint8)
        goal = torch.randint(0, 256, (4, 3, 40, 40), dtype=torch.uint8)
        model.measure_once(observation, goal)
        assert all(part.isfinite().all() for part in model.encoded(observation, goal))
