"""A draw from a global generator is noticed, and nothing else is."""

import random

import numpy as np
import pytest
import torch

from glamor_gym.conformance.randomness import shared_states


@pytest.mark.parametrize(
    ("library", "draw"),
    [("python", random.random), ("numpy", np.random.rand), ("torch", lambda: torch.rand(1))],
)
def test_a_draw_changes_the_state_of_its_library_alone(library, draw):
    draw()
    before, again = shared_states(), shared_states()
    assert before == again
    draw()
    after = shared_states()
    assert [name for name in before if before[name] != after[name]] == [library]
