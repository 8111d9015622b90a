"""The curves of the paper's figures, and their colours."""

from __future__ import annotations

import pandas as pd

from glamor_gym.experiments import ALGORITHMS
from glamor_gym.experiments.paper import figure_7
from glamor_gym.experiments.paper.drawing import curve_figure
from glamor_gym.report.style import ALGORITHM_COLOURS, CHANCE


def drawn(variants, **options):
    """Return the colour of each line of a figure of one panel, by its label."""
    summary = pd.DataFrame(
        [
            {"task": "Pong", "variant": variant, "step": step, "rate": 0.5, "low": 0.4, "high": 0.6}
            | {"random": 0.1}
            for step in (100, 200)
            for variant in variants
        ]
    )
    (axes,) = curve_figure(summary, **options).axes
    return {line.get_label(): line.get_color() for line in axes.lines}


def test_an_agent_has_the_colour_that_it_has_in_benchmarks():
    # In any order, and whether or not other agents are there.
    for names in (["glamor", "gcsl", "discern"], ["gcsl"], ["discern", "glamor"]):
        colours = drawn([ALGORITHMS[name].title for name in names])
        assert colours.pop("random agent") == CHANCE
        assert colours == {ALGORITHMS[name].title: ALGORITHM_COLOURS[name] for name in names}
    styled = drawn(list(figure_7.STYLES), styles=figure_7.STYLES)
    assert styled["GCSL, own data"] == styled["GCSL, random data"] == ALGORITHM_COLOURS["gcsl"]


def test_what_is_no_agent_has_a_colour_of_its_own():
    colours = drawn(["GLAMOR", "naive-end", "plan-end"])
    assert colours["GLAMOR"] == ALGORITHM_COLOURS["glamor"]
    assert len(set(colours.values())) == 4
