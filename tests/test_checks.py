import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from glamor_gym.checks import (
    as_choice,
    as_element,
    as_integer,
    as_number,
    as_probability,
    as_size,
)


@given(st.integers(-50, 50), st.integers(-50, 50))
def test_integers_pass_in_their_range_whatever_their_type(value, low):
    for given_value in (value, np.int64(value), np.array(value, np.int32)):
        if value >= low:
            number = as_integer(given_value, name="n", low=low)
            assert (number, type(number)) == (value, int)
        else:
            with pytest.raises(ValueError, match=f"n must be an integer ≥ {low}, got {value}"):
                as_integer(given_value, name="n", low=low)


@pytest.mark.parametrize(
    "value", [1.0, True, "1", None, [1], [[1], [2, 3]], np.array([1]), np.float32(1)]
)
def test_only_integers_are_integers(value):
    with pytest.raises(TypeError, match="n must be an integer from 0 to 5, got"):
        as_integer(value, name="n", low=0, high=5)


@given(st.floats(0, 1))
def test_probabilities_pass(value):
    assert as_probability(value, name="p") == value
    assert as_probability(np.float32(value), name="p") == np.float32(value)


@pytest.mark.parametrize("value", [-1e-9, 1.0000001, np.nan, np.inf, 10**400])
def test_other_numbers_are_no_probabilities(value):
    with pytest.raises(ValueError, match="p must be a finite number at least 0 and at most 1, got"):
        as_probability(value, name="p")


@pytest.mark.parametrize("value", [True, np.True_, "0.5", None, 1j, np.complex64(1), np.ones(1)])
def test_only_numbers_are_numbers(value):
    with pytest.raises(TypeError, match="x must be a finite number, got"):
        as_number(value, name="x")
    with pytest.raises(TypeError, match="p must be a finite number at least 0 and at most 1, got"):
        as_probability(value, name="p")


@pytest.mark.parametrize(
    ("bounds", "inside", "outside", "told"),
    [
        ({}, [-1e300, 0], [np.nan, np.inf, -np.inf, -(10**400)], ""),
        ({"above": 0, "high": 1}, [1e-9, 1], [0, 1.01], " above 0 and at most 1"),
        ({"below": 0.5, "low": -2}, [-2, 0.49], [-2.01, 0.5], " below 0.5 and at least -2"),
    ],
)
def test_numbers_pass_within_their_bounds(bounds, inside, outside, told):
    for value in inside:
        number = as_number(value, name="x", **bounds)
        assert (number, type(number)) == (value, float)
    for value in outside:
        with pytest.raises(ValueError, match=f"x must be a finite number{told}, got {value}"):
            as_number(value, name="x", **bounds)


def test_a_size_may_come_as_a_list():
    assert as_size([80, np.int64(104)], name="size") == (80, 104)


@pytest.mark.parametrize("value", ["b", 0, True, 1.0, None, np.zeros(3)])
def test_a_choice_has_the_type_of_what_is_allowed(value):
    with pytest.raises(ValueError, match="c must be one of 'a', 1, got"):
        as_choice(value, ("a", 1), name="c")


def test_a_choice_is_returned():
    assert as_choice(None, ("a", None), name="c") is None
    assert as_choice("a", ("a", None), name="c") == "a"


UNIT = spaces.Box(0.0, 1.0, (2,), np.float32)


def test_an_element_is_returned_as_it_is():
    array = np.array([0.0, 1.0], np.float32)
    assert as_element(array, UNIT, name="x") is array


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ([0.0, 1.0], TypeError, r"x must be an array of shape \(2,\) and dtype float32, got \["),
        (np.zeros(2), TypeError, "got dtype float64"),
        (np.zeros(2, np.uint8), TypeError, "got dtype uint8"),
        (np.zeros((1, 2), np.float32), ValueError, r"got shape \(1, 2\)"),
        (np.array([0, np.nan], np.float32), ValueError, "NaN"),
        (np.array([0, 2], np.float32), ValueError, "from 0.0 to 1.0, got values from 0.0 to 2.0"),
    ],
)
def test_what_does_not_fit_a_space_is_refused(value, error, message):
    with pytest.raises(error, match=message):
        as_element(value, UNIT, name="x")


def test_integers_of_python_have_any_size():
    assert as_integer(2**70, name="seed", low=0) == 2**70
    with pytest.raises(ValueError, match="from 0 to 9, got"):
        as_integer(2**70, name="seed", low=0, high=9)


@pytest.mark.parametrize("size", [(0, 5), (5,), (4097, 5), (40000, 40000), "ab", None])
def test_sizes_have_bounds(size):
    with pytest.raises(ValueError, match="two integers from 1 to 4096"):
        as_size(size, name="frame_size")
