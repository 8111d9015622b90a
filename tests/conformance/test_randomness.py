"""A draw from a global generator is noticed and named, and nothing else is."""

import random

import numpy as np
import pytest
import torch

from glamor_gym.conformance.randomness import refusing_shared_draws
from glamor_gym.conformance.report import CheckFailedError


@pytest.mark.parametrize(
    ("library", "draw"),
    [("python", random.random), ("numpy", np.random.rand), ("torch", lambda: torch.rand(1))],
)
def test_a_draw_changes_the_state_of_its_library_alone(library, draw):
    with (
        pytest.raises(CheckFailedError, match=f"^act changed the random state of {library}$"),
        refusing_shared_draws("act"),
    ):
        draw()


def test_generators_of_ones_own_may_be_drawn_from():
    with refusing_shared_draws("act"):
        random.Random(0).random()
        np.random.default_rng(0).random()
        torch.rand(1, generator=torch.Generator())
