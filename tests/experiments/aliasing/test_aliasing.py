from __future__ import annotations

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest

from glamor_gym.cli import main
from glamor_gym.experiments.aliasing import measurement
from glamor_gym.experiments.aliasing.measurement import (
    count_aliases,
    measure_aliasing,
    picture_numbers,
)
from glamor_gym.experiments.aliasing.report import aliasing_table
from glamor_gym.tasks import get_task

RNG = np.random.default_rng(0)


def test_equal_frames_and_only_they_are_one_picture():
    frames = RNG.integers(0, 256, (600, 8, 9), dtype=np.uint8)
    frames[300] = frames[5]
    frames[599] = frames[5]
    frames[301] = frames[6]
    frames[301, 7, 8] ^= 128  # one bit of one pixel
    numbers = picture_numbers(frames)
    assert numbers[[300, 599]].tolist() == [5, 5]
    assert set(numbers) == set(range(598))


def test_equal_vectors_are_one_picture_too():
    vectors = np.eye(5, dtype=np.float32)[[0, 1, 2, 1]]
    assert picture_numbers(vectors).tolist() == [0, 1, 2, 1]


def test_aliases_are_counted_as_by_hand():
    pictures = np.array([0, 0, 0, 1, 1, 2])
    labels = np.array([[0, 5], [0, 5], [3, 5], [7, 7], [7, 7.5], [9, 9]], float)
    counts = count_aliases(pictures, labels, tolerances=np.array([2.0, 1.0]))
    assert counts.pictures == 3
    assert counts.aliased.tolist() == [True, True, True, True, True, False]
    # 3 is beyond the tolerance of the first label, 0.5 within that of the second.
    assert counts.ambiguous.tolist() == [True, True, True, False, False, False]
    assert counts.disagreement.tolist() == [1.5, 1.5, 1.5, 0.5, 0.5, 0.0]
    # Of four pairs with one picture, the first two moments alone agree.
    assert counts.pairs_differ == pytest.approx(3 / 4)


def test_counts_agree_with_a_plain_loop():
    pictures = RNG.integers(0, 40, 300)
    labels = RNG.integers(0, 3, (300, 2)).astype(float)
    tolerances = np.array([2.0, 1.5])  # of the first label, some differ by just this
    counts = count_aliases(pictures, labels, tolerances)
    differ = total = 0
    for i in range(300):
        others = [labels[j] for j in range(300) if pictures[j] == pictures[i] and j != i]
        assert counts.aliased[i] == any((other != labels[i]).any() for other in others)
        far = any((np.abs(other - labels[i]) >= tolerances).any() for other in others)
        assert counts.ambiguous[i] == far
        differ += sum((other != labels[i]).any() for other in others)
        total += len(others)
    assert counts.pairs_differ == pytest.approx(differ / total)


def test_pictures_that_never_come_twice_have_no_pairs():
    counts = count_aliases(np.arange(3), np.zeros((3, 1)), np.ones(1))
    assert math.isnan(counts.pairs_differ)
    assert not counts.aliased.any()


def test_a_room_whose_picture_is_its_state_hides_nothing():
    found = measure_aliasing(get_task("GridWorld"), episodes=40, episodes_per_goal=1)
    assert found.frames == 400
    assert found.pictures <= 49
    assert found.full_length == 40
    assert found.aliased == found.ambiguous == found.pairs_differ == 0
    assert found.example is None
    assert found.noop.rate == 0
    assert found.noop.of == 30
    assert found.lag_ceiling_goals.rate == 1.0


def test_a_game_without_a_ball_in_sight_hides_where_it_is(monkeypatch):
    # One console soon knows how to seed itself; ten would each load the game again for a while.
    monkeypatch.setattr(measurement, "Arena", partial(measurement.Arena, n_envs=1))
    found = measure_aliasing(get_task("Breakout"), episodes=12, episodes_per_goal=1)
    assert 0 < found.ambiguous <= found.aliased < 1
    assert found.full_length < found.episodes
    assert found.frames < 12 * 50
    assert found.example.picture.shape == (80, 104)
    assert found.example.times >= 2
    assert any(found.example.low[name] < high for name, high in found.example.high.items())
    row = aliasing_table([found]).iloc[0]
    assert row["aliased"] == pytest.approx(found.aliased)
    # Its moments depend on each other, unlike the episodes of the random agent.
    assert "aliased_low" not in row
    assert row["random_low"] <= row["random"] < row["random_high"]


def test_the_same_seed_counts_the_same():
    task = get_task("GridWorld")
    assert measure_aliasing(task, episodes=5, seed=3) == measure_aliasing(task, episodes=5, seed=3)


def test_the_command_writes_table_picture_and_page(tmp_path, capsys):
    words = ["goals", "report", "GridWorld", "--episodes", "20", "--episodes-per-goal", "1"]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--out", str(tmp_path)])
    assert ended.value.code == 0
    assert "0.0% of 200 moments aliased" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "aliasing.csv")
    assert table["task"].tolist() == ["GridWorld"]
    for suffix in (".png", ".svg"):
        assert (tmp_path / f"aliasing{suffix}").stat().st_size > 1000
    page = (tmp_path / "aliasing.html").read_text()
    assert "glamor-gym goals report GridWorld" in page
    assert "http" not in page.replace("http://www.w3.org", "")
