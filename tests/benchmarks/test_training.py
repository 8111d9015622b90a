from __future__ import annotations

import time
from dataclasses import replace

import pytest

from benchmarks.training import ROUND, SETTINGS, PhaseClock, PlainTraining, measure

FEW_UPDATES = replace(SETTINGS, batch_size=8, replay_ratio=0.08)


def test_clock_tells_phases_from_the_rest():
    clock = PhaseClock()

    @clock.phase("sample")
    def sample():
        time.sleep(0.01)

    def learn(steps):
        for _ in range(steps):
            sample()
            with clock.phase("update"):
                time.sleep(0.03)
        time.sleep(0.06)

    clock.run(learn, 2)
    shares = clock.shares()
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["collect"] == shares["plan"] == 0.0
    assert shares["sample"] == pytest.approx(0.02 / 0.14, abs=0.05)
    assert shares["update"] == pytest.approx(0.06 / 0.14, abs=0.1)
    assert clock.rate == pytest.approx(2 / 0.14, rel=0.3)
    assert "steps/s" in str(clock)


def test_both_loops_do_the_same_work():
    comparison, project, plain = measure(FEW_UPDATES, turns=1)
    for clock in (project, plain):
        assert clock.steps == 2 * ROUND  # the call that does not count, and one turn
        assert all(clock.seconds[phase] > 0 for phase in ("collect", "plan", "sample", "update"))
        assert 0 <= clock.shares()["other"] < 0.5
    assert comparison.fast_ms > 0
    assert comparison.ratio == pytest.approx(comparison.plain_ms / comparison.fast_ms)
    assert comparison.note.count("steps/s") == 2


def test_plain_loop_stores_whole_episodes_and_keeps_the_replay_ratio():
    training = PlainTraining(replace(FEW_UPDATES, learning_starts=100, replay_ratio=0.16))
    assert training.n_updates == 0
    assert [len(episode) for episode in training.replay.trajectories] == [50, 50]
    training.learn(100)
    assert training.n_updates == 2  # 100 steps · 0.16 / 8
    episode = training.replay.trajectories[-1]
    assert episode.achieved.shape == (51, 1, 80, 104)
    assert 0 <= episode.actions.min() <= episode.actions.max() < training.n_actions
    training.close()
