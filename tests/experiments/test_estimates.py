from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from rliable import metrics

from glamor_gym.evaluation import newcombe_interval, wilson_interval
from glamor_gym.experiments.estimates import (
    complete_scores,
    curve_estimates,
    final_estimates,
    interquartile_means,
    rates_verdict,
)

RNG = np.random.default_rng(0)


def row(task, agent, seed, rate, state="finished"):
    return {"task": task, "agent": agent, "seed": seed, "success_rate": rate, "state": state}


def point(task, agent, seed, step, rate):
    low, high = wilson_interval(round(30 * rate), 30)
    return {
        "task": task,
        "agent": agent,
        "seed": seed,
        "step": step,
        "success_rate": rate,
        "success_low": low,
        "success_high": high,
    }


# -------------------------------------------------------------------------- means and intervals


def test_the_interquartile_mean_leaves_out_the_outer_quarters():
    # By hand: of 0, 1, 2, 3, 4, 5, 8, 9 over 2 seeds and 4 tasks the middle half is 2, 3, 4, 5.
    scores = np.array([[0.0, 9, 2, 5], [8, 1, 4, 3]])[:, :, np.newaxis]
    assert interquartile_means(scores).value == pytest.approx([3.5])


def test_the_interquartile_mean_is_that_of_rliable():
    scores = RNG.random((5, 3, 4))
    expected = [metrics.aggregate_iqm(scores[..., k]) for k in range(4)]
    assert interquartile_means(scores).value == pytest.approx(expected)


def test_the_interval_is_that_of_resampled_seeds():
    scores = RNG.random((6, 3))
    estimate, low, high = final_estimates({"glamor": pd.DataFrame(scores)})["glamor"]
    # The same by a plain loop: seeds are drawn anew for each task by itself.
    means = []
    for _ in range(4000):
        drawn = np.stack([RNG.choice(column, 6) for column in scores.T], axis=1)
        flat = np.sort(drawn.ravel())
        means.append(flat[4:14].mean())  # 18 // 4 = 4 values off each end
    assert low < estimate < high
    assert [low, high] == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.03)


def test_one_seed_gives_no_interval():
    estimate, low, high = final_estimates({"glamor": pd.DataFrame([[0.2, 0.4]])})["glamor"]
    assert estimate == pytest.approx(0.3)
    assert np.isnan([low, high]).all()


def test_the_same_scores_give_the_same_interval():
    scores = {"glamor": pd.DataFrame(RNG.random((3, 4)))}
    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    assert final_estimates(scores) == final_estimates(scores)
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        # Means differ by 0.3, the error is √(0.12² / 3): Student's t is 4.33, above Welch's 4.30.
        ([0.8, 0.8, 0.8], [0.38, 0.5, 0.62], "better"),
        # With √(0.13² / 3) it is 4.00: enough for variances that are equal, whose bound is 2.78.
        ([0.8, 0.8, 0.8], [0.37, 0.5, 0.63], ""),
        ([0.8, 0.8, 0.8], [0.5, 0.5], ""),  # the fewer seeds count
        ([0.8, 0.8], [0.5, 0.5, 0.5], ""),
    ],
)
def test_seeds_that_vary_by_different_amounts_are_compared_as_welch_does(ours, theirs, verdict):
    counts = [(round(100 * sum(rates)), 100 * len(rates)) for rates in (ours, theirs)]
    of_episodes = newcombe_interval(*counts)
    assert rates_verdict(pd.Series(ours), pd.Series(theirs), of_episodes) == verdict


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        # By hand: the mean is 0.2, the error √(0.07² / 3): Student's t is 4.95, above 4.30.
        ([0.13, 0.2, 0.27], "better"),
        ([0.11, 0.2, 0.29], ""),  # and here 3.85
        ([0.2, 0.2, 0.2], "better"),
        ([-0.13, -0.2, -0.27], "worse"),
    ],
)
def test_what_the_same_agents_do_is_compared_seed_by_seed(gains, verdict):
    before = pd.Series([0.3, 0.7, 0.5])  # which differ by far more
    after = before + gains
    interval = tuple(sorted((0.01 * np.sign(gains[0]), 0.4 * np.sign(gains[0]))))
    assert rates_verdict(after, before, interval, same_agents=True) == verdict
    assert rates_verdict(after, before, interval) == ""
    assert rates_verdict(after, before, (-0.01, 0.4), same_agents=True) == ""  # too few episodes
    others = before.set_axis([0, 1, 3])  # too few seeds of both
    assert rates_verdict(after, others, interval, same_agents=True) == ""


# ------------------------------------------------------------------------------ what is compared


def test_only_tasks_that_all_have_finished_are_compared():
    results = pd.DataFrame(
        [
            row("Pong", "glamor", 0, 0.5),
            row("Pong", "glamor", 1, 0.7),
            row("Pong", "gcsl", 0, 0.1),
            row("Qbert", "glamor", 0, 0.9),
            row("Qbert", "gcsl", 0, 0.8, state="failed"),
        ]
    )
    scores, tasks = complete_scores(results)
    assert tasks == ["Pong"]
    assert scores["glamor"].to_numpy().tolist() == [[0.5], [0.7]]
    assert scores["gcsl"].to_numpy().tolist() == [[0.1]]


