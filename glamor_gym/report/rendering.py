"""Render pages from templates. In: the name of a template and its values. Out: HTML."""

from __future__ import annotations

import functools
import math
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from glamor_gym.names import listed
from glamor_gym.report.films import film
from glamor_gym.report.pictures import picture


def render(template: str, **values: Any) -> str:
    """Return a page as HTML.

    Args:
        template: name of a file in this package, e.g. ``"page.html.jinja"``.
        **values: the variables of the template, all of them.

    Raises:
        jinja2.UndefinedError: a variable that the template uses is missing.
    """
    return _templates().get_template(template).render(**values)


@functools.cache
def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("glamor_gym", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"picture": picture, "film": film, "percent": percent, "listed": listed}
    return templates


def percent(rate: float) -> str:
    """Return a rate as a percentage, or a dash if it is NaN."""
    return "–" if math.isnan(rate) else f"{rate:.0%}"
