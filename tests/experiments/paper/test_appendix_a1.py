"""The dice: an exact recursion, its measured path, and GLAMOR's ratio."""

from __future__ import annotations

import math
from unittest.mock import Mock

import gymnasium as gym
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from glamor_gym.agents import GCSLAgent, GlamorAgent
from glamor_gym.envs.dice import LOADED
from glamor_gym.experiments.paper import Workshop, appendix_a1
from glamor_gym.experiments.paper.appendix_a1 import (
    chosen_dice,
    cloned_path,
    compare,
    counted_path,
    exact_path,
    ratio_at_one,
)


def test_the_exact_path_is_the_one_worked_out_by_hand():
    path = exact_path(40)
    # ½ / (½ + ½·⅙) = 6/7; then p(loaded) = 1/7, (1/7) / (1/7 + 6/7·⅙) = ½; then
    # p(loaded) = 1/12, (1/12) / (1/12 + 11/12·⅙) = 6/17.
    assert path[:4, 0] == pytest.approx([1 / 2, 6 / 7, 1 / 2, 6 / 17])
    assert path[[5, 10, 40], 0] == pytest.approx([0.222, 0.115, 0.030], abs=5e-4)
    assert (path[1:, 1:] == 0).all()  # at every other face the fair die is right at once


def test_odds_follow_the_closed_form():
    # At goal 1, p(1 | loaded) : p(1 | fair) = 6 : 1; the loaded die is taken for goal 1 alone,
    # a sixth of the goals. So odds' = 6 q / (1 − q) with q = π / 6.
    path = exact_path(10)[:, 0]
    q = path[1:-1] / 6
    odds = 6 * q / (1 - q)
    assert_allclose(path[2:], odds / (1 + odds), rtol=1e-12)


def test_counted_rolls_follow_the_recursion_within_their_error():
    seeds, iterations, rolls = 8, 6, 3_000
    paths = np.stack([counted_path(iterations, rolls, seed)[:, 0] for seed in range(seeds)])
    error = paths[:, 1:].std(axis=0, ddof=1) / math.sqrt(seeds)
    assert (error > 0).all()
    assert_allclose((paths.mean(axis=0) - exact_path(iterations)[:, 0])[1:] / error, 0, atol=4)


def test_the_agent_of_gcsl_walks_away_from_the_right_die():
    path = cloned_path(3, 3_000, seed=0)
    assert_allclose(path[:, 0], exact_path(3)[:, 0], atol=0.06)
    assert path[1, 0] > 0.5 > path[3, 0]
    assert (path[1:, 1:] < 0.02).all()  # where the loaded die cannot win it is never taken


def test_the_agent_of_gcsl_learns_on_the_device_asked_for(tmp_path, monkeypatch):
    made = Mock(wraps=GCSLAgent)
    for name, value in {"GCSLAgent": made, "ITERATIONS": 2, "UPDATES": 1, "VARIANTS": ()}.items():
        monkeypatch.setattr(appendix_a1, name, value)
    scale = appendix_a1.REPRODUCTION.quick.but(steps=20, seeds=(0,))
    appendix_a1.collect(scale, Workshop(tmp_path, command="", device="cpu"))
    assert made.call_args.kwargs["device"] == "cpu"


def test_the_ratio_is_what_the_planner_sees():
    env = gym.make("glamor/Dice-v0", goals="all")
    agent = GlamorAgent(
        env, learning_starts=20, replay_ratio=20.0, batch_size=50, seed=1, device="cpu",
        policy_kwargs={"embedding_size": 32, "token_size": 16},
    ).learn(300)  # fmt: skip
    observation = {
        "observation": np.zeros((1, 6), np.float32),
        "desired_goal": np.eye(6, dtype=np.float32)[:1],
        "steps_left": np.ones((1, 1), np.float32),
    }
    # With hundreds of trials both plans there are have been tried; the better one has won.
    plan = agent.plan(observation, n_trials=500)
    ratio = ratio_at_one(agent)
    assert (ratio > 1) == (plan.tokens[0, 0].item() == LOADED)
    assert (chosen_dice(agent)[0] == LOADED) == (ratio > 1)


def rows_of(path, ratio, right):
    gcsl = [
        pd.DataFrame(
            {"agent": name, "seed": seed, "iteration": range(41), "measured": path + noise}
        ).assign(exact=exact_path(40)[:, 0])
        for name in ("GCSL, counted", "GCSL agent")
        for seed, noise in enumerate((-0.001, 0.0, 0.001))
    ]
    glamor = pd.DataFrame([{"agent": "GLAMOR", "seed": 0, "ratio": ratio, "right_dice": right}])
    return pd.concat([*gcsl, glamor], ignore_index=True)


def test_the_right_outcome_agrees():
    # The standard error of −0.001, 0 and 0.001 is 0.000577. With two degrees of freedom, 19.2 of
    # them (0.01109) are as rare as three of a normal distribution; 15 % of six are 0.9.
    rows = rows_of(exact_path(40)[:, 0] + 0.0110, 6.89, 6)
    assert {comparison.agrees for comparison in compare(rows)} == {"yes"}


def test_one_seed_does_not_decide_how_far_the_path_is_off():
    rows = rows_of(exact_path(40)[:, 0], 6.2, 6)
    verdicts = {row.statement: row.agrees for row in compare(rows[rows["seed"] == 0])}
    counted = {agrees for name, agrees in verdicts.items() if "counted: π" in name}
    assert counted == {"undecided"}


@pytest.mark.parametrize(
    ("path", "ratio", "right", "wrong"),
    [
        (exact_path(40)[:, 0] + 0.0111, 6.0, 6, "counted: π"),
        (np.full(41, 0.9), 6.0, 6, "takes the fair die"),
        (exact_path(40)[:, 0], 5.09, 6, "loaded : fair"),
        (exact_path(40)[:, 0], 6.0, 5, "better die"),
    ],
)
def test_a_wrong_outcome_does_not(path, ratio, right, wrong):
    verdicts = {row.statement: row.agrees for row in compare(rows_of(path, ratio, right))}
    assert all(verdict == "no" for name, verdict in verdicts.items() if wrong in name)
    assert any(wrong in name for name in verdicts)
