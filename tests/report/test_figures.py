from __future__ import annotations

import base64
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from glamor_gym.report.figures import AGENT, CHANCE, Bar, loss_curves, rate_bars, success_curve

METRICS = pd.DataFrame(
    {
        "step": [0, 10, 20, 30],
        "eval/success_rate": [np.nan, 0.1, np.nan, 0.5],
        "eval/success_low": [np.nan, 0.0, np.nan, 0.3],
        "eval/success_high": [np.nan, 0.3, np.nan, 0.7],
        "train/inverse_loss": [2.9, 2.8, 2.6, np.nan],
        "train/prior_loss": [2.9, 2.85, 2.8, np.nan],
    }
)


def svg(uri):
    head, data = uri.split(",")
    assert head == "data:image/svg+xml;base64"
    return ElementTree.fromstring(base64.b64decode(data))


def elements(uri, name):
    return svg(uri).iter(f"{{http://www.w3.org/2000/svg}}{name}")


def widths_of(uri, colour):
    """Widths of the filled rectangles of one colour."""
    widths = []
    for path in elements(uri, "path"):
        if f"fill: {colour}" in path.get("style", ""):
            numbers = [float(word) for word in path.get("d").split() if word not in "MLz"]
            widths.append(max(numbers[::2]) - min(numbers[::2]))
    return widths


def test_bars_are_as_long_as_their_rates():
    picture = rate_bars([Bar("a", 0.5, 0.4, 0.6, AGENT), Bar("b", 0.25, 0.2, 0.3, CHANCE)])
    (longer,) = widths_of(picture, AGENT)
    (shorter,) = widths_of(picture, CHANCE)
    assert longer == pytest.approx(2 * shorter, rel=1e-6)


def test_a_curve_has_a_point_an_evaluation():
    def dots(metrics):
        uses = elements(success_curve(metrics, [("random agent", 0.1, CHANCE)]), "use")
        return sum(f"fill: {AGENT}" in use.get("style", "") for use in uses)

    more = METRICS.fillna(dict.fromkeys(METRICS.filter(like="eval/"), 0.2))
    assert dots(more) - dots(METRICS) == 2


def test_the_gap_is_prior_minus_inverse_loss():
    # By hand: 0, 0.05, 0.2.
    (line,) = (
        path
        for path in elements(loss_curves(METRICS), "path")
        if "stroke: #334155" in path.get("style", "") and path.get("clip-path")
    )
    heights = [float(word) for word in line.get("d").split() if word not in "ML"][1::2]
    assert len(heights) == 3
    assert (heights[0] - heights[1]) / (heights[0] - heights[2]) == pytest.approx(0.25, rel=1e-4)


@pytest.mark.parametrize("draw", [lambda: success_curve(METRICS, []), lambda: loss_curves(METRICS)])
def test_the_same_metrics_make_the_same_picture(draw):
    assert draw() == draw()
