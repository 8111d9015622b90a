from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from benchmarks import scaling, timing
from benchmarks.scaling import CURVES, main, measure, plans, sampling


def test_times_are_of_a_unit_of_work_and_the_first_call_does_not_count(monkeypatch):
    now = 0.0
    seconds = iter([9.0, 2.0, 1.0, 3.0, 2.0, 5.0, 9.0, 4.0, 4.0, 4.0, 4.0, 4.0])
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: now))

    def work():
        nonlocal now
        now += next(seconds)

    curve = replace(
        CURVES[0],
        name="known",
        sizes=(3, 4),
        workloads=lambda sizes: ((n, work, 2.0) for n in sizes),
    )
    table = measure(curve, repeats=5)
    assert table["curve"].tolist() == ["known", "known"]
    assert table["size"].tolist() == [3, 4]
    assert table["low_ms"].tolist() == [1_000, 2_000]
    assert table["median_ms"].tolist() == [1_000, 2_000]
    assert table["high_ms"].tolist() == [1_500, 2_000]


def test_batches_are_planned_at_once():
    assert [len(work()) for _, work, _ in plans("n_rows", (1, 3))] == [1, 3]


def test_buffer_fills_from_point_to_point():
    stored = []
    for size, sample, _ in sampling((102, 300)):
        replay = sample.func.__self__
        stored.append((size, replay.n_trajectories))
        assert len(sample().length) == 200
    assert stored == [(102, 2), (300, 5)]


def test_table_and_pictures_are_written(tmp_path, monkeypatch):
    small = {"buffer": (102,), "update": (2,)}
    curves = [replace(curve, sizes=small.get(curve.name, curve.sizes[:1])) for curve in CURVES]
    monkeypatch.setattr(scaling, "CURVES", curves)
    monkeypatch.setattr(scaling, "ENV_STEPS", 16)
    assert main(tmp_path, repeats=1) == 0
    record = json.loads((tmp_path / "scaling.json").read_text())
    assert record["machine"]["processor"]
    table = pd.DataFrame(record["rows"])
    assert table["curve"].tolist() == [curve.name for curve in CURVES]
    assert table["size"].tolist() == [curve.sizes[0] for curve in curves]
    assert (table["median_ms"] > 0).all()
    assert (tmp_path / "scaling.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "scaling.svg").read_text()


def test_too_few_repeats_are_refused(tmp_path):
    with pytest.raises(ValueError, match="repeats must be 1 or more"):
        main(tmp_path, repeats=0)
