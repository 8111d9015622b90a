"""Report: what came of a run, to be looked at.

In: the folder of a run. Out: a page that holds its curves, pictures, films and figures in itself,
beside the published ones.
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
