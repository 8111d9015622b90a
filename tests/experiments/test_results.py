from __future__ import annotations

import dataclasses

import pytest

from glamor_gym.evaluation import RunFolder, result_file
from glamor_gym.experiments.benchmark.record import BenchmarkFolder
from glamor_gym.experiments.benchmark.report import write_benchmark_report
from glamor_gym.experiments.folders import record_command
from glamor_gym.experiments.results import curves_table, results_table
from glamor_gym.experiments.run_config import is_finished
from glamor_gym.experiments.runs import train_run
from glamor_gym.experiments.status import Status, write_status
from tests.experiments.small_runs import player_spec, small_spec


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs")
    learned, played = RunFolder(path / "a"), RunFolder(path / "b")
    train_run(small_spec(n_envs=3), learned, command="", device="cpu")
    train_run(player_spec(), played, command="")
    failed = RunFolder(path / "c")
    failed.path.mkdir()
    status = Status("failed", 1, error="ValueError: no", task="Pong", agent="ppo", seed=2)
    write_status(failed.path, status)
    damaged = RunFolder(path / "d")
    damaged.path.mkdir()
    damaged.config_file.write_text("{")
    return [learned, played, failed, damaged, RunFolder(path / "nothing")]


def test_a_row_a_run(folders):
    table = results_table(folders)
    assert table["agent"].tolist() == ["glamor", "random", "ppo", ""]
    assert table["state"].tolist() == ["finished", "finished", "failed", "failed"]
    assert table["steps"].tolist() == [201, 0, 0, 0]  # three environments take their steps together
    assert table.loc[0, "success_rate"] == folders[0].evaluation().success_rate
    assert table.loc[0, "train_minutes"] == folders[0].config().train_seconds / 60
    assert table.loc[2, ["task", "seed", "error"]].tolist() == ["Pong", 2, "ValueError: no"]
    assert "config.json" in table.loc[3, "error"]
    assert table["episodes"].isna().tolist() == [False, False, True, True]
    assert not table["episodes"].to_csv().count(".")  # counts stay whole beside those missing


def test_a_run_that_is_given_more_steps_is_not_finished(tmp_path):
    folder = RunFolder(tmp_path)
    train_run(player_spec(), folder, command="")
    write_status(tmp_path, Status("finished", 1, task="GridWorld", agent="random"))
    assert results_table([folder])["state"].tolist() == ["finished"]
    folder.write_config(dataclasses.replace(folder.config(), finished=False))
    assert results_table([folder])["state"].tolist() == ["interrupted"]


@pytest.mark.parametrize("state", ["running", "interrupted"])
def test_a_run_that_has_no_files_yet_has_not_failed(tmp_path, state):
    write_status(tmp_path, Status(state, 1, task="Pong", agent="ppo", seed=2))
    [row] = results_table([RunFolder(tmp_path)]).to_dict("records")
    assert (row["state"], row["task"], row["error"]) == (state, "Pong", "")


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("evaluation.json", None, "evaluation.json"),
        ("evaluation.json", "{", "evaluation.json"),
        ("config.json", '"glamr"', "unknown agent 'glamr'"),
        ("metrics.csv", "", "No columns"),
    ],
)
def test_a_run_without_one_of_its_files_has_failed(tmp_path, file, text, told):
    benchmark = BenchmarkFolder(tmp_path)
    record_command(benchmark.record_file, "typed")
    whole, damaged = (RunFolder(benchmark.runs / name) for name in ("a", "b"))
    for folder in (whole, damaged):
        train_run(player_spec(), folder, command="")
    place = damaged.path / file
    if text is None:
        place.unlink()
    elif file == "config.json":
        place.write_text(place.read_text().replace('"algorithm": "random"', f'"algorithm": {text}'))
    else:
        place.write_text(text)
    if file == "evaluation.json":
        assert not is_finished(player_spec(), damaged)
    table = results_table([whole, damaged])
    assert table["state"].tolist() == ["finished", "failed"]
    assert told in table.loc[1, "error"]
    write_benchmark_report(benchmark)
    page = benchmark.report_file.read_text()
    assert '<th scope="row">b</th>' in page


def test_pictures_are_read_only_of_the_runs_whose_films_are_shown(tmp_path, monkeypatch):
    benchmark = BenchmarkFolder(tmp_path)
    record_command(benchmark.record_file, "typed")
    for spec in (player_spec(), player_spec(seed=1)):
        train_run(spec, benchmark.run(spec), command="")
    opened = []
    original = result_file.open_npz
    monkeypatch.setattr(
        result_file,
        "open_npz",
        lambda path, **limits: opened.append(path.parent.name) or original(path, **limits),
    )
    write_benchmark_report(benchmark)
    page = benchmark.report_file.read_text()
    assert opened == ["GridWorld-random-0"]
    assert "GridWorld, goal" in page
    pictures = benchmark.run(player_spec()).evaluation_file.with_suffix(".npz")
    pictures.write_bytes(b"damaged")
    write_benchmark_report(benchmark)
    assert "GridWorld, goal" not in benchmark.report_file.read_text()
    assert results_table(benchmark.run_folders())["state"].tolist() == ["finished", "finished"]


def test_a_row_an_evaluation_at_the_step_that_was_planned(folders):
    table = curves_table(folders[:2])
    # Three environments side by side meet 100 at 102 and 200 at 201.
    assert table.index.tolist() == [0, 1, 2]
    assert table[["agent", "step"]].to_numpy().tolist() == [
        ["glamor", 100],
        ["glamor", 200],
        ["random", 0],
    ]


def test_an_evaluation_that_was_not_late_keeps_its_step(tmp_path):
    folder = RunFolder(tmp_path)
    train_run(small_spec(steps=90, eval_every=60), folder, command="", device="cpu")
    # Ended by the clock, say: 90 is no multiple of 60 and not the end of 300.
    folder.write_config(dataclasses.replace(folder.config(), steps=300))
    assert curves_table([folder])["step"].tolist() == [60, 90]


def test_of_two_evaluations_that_were_planned_for_one_step_the_later_counts(tmp_path):
    folder = RunFolder(tmp_path)
    train_run(player_spec(), folder, command="")
    folder.metrics_file.write_text(
        "step,eval/success_rate,eval/success_low,eval/success_high\n60,0.1,0,1\n90,0.4,0,1\n"
    )
    config = dataclasses.replace(folder.config(), steps=300, eval_every=60)
    for n_envs, points in (
        (30, [[60, 0.1], [90, 0.4]]),
        (31, [[60, 0.4]]),  # 31 environments side by side are up to 30 steps late
    ):
        folder.write_config(dataclasses.replace(config, n_envs=n_envs))
        assert curves_table([folder])[["step", "success_rate"]].to_numpy().tolist() == points


def test_the_last_evaluation_is_at_the_last_step(tmp_path):
    """Of environments side by side, though none was planned for that step."""
    folder = RunFolder(tmp_path)
    train_run(small_spec(steps=80, eval_every=60, n_envs=3), folder, command="", device="cpu")
    assert folder.metrics()["step"].max() == 81
    assert curves_table([folder])["step"].tolist() == [60, 80]


def test_without_runs_tables_are_empty():
    assert results_table([]).empty
    assert curves_table([]).empty
