"""Pair encoders: which encoder sees what, and what is whitened."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces
from torch import nn

from glamor_gym.models.pair_encoder import PairEncoder
from glamor_gym.models.whitening import Whitening


def pictures(n: int, side: int = 36) -> spaces.Box:
    return spaces.Box(0, 255, (n, side, side), np.uint8)


def encoder_of(observation: spaces.Box, goal: spaces.Box, **options) -> PairEncoder:
    space = spaces.Dict(observation=observation, achieved_goal=goal)
    return PairEncoder(space, embedding_size=8, **options)


def first_convolution(encoder: nn.Module) -> tuple[int, int]:
    """Return the numbers of channels that come in and go out."""
    layer = next(layer for layer in encoder.modules() if isinstance(layer, nn.Conv2d))
    return layer.in_channels, layer.out_channels


def test_with_early_fusion_the_observation_alone_may_have_a_smaller_encoder():
    model = encoder_of(
        pictures(4), pictures(1), encoder="compact", fusion="early", prior_encoder="tiny"
    )
    assert first_convolution(model.observation_encoder) == (4, 16)
    assert first_convolution(model.goal_encoder) == (5, 32)


def test_with_late_fusion_both_have_the_same():
    model = encoder_of(pictures(4), pictures(1), encoder="compact", prior_encoder="tiny")
    assert first_convolution(model.observation_encoder) == (4, 32)
    assert first_convolution(model.goal_encoder) == (1, 32)


@pytest.mark.parametrize(
    ("observation", "goal", "whitens"),
    [
        (pictures(4), pictures(1), True),
        (pictures(4), pictures(1, side=40), False),
        (spaces.Box(0, 255, (7,), np.uint8), spaces.Box(0, 255, (7,), np.uint8), False),
        (spaces.Box(0, 1, (4, 36, 36)), spaces.Box(0, 1, (1, 36, 36)), False),
        (pictures(4), spaces.Box(0, 1, (3,)), False),
    ],
    ids=["pictures", "of two sizes", "bytes", "floats", "a vector as goal"],
)
def test_pictures_of_one_size_are_whitened(observation, goal, whitens):
    model = encoder_of(observation, goal, encoder="tiny", whiten=True)
    assert isinstance(model.whitening, Whitening) == whitens


def test_spaces_other_than_of_goals_are_named():
    with pytest.raises(TypeError, match="observation_space must be a Dict"):
        PairEncoder(pictures(4))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"observation_space\['achieved_goal'\] must be a Box"):
        PairEncoder(spaces.Dict(observation=pictures(4)))
