from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from benchmarks import training
from benchmarks.training import HORIZON, SETTINGS, PhaseClock, PlainTraining, measure

LITTLE = replace(SETTINGS, batch_size=8, replay_ratio=0.08, n_trials=5)


def test_clock_tells_phases_from_the_rest(monkeypatch):
    now = 0.0
    monkeypatch.setattr(training, "time", SimpleNamespace(perf_counter=lambda: now))
    clock = PhaseClock()

    def work(seconds):
        nonlocal now
        now += seconds

    sample = clock.phase("sample")(work)

    def learn(steps):
        for _ in range(steps):
            sample(1.0)
            with clock.phase("update"):
                work(2.0)
        work(4.0)

    clock.run(learn, 2)
    clock.run(learn, 2)
    assert clock.shares() == pytest.approx(
        {"collect": 0.0, "plan": 0.0, "sample": 0.2, "update": 0.4, "other": 0.4}
    )
    assert clock.rate == pytest.approx(4 / 20)
    assert "update 40.0%" in str(clock)


def test_both_loops_do_the_same_work(monkeypatch):
    steps = 2 * HORIZON
    monkeypatch.setattr(training, "N_ENVS", 2)
    monkeypatch.setattr(training, "ROUND", steps)
    settings = replace(LITTLE, learning_starts=steps)
    comparison, project, plain = measure(settings, turns=1, encoder="tiny")
    for clock in (project, plain):
        assert clock.steps == 2 * steps  # the call that does not count, and one turn
        assert all(clock.seconds[phase] > 0 for phase in ("collect", "plan", "sample", "update"))
        assert 0 <= clock.shares()["other"] < 0.5
    assert comparison.fast_ms > 0
    assert comparison.ratio == pytest.approx(comparison.plain_ms / comparison.fast_ms)
    assert comparison.note.count("steps/s") == 2


def test_plain_loop_stores_whole_episodes_and_keeps_the_replay_ratio():
    settings = replace(LITTLE, learning_starts=100, replay_ratio=0.16)
    plain = PlainTraining(settings, encoder="tiny")
    assert plain.n_updates == 0
    assert [len(episode) for episode in plain.replay.trajectories] == [50, 50]
    plain.learn(100)
    assert plain.n_updates == 2  # 100 steps · 0.16 / 8
    episode = plain.replay.trajectories[-1]
    assert episode.achieved.shape == (51, 1, 80, 104)
    assert 0 <= episode.actions.min() <= episode.actions.max() < plain.n_actions
    plain.close()
