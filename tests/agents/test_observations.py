"""Observations are taken as they are meant, or refused by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces

from glamor_gym.agents.observations import as_batch, steps_left_of

SPACE = spaces.Dict(
    observation=spaces.Box(0, 255, (4, 5, 6), np.uint8),
    desired_goal=spaces.Box(0, 255, (1, 5, 6), np.uint8),
    steps_left=spaces.Box(0, 50, (1,), np.float32),
)
KEYS = ("observation", "desired_goal", "steps_left")


def good(batch: int | None = None) -> dict[str, np.ndarray]:
    prefix = () if batch is None else (batch,)
    return {
        "observation": np.zeros((*prefix, 4, 5, 6), np.uint8),
        "desired_goal": np.zeros((*prefix, 1, 5, 6), np.uint8),
        "steps_left": np.full((*prefix, 1), 50, np.float32),
        "something_else": np.zeros(3),
    }


def test_at_least_one_step_is_left_and_at_most_the_horizon():
    batch = {"steps_left": np.array([[0], [7], [60]], np.float32)}
    taken = np.array([0, 7, 60])
    assert steps_left_of(batch, 50, taken).tolist() == [1, 7, 50]
    assert steps_left_of({}, 50, taken).tolist() == [50, 43, 1]


def test_one_and_many_come_out_as_batches():
    batch, is_batch = as_batch(good(), SPACE, KEYS)
    assert not is_batch
    assert {key: value.shape for key, value in batch.items()} == {
        "observation": (1, 4, 5, 6),
        "desired_goal": (1, 1, 5, 6),
        "steps_left": (1, 1),
    }
    batch, is_batch = as_batch(good(3), SPACE, KEYS)
    assert is_batch
    assert len(batch["observation"]) == 3


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("observation", np.zeros((4, 5, 6), np.float32), r"\['observation'\] must be uint8"),
        ("observation", np.zeros((4, 5, 7), np.uint8), "must have shape"),
        ("observation", np.zeros((0, 4, 5, 6), np.uint8), "must have shape"),
        ("observation", np.zeros((2, 4, 5, 6), np.uint8), "different batch sizes"),
        ("desired_goal", "a picture", "must be numeric"),
        ("steps_left", np.array([np.nan], np.float32), "must be finite"),
        ("steps_left", np.array([np.inf], np.float32), "must be finite"),
        ("steps_left", np.array([1e300]), "must be finite as float32"),
        ("steps_left", [[1], [2, 3]], "must be an array"),
        ("steps_left", torch.ones(1, requires_grad=True), "must be an array"),
    ],
)
def test_bad_entries_are_refused_by_name(key, value, message):
    with pytest.raises(ValueError, match=message) as caught:
        as_batch({**good(), key: value}, SPACE, KEYS)
    assert key in str(caught.value)


@pytest.mark.parametrize("number", [0.5, np.nan, 1e20, 2**40])
def test_numbers_that_a_space_of_whole_ones_cannot_hold_are_refused(number):
    space = spaces.Dict(observation=spaces.Box(-5, 5, (2,), np.int32))
    with pytest.raises(ValueError, match=r"\['observation'\] must be int32"):
        as_batch({"observation": np.array([1, number])}, space, ("observation",))
    batch, _ = as_batch({"observation": np.array([1.0, 2.0])}, space, ("observation",))
    assert batch["observation"].tolist() == [[1, 2]]


def test_a_missing_entry_and_no_dict_at_all():
    without = {key: value for key, value in good().items() if key != "desired_goal"}
    with pytest.raises(ValueError, match="lacks 'desired_goal'"):
        as_batch(without, SPACE, KEYS)
    with pytest.raises(ValueError, match="must be a dict"):
        as_batch(np.zeros(3), SPACE, KEYS)
