"""Operations and bytes against hand counts; the command's files."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks import roofline
from benchmarks.roofline import Peaks, Work, count, main


def test_operations_and_bytes_are_a_hand_count():
    a, b = torch.randn(3, 5), torch.randn(5, 7)
    operations, n_bytes = count(lambda: (a @ b).t())
    assert operations == pytest.approx(2e-9 * 3 * 5 * 7)
    assert n_bytes == pytest.approx(4e-9 * (3 * 5 + 5 * 7 + 3 * 7))


def test_the_roof_is_the_lower_of_both_peaks():
    peaks = Peaks(gflops=100.0, bandwidth=20.0, precision="float32")
    assert [peaks.attainable(x) for x in (1.0, 5.0, 50.0)] == [20.0, 100.0, 100.0]


def test_rates_are_of_a_second():
    work = Work("conv", ms=2.0, gflop=0.4, gbytes=0.1)
    assert (work.gflops, work.bandwidth, work.intensity) == pytest.approx((200.0, 50.0, 4.0))


def test_table_picture_and_numbers_are_written(tmp_path, monkeypatch):
    monkeypatch.setitem(roofline.PEAK_SIZES, "cpu", (64, 1))
    assert main(tmp_path, batch_size=2, repeats=1) == 0
    record = json.loads((tmp_path / "roofline.json").read_text())
    rows = {row["name"]: row for row in record["rows"]}
    assert list(rows)[:2] == ["update", "forward pass"]
    assert {"Conv2d", "MaxPool2d", "GroupNorm", "Linear", "Normalise"} <= set(rows)
    # The update repeats the forward pass, and its gradients take up to twice as much again.
    assert 2.0 < rows["update"]["gflop"] / rows["forward pass"]["gflop"] < 3.1
    # The residual trunk's products by hand, for two pictures of 4 channels and two of 1.
    stages = [(16, 80 * 104, 40 * 52, 16), (32, 40 * 52, 20 * 26, 16), (32, 20 * 26, 10 * 13, 32)]
    products = 0
    for first_channels in (4, 1):
        for stage, (width, before, after, channels) in enumerate(stages):
            channels_in = first_channels if stage == 0 else channels
            products += 9 * width * (channels_in * before + 4 * width * after)
    assert rows["Conv2d"]["gflop"] == pytest.approx(2 * 2 * products / 1e9, rel=1e-6)
    assert (tmp_path / "roofline.png").read_bytes().startswith(b"\x89PNG")
    assert "| update |" in (tmp_path / "roofline.md").read_text()


@pytest.mark.parametrize("bad", [{"repeats": 0}, {"batch_size": 0}])
def test_numbers_out_of_range_are_refused(tmp_path, bad):
    with pytest.raises(ValueError, match=f"{next(iter(bad))} must be 1 or more"):
        main(tmp_path, **bad)
