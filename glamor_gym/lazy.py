"""Public names of a package that are imported when they are first used.

In: the package's name, and the module of each public name. Out: the package's ``__getattr__`` and
``__dir__`` (PEP 562). Type checkers do not see through these: the package imports the same names
once more under ``TYPE_CHECKING``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return a package's ``__getattr__`` and ``__dir__``.

    Args:
        package: the package's ``__name__``.
        homes: public name → module that defines it.

    Returns:
        ``__getattr__``, which imports a name's module and raises an ``AttributeError`` for other
        names, and ``__dir__``, which lists what the package holds and the public names.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return get, names
