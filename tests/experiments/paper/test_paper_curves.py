"""Means, intervals and verdicts, held against hand computations."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from glamor_gym import GlamorAgent
from glamor_gym.agents.planning import planner_of
from glamor_gym.agents.settings import GlamorSettings
from glamor_gym.evaluation import wilson_interval
from glamor_gym.experiments.paper import figure_2, figure_3b, figure_4, figure_8
from glamor_gym.experiments.paper.curves import (
    Variant,
    better,
    in_words,
    over_seeds,
    run_spec,
    with_suite,
)
from glamor_gym.experiments.paper.reproduction import Scale


def rows_of(rates, task="Pong", variant="a", step=10, episodes=30):
    """One row a seed."""
    return pd.DataFrame(
        {
            "task": task,
            "variant": variant,
            "seed": range(len(rates)),
            "step": step,
            "success_rate": rates,
            "episodes": episodes,
            "random": 0.1,
            "noop": 0.0,
        }
    )


def test_one_seed_has_the_interval_of_its_episodes():
    (row,) = over_seeds(rows_of([0.4])).to_dict("records")
    assert row["rate"] == 0.4
    assert (row["low"], row["high"]) == wilson_interval(12, 30)
    both = pd.concat([rows_of([0.4]), rows_of([0.8], "Qbert", episodes=60)])
    (row,) = over_seeds(with_suite(both), ["suite"]).to_dict("records")
    assert (row["low"], row["high"]) == wilson_interval(54, 90)  # 0.6 of all: tasks count alike


def test_several_seeds_have_their_standard_deviation():
    # By hand: mean 0.4, deviations −0.2, 0, 0.2, sum of squares 0.08, over n − 1 = 2: 0.04.
    (row,) = over_seeds(rows_of([0.2, 0.4, 0.6])).to_dict("records")
    assert row["rate"] == pytest.approx(0.4)
    assert (row["low"], row["high"]) == (pytest.approx(0.2), pytest.approx(0.6))
    assert row["seeds"] == 3


def test_an_interval_stays_a_rate():
    (row,) = over_seeds(rows_of([0.0, 1.0])).to_dict("records")
    assert (row["low"], row["high"]) == (0.0, 1.0)


def test_tasks_of_a_suite_count_alike_and_seeds_apart():
    # Seed 0: (0.0 + 0.4) / 2 = 0.2; seed 1: (0.2 + 0.8) / 2 = 0.5.
    rows = pd.concat([rows_of([0.0, 0.2], "Pong"), rows_of([0.4, 0.8], "Qbert", episodes=60)])
    (row,) = over_seeds(with_suite(rows), ["suite", "variant", "step"]).to_dict("records")
    assert row["suite"] == "Atari"
    assert row["rate"] == pytest.approx(0.35)
    assert row["high"] - row["rate"] == pytest.approx(0.15 * 2**0.5)


def test_groups_stay_in_the_order_in_which_they_come():
    rows = pd.concat([rows_of([0.1], variant=name) for name in ("b", "a", "c")])
    assert over_seeds(rows)["variant"].tolist() == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ([0.9] * 3, [0.1] * 3, "yes"),
        ([0.1] * 3, [0.9] * 3, "no"),
        ([0.5] * 3, [0.45] * 3, "undecided"),  # seeds that agree: but by 90 episodes each
        ([0.1, 0.5, 0.9], [0.0, 0.1, 0.2], "undecided"),  # enough episodes: but seeds disagree
        ([0.8, 0.9, 1.0], [0.0, 0.1, 0.2], "yes"),
        ([0.9] * 2, [0.1] * 2, "undecided"),
        ([1.0] * 3, [0.5, 0.52, 0.5], "yes"),  # nothing to warn of
    ],
)
@pytest.mark.filterwarnings("error")
def test_only_differences_of_several_seeds_decide(first, second, verdict):
    early = pd.concat([rows_of([0.5] * 3, variant=name, step=5) for name in "ab"])
    rows = pd.concat([early, rows_of(first, variant="a"), rows_of(second, variant="b")])
    comparison = better(rows, "Pong", "a", "b", claim="a is best")
    assert comparison.agrees == verdict
    assert comparison.published == "a is best"
    assert comparison.ours.startswith(
        f"{sum(first) / len(first):.2f} ("
    )  # the end of the curve, not its beginning


@pytest.mark.parametrize(
    ("task", "glamor", "gcsl", "statement", "paper", "agrees"),
    [
        ("Bowling", 0.1, 0.9, "GCSL above GLAMOR", "0.21 (0.11) and 0.14 (0.07)", "yes"),
        ("Bowling", 0.9, 0.1, "GCSL above GLAMOR", "0.21 (0.11) and 0.14 (0.07)", "no"),
        ("Pong", 0.9, 0.1, "GLAMOR above GCSL", "0.44 (0.20) and 0.28 (0.06)", "yes"),
        ("manipulator-bring_ball", 0.9, 0.1, "GLAMOR above GCSL", "0.00 (0.00) and 0.00", ""),
        ("GridWorld", 0.9, 0.1, "GLAMOR above GCSL", "", ""),
    ],
)
def test_figure_2_agrees_with_the_paper_about_who_is_ahead(
    task, glamor, gcsl, statement, paper, agrees
):
    rates = {"GLAMOR": glamor, "GCSL": gcsl}
    rows = [rows_of([rate] * 3, task=task, variant=name) for name, rate in rates.items()]
    (comparison,) = figure_2.compare(pd.concat(rows))
    assert comparison.statement == f"{task}: {statement}"
    ours = (gcsl, glamor) if statement.startswith("GCSL") else (glamor, gcsl)
    assert [part[:4] for part in comparison.ours.split(" and ")] == [f"{r:.2f}" for r in ours]
    assert comparison.published.startswith(paper)
    assert bool(comparison.published) == bool(paper)
    assert comparison.agrees == agrees


def test_figure_2_compares_where_table_1_does():
    """In the end, after five million steps, another agent may be ahead than after 500,000."""
    rates = {250_000: (0.1, 0.1), 500_000: (0.1, 0.4), 5_000_000: (0.8, 0.5)}
    rows = [
        rows_of([rate] * 3, task="Bowling", variant=name, step=step)
        for step, both in rates.items()
        for name, rate in zip(("GLAMOR", "GCSL"), both, strict=True)
    ]
    (comparison,) = figure_2.compare(pd.concat(rows))
    assert (comparison.statement, comparison.agrees) == ("Bowling: GCSL above GLAMOR", "yes")


def test_a_rate_in_words():
    assert in_words({"rate": 0.394, "low": 0.311, "high": 0.482}) == "0.39 (0.31–0.48)"


def test_a_variant_changes_the_training_or_the_plans():
    scale = Scale(("GridWorld",), steps=50, preset="small", settings={"gamma": 0.5})
    spec = run_spec(scale, "GridWorld", Variant("v", settings={"n_trials": 1}), seed=3)
    assert spec.overrides == {"gamma": 0.5, "n_trials": 1}
    assert (spec.seed, spec.steps, spec.preset) == (3, 50, "small")
    plans = Variant("v", planner={"n_trials": 1})
    assert run_spec(scale, "GridWorld", plans, 3).overrides == {"gamma": 0.5}


def test_an_algorithm_without_that_preset_takes_its_own():
    scale = Scale(("GridWorld",), steps=50, preset="small")
    assert run_spec(scale, "GridWorld", Variant("v", "dqn-her"), seed=0).preset is None


def test_looks_are_even_and_end_with_the_training():
    assert Scale(("Pong",), steps=70_000, looks=14).look_steps == tuple(range(5000, 70_001, 5000))
    assert Scale(("Pong",), steps=100, looks=3).look_steps == (33, 67, 100)


@pytest.mark.parametrize("figure", [figure_3b, figure_4, figure_8], ids=lambda each: each.__name__)
def test_variants_that_share_their_agents_are_compared_seed_by_seed(figure):
    # Agents differ by far more than plans do, but all of them gain.
    names = [variant.name for variant in figure.VARIANTS]
    rows = pd.concat(
        rows_of([rate + gain for rate in (0.1, 0.5, 0.3)], variant=name, episodes=900)
        for name, gain in zip(names, (0.4, 0.0, 0.2), strict=False)
    )
    assert {comparison.agrees for comparison in figure.compare(rows)} == {"yes"}


@pytest.mark.parametrize("variant", figure_8.VARIANTS, ids=lambda variant: variant.name)
def test_figure_8_acts_by_the_candidates_that_it_counts(variant):
    preset = {**GlamorAgent.preset("compact")}
    del preset["policy_kwargs"]
    planner = planner_of(GlamorSettings(**preset))
    assert planner.acts_by_value  # then the number of candidates has no effect
    assert not replace(planner, **variant.planner).acts_by_value
