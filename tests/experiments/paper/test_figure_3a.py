"""What counts as reached, and as reached by a shortest path."""

from __future__ import annotations

import pandas as pd
import pytest

from glamor_gym.evaluation.rollout import Episode, EpisodeKey
from glamor_gym.experiments.paper import figure_3a
from glamor_gym.experiments.paper.figure_3a import TRIALS, collect, compare, draw
from glamor_gym.experiments.paper.reproduction import Scale
from glamor_gym.experiments.paper.workshop import Workshop


def episode(success, arrival, length, goal=(5, 3)):
    start = {"x": 3.0, "y": 3.0}
    goal_labels = {"x": float(goal[0]), "y": float(goal[1])}
    key = EpisodeKey(0, 0)
    return Episode(key, success, arrival, success, length, start, start, goal_labels, None)


@pytest.mark.parametrize(
    ("played", "reached", "optimal", "stopped"),
    [
        (episode(True, 2, 2), 1, 1, 1),  # two moves to a goal two cells away
        (episode(True, 2, 3), 1, 1, 0),  # a push against the wall before it stops
        (episode(True, 4, 4), 1, 0, 0),  # a detour
        (episode(False, 2, 10), 0, 0, 0),  # came by, and went on
        (episode(False, None, 2), 0, 0, 0),  # stopped elsewhere
        (episode(False, None, 10), 0, 0, 0),
        (episode(True, 0, 2, goal=(3, 3)), 1, 1, 0),  # the start: away and back
    ],
)
def test_an_episode_counts_as_it_went(played, reached, optimal, stopped):
    outcome = figure_3a._outcome(played)
    assert (outcome["reached"], outcome["optimal"], outcome["stopped"]) == (
        reached,
        optimal,
        stopped,
    )


def rows_of(rates, seeds=3):
    """Every goal with the same rates: trials → (reached, optimal), of 100 episodes of each seed."""
    return pd.DataFrame(
        [
            {"seed": seed, "step": step, "trials": trials, "x": x, "y": y, "episodes": 100}
            | {"reached": reached, "optimal": optimal, "stopped": optimal}
            for seed in range(seeds)
            for step in (1000, 2000)
            for trials, (reached, optimal) in rates.items()
            for x in range(7)
            for y in range(7)
        ]
    )


RISING = dict(
    zip(TRIALS, [(50, 10), (60, 20), (80, 50), (90, 70), (98, 90), (99, 98)], strict=True)
)


def verdicts_on(rows):
    """Whether each statement agrees: rising, the rate at the end, and both again; and stopping."""
    return [comparison.agrees for comparison in compare(rows)]


def test_rates_that_rise_agree_with_the_paper():
    assert verdicts_on(rows_of(RISING)) == ["yes", "", "yes", "", ""]


def test_rates_that_fall_do_not():
    falling = dict(zip(TRIALS, reversed(RISING.values()), strict=True))
    assert verdicts_on(rows_of(falling)) == ["no", "", "no", "", ""]


def test_rates_are_those_at_the_end_of_training():
    rows = rows_of(RISING)
    rows.loc[rows["step"] == 1000, ["reached", "optimal"]] = 0
    reached = compare(rows)[0]
    assert reached.ours == "0.500 → 0.600 → 0.800 → 0.900 → 0.980 → 0.990"


def test_few_seeds_or_seeds_that_disagree_decide_nothing():
    undecided = ["undecided", "", "undecided", "", ""]
    assert verdicts_on(rows_of(RISING, seeds=1)) == undecided
    assert verdicts_on(rows_of(RISING, seeds=2)) == undecided
    rows = rows_of(RISING)
    rows.loc[(rows["seed"] == 1) & (rows["trials"] == TRIALS[0]), ["reached", "optimal"]] -= 5
    of_one = (rows["seed"] == 0) & (rows["trials"] == TRIALS[-1])
    rows.loc[of_one, ["reached", "optimal"]] = 0
    assert verdicts_on(rows) == undecided


def test_the_agent_of_each_seed_is_compared_with_itself():
    rows = rows_of({trials: (50 + 10 * (trials > 1), 50 + 10 * (trials > 1)) for trials in TRIALS})
    for column in ("reached", "optimal"):
        rows[column] += 15 * (rows["seed"] - 1)  # which is more than the trials bring
    assert verdicts_on(rows) == ["yes", "", "yes", "", ""]


def test_the_maps_show_the_rate_of_each_goal():
    rows = rows_of(RISING)
    rows.loc[(rows["x"] == 6) & (rows["y"] == 0), "reached"] = 0
    figure = draw(rows)
    first_map = figure.axes[0].images[0].get_array()
    assert first_map.shape == (7, 7)
    assert first_map[0, 6] == 0.0  # top right
    assert first_map[6, 0] == 0.5


def test_it_goes_through_from_training_to_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(figure_3a, "TRIALS", (1, 3))
    scale = Scale(
        ("GridWorld",),
        steps=60,
        preset="small",
        settings={"learning_starts": 20, "policy_kwargs": {"embedding_size": 16}},
        looks=2,
        n_envs=2,
    )
    rows = collect(scale, Workshop(tmp_path, command="", device="cpu"))
    assert len(rows) == 2 * 2 * 49
    assert rows.groupby(["step", "trials"]).size().to_dict() == {
        (step, trials): 49 for step in (30, 60) for trials in (1, 3)
    }
    assert (rows["episodes"] == 1).all()
    assert (rows["optimal"] <= rows["reached"]).all()
    assert len(draw(rows).axes[0].images) == 1
