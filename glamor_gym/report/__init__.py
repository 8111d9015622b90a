"""Report: the results of a run as a self-contained page.

In: the folder of a run. Out: an HTML page with its rates, curves, pictures and films, next to the
published rates. The names below are imported when they are first used: drawing takes libraries that
are slow to import, and the published rates need none of them.
"""

from typing import TYPE_CHECKING

from glamor_gym.lazy import lazy_names

if TYPE_CHECKING:
    from glamor_gym.report.page import render_page, write_report
    from glamor_gym.report.pictures import contact_sheet, write_pictures
    from glamor_gym.report.published import Rate, published_rates

__all__ = [
    "Rate",
    "contact_sheet",
    "published_rates",
    "render_page",
    "write_pictures",
    "write_report",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "page": ["render_page", "write_report"],
        "pictures": ["contact_sheet", "write_pictures"],
        "published": ["Rate", "published_rates"],
    },
)
