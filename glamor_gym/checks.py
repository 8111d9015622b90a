"""Validation of arguments: numbers, paths, choices, sizes, arrays.

In: a value, what is allowed, and the name to use in the message. Out: the value in the form the
code works with, or an error that names the argument, what was given and what is allowed.
:class:`CheckedFields` does the same for the fields of settings.
"""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

Choice = TypeVar("Choice")
Kind = TypeVar("Kind")

MOST_PIXELS = 4096
"""Largest side of a picture."""


def as_integer(value: Any, *, name: str, low: int, high: int | None = None) -> int:
    """Return `value` as an int with low ≤ value ≤ high.

    Args:
        value: a Python or NumPy integer, or an integer array of shape ``()``.
        name: name of the argument in error messages.
        low: smallest value allowed.
        high: largest value allowed; None for no limit.

    Raises:
        TypeError: `value` is not a single integer (but e.g. a float, a bool or a batch).
        ValueError: `value` is out of range.
    """
    allowed = f"an integer from {low} to {high}" if high is not None else f"an integer ≥ {low}"
    if isinstance(value, int) and not isinstance(value, bool):
        number = value  # of any size, where NumPy's integers have 64 bits
    else:
        # Lists are no arrays: NumPy makes arrays of some, and an error of its own of others.
        array = np.asarray(value) if hasattr(value, "__array__") else None
        if array is None or array.shape != () or array.dtype.kind not in "iu":
            raise TypeError(f"{name} must be {allowed}, got {_describe(value)}")
        number = int(array)
    if number < low or (high is not None and number > high):
        raise ValueError(f"{name} must be {allowed}, got {number}")
    return number


def as_number(
    value: Any,
    *,
    name: str,
    above: float = -math.inf,
    below: float = math.inf,
    low: float = -math.inf,
    high: float = math.inf,
) -> float:
    """Return `value` as a finite float with above < value < below and low ≤ value ≤ high.

    Args:
        value: a Python or NumPy integer or float.
        name: name of the argument in error messages.
        above: lower bound that is not allowed itself.
        below: upper bound that is not allowed itself.
        low: smallest value allowed.
        high: largest value allowed.

    Raises:
        TypeError: `value` is not a number (but e.g. a bool, a string or an array).
        ValueError: `value` is out of range, NaN or infinite.
    """
    bounds = {"above": above, "below": below, "at least": low, "at most": high}
    limits = [f"{text} {bound:g}" for text, bound in bounds.items() if math.isfinite(bound)]
    allowed = f"a finite number {' and '.join(limits)}".rstrip()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be {allowed}, got {_describe(value)}")
    try:
        number = float(value)
    except OverflowError:  # an integer too large for a float
        number = math.inf
    if not (above < number < below and low <= number <= high and math.isfinite(number)):
        raise ValueError(f"{name} must be {allowed}, got {value}")
    return number


def as_probability(value: Any, *, name: str) -> float:
    """Return `value` as a float in [0, 1].

    Raises:
        TypeError: `value` is not a number.
        ValueError: `value` is out of range or NaN.
    """
    return as_number(value, name=name, low=0, high=1)


def as_path(value: str | os.PathLike[str], *, name: str) -> Path:
    """Return `value` as a path.

    Raises:
        TypeError: `value` is neither a string nor a path.
        ValueError: `value` contains a null character, which no file system allows.
    """
    try:
        path = Path(value)
    except TypeError as error:
        raise TypeError(f"{name} must be a path, got {_describe(value)}") from error
    if "\0" in str(path):
        raise ValueError(f"{name} must be a path without null characters, got {str(path)!r}")
    return path


def as_instance(value: Any, kind: type[Kind], *, name: str) -> Kind:
    """Return `value` if it is an instance of `kind`.

    Raises:
        TypeError: `value` is not an instance of `kind`.
    """
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIOUaeiou" else "a"
        raise TypeError(f"{name} must be {article} {kind.__name__}, got {_describe(value)}")
    return value


def as_size(value: Any, *, name: str) -> tuple[int, int]:
    """Return `value` as (height, width) in pixels.

    Raises:
        ValueError: `value` is not a pair of integers from 1 to :data:`MOST_PIXELS`.
    """
    try:
        height, width = (as_integer(side, name=name, low=1, high=MOST_PIXELS) for side in value)
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} must be (height, width), two integers from 1 to {MOST_PIXELS}, got {value!r}"
        ) from None
    return height, width


def as_choice(value: Any, allowed: Sequence[Choice], *, name: str) -> Choice:
    """Return `value` if it is one of `allowed`.

    Raises:
        ValueError: `value` is not one of `allowed`.
    """
    for choice in allowed:
        # Compare values of the same type only: True == 1, and an array has no truth value.
        if type(value) is type(choice) and value == choice:
            return choice
    raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")


def as_render_mode(value: Any) -> str | None:
    """Return `value` if it is a render mode of the package's environments.

    Raises:
        ValueError: `value` is neither None nor ``"rgb_array"``.
    """
    return as_choice(value, (None, "rgb_array"), name="render_mode")


def as_element(value: Any, space: spaces.Box, *, name: str) -> NDArray[Any]:
    """Return `value` if it is an array that fits `space` exactly.

    Stricter than ``space.contains``, which accepts uint8 where float32 is required.

    Raises:
        TypeError: `value` is not an array, or has another dtype than `space`.
        ValueError: `value` has another shape than `space`, or contains NaN or values out of bounds.
    """
    wanted = f"{name} must be an array of shape {space.shape} and dtype {space.dtype}"
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{wanted}, got {_describe(value)}")
    if value.shape != space.shape:
        raise ValueError(f"{wanted}, got shape {value.shape}")
    if value.dtype != space.dtype:
        raise TypeError(f"{wanted}, got dtype {value.dtype}")
    if np.issubdtype(value.dtype, np.floating) and np.isnan(value).any():
        raise ValueError(f"{wanted} without NaN, got one with NaN")
    if not space.contains(value):
        raise ValueError(
            f"{wanted} with values from {space.low.min()} to {space.high.max()}, "
            f"got values from {value.min()} to {value.max()}"
        )
    return value


class CheckedFields:
    """Base of frozen dataclasses whose ``__post_init__`` checks their fields by :meth:`_check`."""

    def _check(self, name: str, check: Callable[..., Any], *allowed: Any, **limits: float) -> None:
        """Check a field by a function of this module.

        Raises:
            ValueError: its value is out of range or of the wrong type; the message names it.
        """
        value = getattr(self, name)
        try:
            checked = check(value, *allowed, name=name, **limits)
        except TypeError as error:
            raise ValueError(str(error)) from error
        if not isinstance(value, int):  # a Python number instead of NumPy's, for JSON
            object.__setattr__(self, name, checked)


def _describe(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.shape != ():
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    return f"{value!r} ({type(value).__name__})"
