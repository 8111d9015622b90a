from __future__ import annotations

import errno
import os

import numpy as np
import pandas as pd
import pytest
from stable_baselines3.common.logger import Figure, Logger

from glamor_gym.evaluation.metrics_file import EventFile, MetricsFile, evaluations_in


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.csv"


def log(path, step, resume_at=0, exclude=None, **figures):
    logger = Logger(None, [MetricsFile(path, resume_at)])
    for name, value in figures.items():
        logger.record(name, value, exclude=exclude)
    logger.dump(step)
    logger.close()


def test_a_row_a_dump_and_a_column_a_name(path):
    logger = Logger(None, [MetricsFile(path)])
    logger.record("train/loss", 0.5)
    logger.dump(10)
    logger.record("train/loss", np.float32(0.25))
    logger.record("eval/rate", 1)
    logger.dump(20)
    logger.record("eval/rate", 0.125)
    logger.dump(30)
    table = pd.read_csv(path)
    assert list(table) == ["step", "train/loss", "eval/rate"]
    assert table["step"].tolist() == [10, 20, 30]
    np.testing.assert_array_equal(table["train/loss"], [0.5, 0.25, np.nan])
    np.testing.assert_array_equal(table["eval/rate"], [np.nan, 1, 0.125])


def test_only_numbers_that_are_not_excluded_are_written(path):
    logger = Logger(None, [MetricsFile(path)])
    logger.record("a", 1.0)
    logger.record("b", 2.0, exclude="csv")
    logger.record("c", 3.0, exclude="tensorboard")
    logger.record("d", "text")
    logger.record("e", Figure(None, close=False))
    logger.dump(1)
    assert list(pd.read_csv(path)) == ["step", "a", "c"]


def test_a_resumed_run_goes_on_after_the_step_it_resumes_at(path):
    first = Logger(None, [MetricsFile(path)])
    for step in (10, 20, 30):
        first.record("a", float(step))
        first.dump(step)
    second = Logger(None, [MetricsFile(path, resume_at=20)])
    second.record("b", 1.0)
    second.dump(40)
    table = pd.read_csv(path)
    assert list(table) == ["step", "a", "b"]
    assert table["step"].tolist() == [10, 20, 40]
    np.testing.assert_array_equal(table["a"], [10, 20, np.nan])


def test_a_new_run_starts_an_empty_table(path):
    first = Logger(None, [MetricsFile(path)])
    first.record("a", 1.0)
    first.dump(10)
    MetricsFile(path)
    assert pd.read_csv(path).empty


def test_rows_that_came_after_a_snapshot_can_be_dropped_whatever_their_step(path):
    log(path, 10, a=1.0)
    writer = MetricsFile(path, resume_at=10)
    snapshot = writer.snapshot
    log(path, 10, resume_at=10, a=2.0, b=3.0)
    resumed = MetricsFile(path, resume_at=10)
    assert resumed.snapshot != snapshot
    resumed.snapshot = snapshot
    assert resumed.snapshot == snapshot
    assert pd.read_csv(path)["a"].tolist() == [1.0]


@pytest.mark.parametrize("keep_all", [False, True])
def test_a_snapshot_counts_the_rows_that_were_written(path, keep_all):
    writer = MetricsFile(path, keep_all=keep_all)
    for step in (10, 20):
        writer.write({"a": 1.0}, {"a": ()}, step)
    snapshot = writer.snapshot
    for step in (30, 40, 50):
        writer.write({"a": 2.0}, {"a": ()}, step)
    writer.snapshot = snapshot
    steps = [10, 20, 30, 40, 50] if keep_all else [10, 20]
    assert pd.read_csv(path)["step"].tolist() == steps


def test_a_row_cut_short_by_the_end_of_a_process_is_dropped(path):
    log(path, 10, a=1.0)
    with path.open("a") as file:
        file.write("20,")
    log(path, 30, resume_at=30, a=3.0)
    assert pd.read_csv(path)["step"].tolist() == [10, 30]


@pytest.mark.parametrize("table", ["step,a\nten,1\n", "step,a\n1,2,3\n", "a,b\n1,2\n"])
def test_a_damaged_file_is_named(path, table):
    path.write_text(table)
    with pytest.raises(ValueError, match=f"{path} is damaged"):
        MetricsFile(path, resume_at=1)


def test_a_full_disk_is_told_with_the_name_of_the_file(path, monkeypatch):
    def fail(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    table = MetricsFile(path)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=rf"No space left on device: '{path}'$"):
        table.write({}, {}, step=1)


def test_a_full_disk_is_told_with_the_folder_of_the_event_file(tmp_path, monkeypatch):
    def fail():
        raise OSError(errno.ENOSPC, "No space left on device")

    events = EventFile(str(tmp_path))
    monkeypatch.setattr(events.writer, "flush", fail)
    with pytest.raises(OSError, match=rf"No space left on device: '{tmp_path}'$"):
        events.write({}, {}, step=1)


def test_the_evaluations_of_a_run_are_the_rows_that_have_a_rate():
    metrics = pd.DataFrame(
        {
            "step": [5, 10, 15],
            "train/inverse_loss": [2.0, None, 1.0],
            "eval/success_rate": [None, 0.5, None],
            "eval/success_low": [None, 0.25, None],
            "eval/success_high": [None, 0.75, None],
        }
    )
    only = {"step": [10], "rate": [0.5], "low": [0.25], "high": [0.75]}
    assert evaluations_in(metrics).to_dict("list") == only
    assert evaluations_in(metrics[["step", "train/inverse_loss"]]).empty
    assert evaluations_in(metrics.iloc[:0]).empty
