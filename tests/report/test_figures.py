from __future__ import annotations

import base64
import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from glamor_gym.evaluation.metrics_file import evaluations_in
from glamor_gym.report import figures
from glamor_gym.report.figures import (
    Bar,
    Curve,
    Level,
    by_distance,
    curve_panels,
    distance_bars,
    goal_strip,
    loss_curves,
    rate_bars,
    success_curve,
)
from glamor_gym.report.style import AGENT, CHANCE, LINE
from glamor_gym.types import EvaluationResult

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


RESULT = EvaluationResult(
    task="glamor/Seaquest-v0",
    success_rate=0.5,
    confidence_interval=(0.2, 0.8),
    image_match_rate=0.0,
    per_goal={0: 1.0, 1: 0.5, 2: 0.0, 3: 0.5},
    per_label={},
    random=0.1,
    noop=0.0,
    random_interval=(0.0, 0.3),
    noop_interval=(0.0, 0.2),
    reached_rate=0.6,
    mean_length=20.0,
    episodes=8,
    seed=0,
    goals_hash="",
    goals="eval",
    env_kwargs={},
    distances={0: 0.05, 1: 0.5, 2: 0.55, 3: 1.7},
)


def svg(plot):
    head, data = plot.light.split(",")
    assert head == "data:image/svg+xml;base64"
    return ElementTree.fromstring(base64.b64decode(data))


def elements(uri, name):
    return svg(uri).iter(f"{{http://www.w3.org/2000/svg}}{name}")


def corners_of(uri, colour):
    """(left, right, top, bottom) of the filled rectangles of one colour; y grows downwards."""
    corners = []
    for path in elements(uri, "path"):
        if f"fill: {colour}" in path.get("style", ""):
            numbers = [float(word) for word in path.get("d").split() if word not in "MLz"]
            x, y = numbers[::2], numbers[1::2]
            corners.append((min(x), max(x), min(y), max(y)))
    return corners


def extents_of(uri, colour):
    """(width, height) of the filled rectangles of one colour."""
    return [(right - left, bottom - top) for left, right, top, bottom in corners_of(uri, colour)]


def test_bars_are_as_long_as_their_rates():
    picture = rate_bars([Bar("a", 0.5, 0.4, 0.6, AGENT), Bar("b", 0.25, 0.2, 0.3, CHANCE)])
    ((longer, _),) = extents_of(picture, AGENT)
    ((shorter, _),) = extents_of(picture, CHANCE)
    assert longer == pytest.approx(2 * shorter, rel=1e-6)


def test_panels_have_their_curves_and_one_legend():
    points = pd.DataFrame({"step": [10, 20], "rate": [0.1, 0.5], "low": 0.0, "high": 0.6})
    curves = [
        Curve("a", points, AGENT),
        Curve("b", points.assign(low=np.nan), CHANCE, ":", marker=""),  # no interval
    ]
    figure = curve_panels(
        {f"task {number}": (curves, [Level("paper", 0.3, AGENT, "--")]) for number in range(5)}
    )
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == [f"task {number}" for number in range(5)]
    for axes in shown:
        assert [line.get_label() for line in axes.lines] == ["a", "b", "paper"]
        assert axes.lines[0].get_ydata().tolist() == [0.1, 0.5]
        assert [line.get_color() for line in axes.lines] == [AGENT, CHANCE, AGENT]
        assert len(axes.collections) == 1
    assert [axes.get_ylabel() != "" for axes in shown] == [True, False, False, False, True]
    assert [axes.get_xlabel() != "" for axes in shown] == [False, True, True, True, True]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b", "paper"]


def test_a_curve_has_a_point_an_evaluation():
    def dots(metrics):
        uses = elements(
            success_curve(evaluations_in(metrics), [Level("random agent", 0.1, CHANCE, ":")]), "use"
        )
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


def test_the_gap_on_new_episodes_is_drawn_where_it_was_measured():
    def dashed(metrics):
        paths = elements(loss_curves(metrics), "path")
        return sum("stroke-dasharray" in path.get("style", "") for path in paths)

    unseen = METRICS.assign(**{"validation/information_gap": [np.nan, 0.02, 0.03, np.nan]})
    assert dashed(unseen) - dashed(METRICS) == 2  # the curve, and its line in the legend


@pytest.mark.parametrize(
    "draw", [lambda: success_curve(evaluations_in(METRICS), []), lambda: loss_curves(METRICS)]
)
def test_the_same_metrics_make_the_same_picture(draw):
    assert draw() == draw()


def test_bars_of_distance_pool_the_goals_of_a_class():
    # By hand: goal 0 in all tries; goals 1 and 2 together in a quarter; goal 3 in half.
    heights = [height for _, height in extents_of(distance_bars(RESULT), AGENT)]
    assert [height / heights[0] for height in heights] == pytest.approx([1, 0.25, 0.5], rel=1e-4)


def test_intervals_of_distance_are_those_of_all_tries(monkeypatch):
    asked = []

    def interval(successes, trials):
        asked.append((successes, trials))
        return 0.0, 1.0

    monkeypatch.setattr(figures, "wilson_interval", interval)
    distance_bars(RESULT)
    assert asked == [(2, 2), (1, 4), (1, 2)]  # two tries of each goal


def test_a_distance_at_a_bound_is_of_the_farther_class():
    distances = dict(enumerate((0.0, 0.1, 0.8, 3.0)))
    table = by_distance([replace(RESULT, distances=distances)])
    assert table["goals"].tolist() == [1, 1, 0, 0, 0, 2]
    assert table["rate"].fillna(-1).tolist() == [1.0, 0.5, -1, -1, -1, 0.25]


def test_cells_are_filled_as_far_as_goals_were_reached():
    strip = goal_strip(RESULT)
    empty = [height for _, height in extents_of(strip, LINE)]
    full = [height for _, height in extents_of(strip, AGENT)]
    assert len(empty) == 4
    assert [height / empty[0] for height in full] == pytest.approx([1, 0.5, 0, 0.5], abs=1e-4)
    bottoms = {
        round(bottom, 2) for colour in (LINE, AGENT) for *_, bottom in corners_of(strip, colour)
    }
    assert len(bottoms) == 1, "a cell is filled from below"


def test_on_dark_pages_only_the_colours_differ():
    light, dark = (
        base64.b64decode(uri.split(",")[1]).decode()
        for uri in success_curve(evaluations_in(METRICS), [])
    )
    assert AGENT in light
    assert AGENT not in dark
    colour = re.compile("#[0-9a-f]{6}")
    assert colour.sub("", light) == colour.sub("", dark)
