"""Bad input, as opposed to bugs.

Bad input is reported in one line and ends with exit code 2; every other error keeps its traceback.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from gymnasium.error import DependencyNotInstalled

from glamor_gym.envs.rendering import RenderingError

MISSING = (RenderingError, ModuleNotFoundError, DependencyNotInstalled)
"""Errors that tell of a driver or a library which this machine lacks."""

REJECTED = (ValueError, TypeError, OSError, *MISSING)
"""Errors with which the library rejects arguments and files."""

MADE_BY = " was raised from the environment creator for "
"""What Gymnasium appends to an error in making an environment, with all of its arguments."""


class InputError(Exception):
    """The command cannot be executed as given; the message says why."""


@contextlib.contextmanager
def checking_input(*kinds: type[Exception]) -> Iterator[None]:
    """Turn errors with which the library rejects arguments and files into :class:`InputError`.

    Use it around code that validates or prepares the command's work, and around library calls that
    validate their input before they start. Once the input has been validated, a ``ValueError`` or
    ``TypeError`` is a bug, perhaps in a user's environment, and must keep its traceback. What may
    still come then (a full disk, a missing driver) can be named.

    Args:
        kinds: the errors; all of :data:`REJECTED` if none is named.

    Raises:
        InputError: one of them was raised inside.
    """
    turned = kinds or REJECTED
    try:
        yield
    except BrokenPipeError:  # standard output was closed: not the input's fault
        raise
    except turned as error:
        raise InputError(_told(error)) from error


def _told(error: Exception) -> str:
    """Return the error's message; that of the system without its number, after the file's name."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error).partition(MADE_BY)[0]