def test_seeds_are_told_apart_by_their_numbers():
    results = pd.DataFrame(
        [row("Pong", "glamor", seed, rate) for seed, rate in ((0, 0.1), (1, 0.9), (2, 0.8))]
        + [row("Qbert", "glamor", seed, rate) for seed, rate in ((2, 0.5), (1, 0.4))]
        + [row(task, "gcsl", seed, 0.2) for task, seed in (("Pong", 0), ("Qbert", 1))]
    )
    scores, tasks = complete_scores(results)
    assert tasks == ["Pong", "Qbert"]
    assert scores["glamor"].index.tolist() == [1, 2]
    assert scores["glamor"].to_numpy().tolist() == [[0.9, 0.4], [0.8, 0.5]]
    assert "gcsl" not in scores  # it has no seed on both


def test_a_curve_over_tasks_is_by_the_seeds_that_are_on_all_of_them():
    curves = pd.DataFrame(
        [point("Pong", "glamor", seed, 10, rate) for seed, rate in ((0, 0.1), (1, 0.9))]
        + [point("Qbert", "glamor", 1, 10, 0.5)]
    )
    assert curve_estimates(curves, ["Pong", "Qbert"])["value"].tolist() == pytest.approx([0.7])


def test_without_a_common_task_there_is_nothing_to_compare():
    results = pd.DataFrame([row("Pong", "glamor", 0, 0.5), row("Qbert", "gcsl", 0, 0.5)])
    assert complete_scores(results) == ({}, [])
    assert complete_scores(results.assign(state="failed")) == ({}, [])


def test_a_curve_over_seeds_ends_where_the_slowest_run_is():
    curves = pd.DataFrame(
        [point("Pong", "glamor", 0, step, step / 100) for step in (10, 20, 30)]
        + [point("Pong", "glamor", 1, step, step / 50) for step in (10, 20)]
    )
    estimates = curve_estimates(curves, ["Pong"])
    assert estimates["step"].tolist() == [10, 20]
    assert estimates["value"].tolist() == pytest.approx([0.15, 0.3])
    assert (estimates["low"] <= estimates["value"]).all()


def test_of_a_single_run_the_interval_is_that_of_its_episodes():
    estimates = curve_estimates(pd.DataFrame([point("Pong", "glamor", 0, 10, 0.5)]), ["Pong"])
    assert estimates.loc[0, ["low", "high"]].tolist() == pytest.approx(wilson_interval(15, 30))


def test_an_agent_that_does_not_learn_is_a_level():
    curves = pd.DataFrame(
        [point("Pong", "random", 0, 0, 0.1)]
        + [point("Pong", "glamor", 0, step, 0.5) for step in (10, 20)]
    )
    level = curve_estimates(curves, ["Pong"]).query("agent == 'random'")
    assert level[["step", "value"]].to_numpy().tolist() == [[0, 0.1], [20, 0.1]]


@pytest.mark.filterwarnings("error")
def test_runs_that_ended_at_different_steps_meet_at_the_fewest():
    curves = pd.DataFrame(
        [point("Pong", "gcsl", seed, 11 - seed, 0.2 + 0.2 * seed) for seed in (0, 1)]
        + [point("Pong", "glamor", 0, step, step / 100) for step in (10, 20, 30, 37)]
        + [point("Pong", "glamor", 1, step, step / 100) for step in (10, 20, 23)]
    )
    estimates = curve_estimates(curves, ["Pong"])
    found = [(row.agent, row.step, row.value, row.steps_differ) for row in estimates.itertuples()]
    assert found == [
        ("gcsl", 10, pytest.approx(0.3), True),
        ("glamor", 10, pytest.approx(0.1), False),
        ("glamor", 20, pytest.approx(0.2), False),
        ("glamor", 23, pytest.approx(0.3), True),
    ]


@pytest.mark.filterwarnings("error")
def test_runs_without_a_seed_in_common_have_no_curve():
    curves = pd.DataFrame(
        [point("Pong", "gcsl", 0, 10, 0.5), point("Qbert", "gcsl", 1, 10, 0.5)]
        + [point(task, "glamor", 0, 10, 0.5) for task in ("Pong", "Qbert")]
    )
    estimates = curve_estimates(curves, ["Pong", "Qbert"])
    assert estimates[["agent", "step", "value"]].to_numpy().tolist() == [["glamor", 10, 0.5]]


def test_an_algorithm_that_lacks_a_task_has_no_curve_over_both():
    curves = pd.DataFrame(
        [point(task, "glamor", 0, 10, 0.5) for task in ("Pong", "Qbert")]
        + [point("Pong", "gcsl", 0, 10, 0.5)]
    )
    assert set(curve_estimates(curves, ["Pong", "Qbert"])["agent"]) == {"glamor"}
