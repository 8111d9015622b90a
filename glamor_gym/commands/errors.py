"""Bad input, as opposed to bugs.

Bad input is reported in one line and ends with exit code 2; every other error keeps its traceback.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from gymnasium.error import DependencyNotInstalled

from glamor_gym.envs.rendering import RenderingError


class InputError(Exception):
    """The command cannot be executed as given; the message says why."""


@contextlib.contextmanager
def checking_input() -> Iterator[None]:
    """Turn errors with which the library rejects arguments and files into :class:`InputError`.

    Use it around code that validates or prepares the command's work, and around library calls that
    validate their input before they start. Once the input has been validated, such an error is a
    bug and must keep its traceback.

    Raises:
        InputError: a ``ValueError``, ``TypeError``, ``OSError`` or ``RenderingError`` was raised
            inside, or an optional library is missing.
    """
    try:
        yield
    except BrokenPipeError:  # standard output was closed: not the input's fault
        raise
    except (
        ValueError,
        TypeError,
        OSError,
        RenderingError,
        ModuleNotFoundError,
        DependencyNotInstalled,
    ) as error:
        raise InputError(str(error)) from error
