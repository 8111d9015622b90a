"""Public names of a package that are imported when they are first used.

In: the package's name, and the public names of each of its modules. Out: the package's
``__getattr__`` and ``__dir__`` (PEP 562). Type checkers do not see through these: the package
imports the same names once more under ``TYPE_CHECKING``, and lists them in ``__all__``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, modules: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return a package's ``__getattr__`` and ``__dir__``.

    Args:
        package: the package's ``__name__``.
        modules: module of the package → its names that the package makes public.

    Returns:
        ``__getattr__``, which imports a name's module and raises an ``AttributeError`` for other
        names, and ``__dir__``, which lists what the package holds and the public names.
    """
    homes = {name: f"{package}.{module}" for module, names in modules.items() for name in names}

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return get, names
