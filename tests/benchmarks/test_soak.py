from __future__ import annotations

import json
import mmap
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmarks.soak import ALLOWED_GROWTH, PROC, Record, judge, main, resident_bytes, soak

needs_proc = pytest.mark.skipif(not PROC.is_dir(), reason="memory is read from /proc")


@pytest.fixture
def records() -> list[Record]:
    """A steady run of 50 records whose speed goes up and down by 2 %."""
    return [
        Record(
            step=10_000 * index,
            steps_per_second=1.0,  # of no account: neighbours have a part in it
            steps_per_cpu_second=1000.0 + 20.0 * (-1) ** index,
            resident=400_000_000 + 1_000 * (index % 3),
            buffer=8_000_000,
            files=6,
            threads=3,
        )
        for index in range(1, 51)
    ]


def test_a_steady_run_is_found_steady(records):
    verdict = judge(records)
    assert verdict.is_as_fast
    assert verdict.is_as_small
    assert "no slower, within the noise" in str(verdict)
    assert "no growth" in str(verdict)


@pytest.mark.parametrize(("slope", "steady"), [(0.02, True), (0.2, False)])
def test_a_run_that_slows_down_is_found_out(records, slope, steady):
    slowing = [
        replace(record, steps_per_cpu_second=record.steps_per_cpu_second * (1 - slope * index / 50))
        for index, record in enumerate(records)
    ]
    assert judge(slowing).is_as_fast is steady


def test_noise_is_what_the_records_themselves_show(records):
    rng = np.random.default_rng(0)
    noisy = [replace(r, steps_per_cpu_second=float(rng.normal(1000, 200))) for r in records]
    verdict = judge(noisy)
    assert verdict.noise > 200
    assert verdict.is_as_fast


@pytest.mark.parametrize(("leak", "small"), [(ALLOWED_GROWTH // 100, True), (1_000_000, False)])
def test_a_leak_is_found_out(records, leak, small):
    leaking = [replace(r, resident=r.resident + leak * i) for i, r in enumerate(records)]
    assert judge(leaking).is_as_small is small


def test_what_the_buffer_takes_is_no_leak(records):
    filling = [
        replace(r, resident=r.resident + 2**20 * i, buffer=r.buffer + 2**20 * i)
        for i, r in enumerate(records)
    ]
    assert judge(filling).is_as_small


@pytest.mark.parametrize("field", ["files", "threads"])
def test_one_more_file_or_thread_at_the_end_is_growth(records, field):
    records[-1] = replace(records[-1], **{field: getattr(records[-1], field) + 1})
    verdict = judge(records)
    assert not verdict.is_as_small
    assert "it grew" in str(verdict)


@needs_proc
def test_resident_memory_follows_what_is_taken():
    before = resident_bytes()
    with mmap.mmap(-1, 2**25) as taken:  # pages that no allocator had before
        taken.write(b"x" * 2**25)
        assert 2**24 < resident_bytes() - before < 2**27


@needs_proc
def test_a_short_run_is_recorded_in_full(tmp_path):
    main(2_000, tmp_path, every=100, buffer=100, n_envs=2)
    table = pd.read_csv(tmp_path / "soak.csv")
    assert table["step"].tolist() == list(range(100, 2_001, 100))
    assert (table[["steps_per_second", "steps_per_cpu_second"]] > 0).all(axis=None)
    record = json.loads((tmp_path / "soak.json").read_text())
    assert record["new_threads"] == table["threads"].iloc[-1] - table["threads"].iloc[2]
    assert table["buffer"].iloc[2:].nunique() == 1  # full, and no larger than that
    assert (table["threads"] >= 1).all()
    for suffix in ("png", "svg"):
        assert (tmp_path / f"soak.{suffix}").stat().st_size > 1_000


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"steps": 1_900}, "steps must be 20"),
        ({"every": 1}, "every n_envs or more"),
        ({"buffer": 101}, "buffer must be full"),
    ],
)
def test_a_run_too_short_to_judge_is_refused(change, named):
    sound = {"steps": 2_000, "every": 100, "buffer": 100, "n_envs": 2, "seed": 0}
    with pytest.raises(ValueError, match=named):
        soak(**{**sound, **change})
