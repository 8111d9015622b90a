from __future__ import annotations

import importlib
import inspect
import json
import sys
from functools import partial

import pytest
import torch
import tyro

from benchmarks import collection, gridworld, planner, replay, run, update
from benchmarks.machine import processor_model
from benchmarks.timing import Comparison, compare
from glamor_gym.planners import plan


def row(name: str, ratio: float) -> Comparison:
    return Comparison(name, "a loop", 2.0, 2.0 * ratio, ratio, ratio - 1, ratio + 1, 3.0, "checked")


@pytest.fixture
def stand_ins(monkeypatch):
    """Let two benchmarks give known rows; the second row falls short of its target."""
    monkeypatch.setattr(planner, "run", lambda: iter([row("plan", 4.0)]))
    monkeypatch.setattr(replay, "run", lambda: iter([row("sample", 2.5)]))


@pytest.mark.usefixtures("stand_ins")
def test_results_are_kept_as_json_and_markdown(tmp_path, monkeypatch):
    words = ["-m", "benchmarks.run", "planner", "replay", "--output", "my results"]
    monkeypatch.setattr(sys, "orig_argv", ["/somewhere/bin/python3", *words])
    assert run.main(("planner", "replay"), tmp_path / "new") == 1
    record = json.loads((tmp_path / "new" / "benchmarks.json").read_text())
    assert [(kept["name"], kept["ratio"]) for kept in record["rows"]] == [
        ("plan", 4.0),
        ("sample", 2.5),
    ]
    assert record["rows"][0]["note"] == "checked"
    command = "python -m benchmarks.run planner replay --output 'my results'"
    assert record["machine"]["command"] == command
    assert record["machine"]["processor"]
    assert record["machine"]["cores"] >= 1
    assert record["machine"]["threads"] >= 1
    lines = (tmp_path / "new" / "benchmarks.md").read_text().splitlines()
    assert lines[2] == "| plan | a loop | 2 | 8 | 4.0× | 3.0–5.0 | 3× |"
    assert lines[3].startswith("| sample | ")
    assert any(line.startswith("processor: ") for line in lines[4:])


@pytest.mark.usefixtures("stand_ins")
def test_targets_that_were_met_give_exit_code_0(tmp_path):
    assert tyro.cli(run.main, args=["planner", "--output", str(tmp_path)]) == 0


def test_an_unknown_name_is_refused_with_those_that_exist(capsys):
    with pytest.raises(SystemExit) as exit_:
        tyro.cli(run.main, args=["nonsense"])
    assert exit_.value.code == 2
    assert "training" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(capsys, tmp_path):
    output = tmp_path / "none"
    assert tyro.cli(run.main, args=["--device", "cuda", "--output", str(output)]) == 2
    assert "cuda" in capsys.readouterr().out
    assert not output.exists()


@pytest.mark.usefixtures("stand_ins")
def test_on_a_gpu_what_runs_there_is_run_and_kept_apart(monkeypatch, tmp_path):
    devices = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"a {device} device")
    monkeypatch.setattr(
        planner, "run", lambda device: devices.append(device) or iter([row("plan", 4.0)])
    )
    assert run.main(("planner", "replay"), tmp_path, device="cuda") == 0
    assert devices == ["cuda"]
    record = json.loads((tmp_path / "cuda" / "benchmarks.json").read_text())
    assert [kept["name"] for kept in record["rows"]] == ["plan"]
    assert record["machine"]["gpu"] == "a cuda device"


def test_what_has_no_benchmark_on_a_gpu_replaces_no_results(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert run.main(("acting",), tmp_path, device="cuda") == 2
    assert "only planner and update run on cuda" in capsys.readouterr().out
    assert not (tmp_path / "cuda").exists()


@torch.inference_mode()
def test_a_devices_own_planner_is_held_against_the_plain_path():
    result = planner.compare_on_device(plan, "cpu", n_rows=2, horizon=3)
    assert result.fast_ms > 0
    assert "differ by 0.0e+00" in result.note
    assert "wanted: 2 ms" in result.note


def test_every_name_is_a_benchmark():
    for name in run.NAMES:
        module = importlib.import_module(f"benchmarks.{name}")
        assert callable(module.run)


@pytest.mark.parametrize("name", ["checkpoints", "kills", "roofline", "run", "scaling", "soak"])
def test_results_go_to_their_folder_if_no_other_is_named(name):
    main = importlib.import_module(f"benchmarks.{name}").main
    assert inspect.signature(main).parameters["output"].default.is_relative_to("results")


def test_processor_is_read_from_linux_or_asked_of_python(tmp_path):
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nmodel name\t: Quick: 9000\nmodel name\t: Other\n")
    assert processor_model(file) == "Quick: 9000"
    assert processor_model(tmp_path / "missing")


@pytest.fixture
def briefly(monkeypatch, small_replay):
    """Time each side twice in few environments, and look at GridWorld's agents early."""
    for module in (planner, replay, update, collection):
        monkeypatch.setattr(
            module,
            "compare",
            lambda *what, **how: compare(*what, **{**how, "turns": 2, "fast_repeats": 1}),
        )
    monkeypatch.setattr(collection, "N_ENVS", 2)
    monkeypatch.setattr(gridworld, "train", partial(gridworld.train, every=40))


@pytest.mark.usefixtures("briefly")
@pytest.mark.parametrize(
    ("rows", "number"),
    [
        pytest.param(lambda: planner.run(horizon=2), 3, id="planner"),
        pytest.param(lambda: replay.run(n_frames=510), 2, id="replay"),
        pytest.param(lambda: update.run(batch_size=2), 2, id="update"),
        pytest.param(lambda: collection.run(n_steps=16), 3, id="collection"),
        pytest.param(lambda: gridworld.run(seeds=(0,), wanted=0.0), 1, id="gridworld"),
    ],
)
def test_benchmarks_run(rows, number):
    comparisons = list(rows())
    assert len(comparisons) == number
    for comparison in comparisons:
        assert comparison.fast_ms > 0
        assert comparison.plain_ms > 0
        assert comparison.low <= comparison.ratio <= comparison.high
