"""Bad input, told apart from faults of the program.

What a person got wrong is told in one line and ends with exit code 2; anything else keeps its
traceback.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from glamor_gym.envs.rendering import RenderingError


class InputError(Exception):
    """The command cannot be carried out as it was given; the message says why."""


@contextlib.contextmanager
def checking_input() -> Iterator[None]:
    """Turn the errors by which the library refuses arguments and files into :class:`InputError`.

    For steps that check or prepare what was asked for, and for calls of the library that check it
    before they do it. In work that was found in order such an error is a fault, and its traceback
    is needed.

    Raises:
        InputError: a ``ValueError``, ``TypeError``, ``OSError`` or ``RenderingError`` was raised
            inside.
    """
    try:
        yield
    except BrokenPipeError:  # of what is printed meanwhile, which nobody reads any more
        raise
    except (ValueError, TypeError, OSError, RenderingError) as error:
        raise InputError(str(error)) from error
