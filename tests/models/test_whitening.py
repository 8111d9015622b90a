"""Whitening: what it takes away, what it leaves, and when it measures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch.utils._python_dispatch import TorchDispatchMode

from glamor_gym.models import GlamorModel
from glamor_gym.models.whitening import SMALLEST_SPREAD, Whitening


def pictures(n: int, channels: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(n)
    return torch.randint(0, 256, (n, channels, 40, 48), generator=generator, dtype=torch.uint8)


def test_what_it_has_measured_has_mean_zero_and_spread_one():
    whitening = Whitening((1, 40, 48))
    one, four = pictures(20), pictures(5, channels=4)
    whitening.measure_once(one, four)
    frames = torch.cat([whitening(one).flatten(0, 1), whitening(four).flatten(0, 1)])
    torch.testing.assert_close(frames.mean(0), torch.zeros(40, 48), atol=1e-4, rtol=0)
    torch.testing.assert_close(frames.std(0, correction=0), torch.ones(40, 48), atol=1e-4, rtol=0)


def test_what_never_moved_becomes_zero_and_what_appears_there_is_bounded():
    whitening = Whitening((1, 40, 48))
    still = torch.full((8, 1, 40, 48), 100, dtype=torch.uint8)
    whitening.measure_once(still)
    assert whitening(still).abs().max() < 1e-4
    still[0, 0, 3, 4] = 151
    assert whitening(still)[0, 0, 3, 4].item() == pytest.approx(0.2 / SMALLEST_SPREAD, rel=1e-3)


def test_each_channel_of_a_colour_has_its_own_statistics():
    whitening = Whitening((3, 40, 48))
    red = torch.tensor([255, 0, 60], dtype=torch.uint8).view(1, 3, 1, 1)
    still = red.expand(8, 3, 40, 48)
    whitening.measure_once(still.repeat(1, 4, 1, 1), still)
    stack = still.repeat(1, 4, 1, 1)
    assert whitening(stack).abs().max() < 1e-4
    assert whitening(stack[:0]).shape == (0, 12, 40, 48)
    stack[:, 7] += 51  # green of the third frame
    white = whitening(stack)
    torch.testing.assert_close(white[:, 7], torch.full((8, 40, 48), 0.2 / SMALLEST_SPREAD))
    assert white[:, [*range(7), *range(8, 12)]].abs().max() < 1e-4


def test_it_measures_once_and_leaves_all_else_alone():
    whitening = Whitening((1, 40, 48))
    first = pictures(6)
    assert whitening(first) is first  # nothing measured yet
    whitening.measure_once(first)
    before = whitening(first).clone()
    whitening.measure_once(pictures(7) // 2)
    torch.testing.assert_close(whitening(first), before)
    vector = torch.rand(3, 5)
    assert whitening(vector) is vector


def test_bfloat16_keeps_the_difference_that_a_single_step_of_brightness_makes():
    whitening = Whitening((1, 40, 48))
    still = torch.full((8, 1, 40, 48), 200, dtype=torch.uint8)
    whitening.measure_once(still)
    brighter = still + 1
    with torch.autocast("cpu", dtype=torch.bfloat16):
        white = whitening(brighter)
    assert white.dtype == torch.bfloat16
    expected = 1 / 255 / SMALLEST_SPREAD
    assert white.float().mean().item() == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("fusion", ["late", "early"])
def test_a_model_measures_when_told_only_and_keeps_it_with_its_weights(fusion):
    space = spaces.Dict(
        observation=spaces.Box(0, 255, (4, 40, 48), np.uint8),
        achieved_goal=spaces.Box(0, 255, (1, 40, 48), np.uint8),
    )

    def make() -> GlamorModel:
        torch.manual_seed(0)
        return GlamorModel(
            space, 3, encoder="tiny", fusion=fusion, embedding_size=16, token_size=8, whiten=True
        )

    model, other = make(), make()
    observation, goal = pictures(6, channels=4), pictures(6)
    model.fold(observation, goal)
    assert not model.whitening.measured  # whoever looks measures nothing
    model.measure_once(observation, goal)
    assert model.whitening.measured
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        mine = model.eval().fold(observation, goal)
        its = other.eval().fold(observation, goal)
    torch.testing.assert_close(mine.h, its.h)


def test_the_device_is_asked_for_no_answer_twice():
    class Counting(TorchDispatchMode):
        n_answers = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            self.n_answers += func in ANSWERS
            return func(*args, **(kwargs or {}))

    whitening = Whitening((1, 40, 48))
    whitening.measure_once(pictures(6))
    with Counting() as counting:
        for _ in range(3):
            whitening(pictures(2))
            whitening.measure_once(pictures(2))
    assert counting.n_answers == 1
    whitening.load_state_dict(Whitening((1, 40, 48)).state_dict())
    assert not whitening.is_measured


ANSWERS = (torch.ops.aten.is_nonzero.default, torch.ops.aten._local_scalar_dense.default)


def test_what_is_whitened_already_stays_as_it_is():
    space = spaces.Dict(
        observation=spaces.Box(0, 255, (4, 40, 48), np.uint8),
        achieved_goal=spaces.Box(0, 255, (1, 40, 48), np.uint8),
    )
    model = GlamorModel(space, 3, encoder="tiny", embedding_size=16, token_size=8, whiten=True)
    observation, goal = pictures(6, channels=4), pictures(6)
    model.measure_once(observation, goal)
    white = model.whitened(observation, goal)
    assert model.whitened(*white) == white
    torch.testing.assert_close(model.fold(*white).h, model.fold(observation, goal).h)


def test_vectors_are_not_whitened():
    box = spaces.Box(0, 1, (5,), np.float32)
    space = spaces.Dict(observation=box, achieved_goal=box)
    model = GlamorModel(space, 3, embedding_size=16, whiten=True)
    assert not isinstance(model.whitening, Whitening)
    model.measure_once(torch.rand(2, 5), torch.rand(2, 5))
