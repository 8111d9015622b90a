"""Report: the results of a run as a self-contained page.

In: the folder of a run. Out: an HTML page with its rates, curves, pictures and films, next to the
published rates.
"""

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
