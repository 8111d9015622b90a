from __future__ import annotations

import dataclasses
import json
import re
import shutil

import pandas as pd
import pytest
from rich.console import Console

from glamor_gym.commands.screen import Screen
from glamor_gym.evaluation import RunFolder
from glamor_gym.experiments import ALGORITHMS, runs
from glamor_gym.experiments.benchmark.record import (
    BenchmarkFolder,
    benchmark_specs,
    check_benchmark,
)
from glamor_gym.experiments.benchmark.report import write_benchmark_report
from glamor_gym.experiments.benchmark.table import benchmark_table
from glamor_gym.experiments.engines import LocalEngine
from glamor_gym.experiments.folders import jobs_to_do, record_command, recorded_commands
from glamor_gym.experiments.results import check_comparable, results_table
from glamor_gym.experiments.run_config import new_config
from glamor_gym.experiments.worker import run_job
from tests.command_line import run
from tests.experiments.small_runs import blank_pages, player_spec

pytestmark = pytest.mark.usefixtures("blank_pages")

SMALL = ["--steps", "120", "--n-envs", "2", "--eval-every", "60", "--episodes-per-goal", "1"]
SMALL += ["--set", "ppo.n_epochs=1"]

PPO = ["benchmark", "--tasks", "Dice", "--agents", "ppo", "--steps", "60", "--n-envs", "2"]
PPO += ["--episodes-per-goal", "1", "--set", "ppo.n_steps=20", "--set", "ppo.batch_size=20"]
PPO += ["--set", "ppo.ent_coef=0.5", "--set", "ppo.n_epochs=1"]


@pytest.fixture(scope="module")
def benchmark_of_one(tmp_path_factory):
    """The words of a benchmark of one run, and its folder."""
    folder = BenchmarkFolder(tmp_path_factory.mktemp("benchmark"))
    settings = {"n_steps": 20, "batch_size": 20, "ent_coef": 0.5, "n_epochs": 1}
    (spec,) = benchmark_specs(
        ["Dice"], ["ppo"], [0], overrides={"ppo": settings},
        steps=60, n_envs=2, episodes_per_goal=1,
    )  # fmt: skip
    (job,) = jobs_to_do([spec], folder, command="")
    with blank_pages():
        run_job(job)
    record_command(folder.record_file, "")
    return PPO, folder.path


def test_specs_are_every_combination_the_first_seed_first():
    specs = benchmark_specs(
        ["Pong", "glamor/Dice-v0"],
        ["glamor", "ppo"],
        [3, 4],
        preset="paper",
        overrides={"glamor": {"n_trials": 7}},
        steps=60_000,
    )
    assert [(spec.task, spec.algorithm, spec.seed) for spec in specs] == [
        (task, agent, seed)
        for seed in (3, 4)
        for task in ("Pong", "Dice")
        for agent in ("glamor", "ppo")
    ]
    assert {(spec.algorithm, spec.preset) for spec in specs} == {("glamor", "paper"), ("ppo", None)}
    assert all(spec.steps == 60_000 for spec in specs)
    assert specs[0].overrides == {"n_trials": 7}
    assert specs[1].overrides == {}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--tasks", "Pnog"], "did you mean Pong?"),
        (["--tasks", "smal"], "did you mean small?"),
        (["--tasks", "xyz"], "known: atari, control, small, Bowling"),
        (["--agents", "glamro"], "did you mean glamor?"),
        (["--seeds", "1", "1"], "seeds must differ, got 1, 1"),
        (["--tasks", "Pong", "glamor/Pong-v0"], "tasks must differ"),
        (
            ["--preset", "papre"],
            "preset must be one of best, best-control, compact, compact-control, paper, small",
        ),
        (["--set", "ppo.gamma=1"], "agent that is run (glamor), got ppo"),
        (["--set", "n_trials=3"], "settings must begin with the name of an agent"),
        (
            ["--set", "glamor=3"],
            "--set must be AGENT.NAME=VALUE, for example glamor.gamma=0.9, got",
        ),
        (["--set", "glamor.n_trails=1"], "did you mean n_trials"),
        (["--set", "glamor.gamma=7"], "gamma must be a finite number"),
        (["--set", "glamor.policy_kwargs.encoder=huge"], "encoder must be one of"),
        (["--steps", "0"], "steps must be an integer ≥ 1"),
        (["--steps", "400"], "learning_starts=500 + batch_size / replay_ratio = 508 steps, got"),
        (["--jobs", "0"], "--jobs must be an integer ≥ 1, got 0"),
        (["--retries", "-1"], "--retries must be an integer ≥ 0, got -1"),
        (["--address", "auto"], "--address applies only to --engine ray"),
        (["--device", "abacus"], "abacus"),
    ],
)
def test_what_cannot_be_benchmarked_is_refused_before_anything_is_written(
    capsys, tmp_path, words, told
):
    given = ["--tasks", "GridWorld"] if "--tasks" not in words else []
    code, out, err = run(capsys, "benchmark", *given, *words, "--out", str(tmp_path / "out"))
    assert (code, out) == (2, "")
    assert told in err
    assert not (tmp_path / "out").exists()


def test_agents_without_the_preset_asked_for_are_named(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(LocalEngine, "run_jobs", lambda *_: None)
    words = ["benchmark", "--agents", "glamor", "gcsl", "ppo", "noop", "--steps", "5e4"]
    words += ["--tasks", "Pong", "pendulum-swingup", "--out", str(tmp_path)]
    _, out, _ = run(capsys, *words, "--preset", "best")
    assert out.startswith(
        "gcsl has no preset best and uses compact and compact-control\n"
        "ppo has no preset best and uses default\n8 runs"
    )
    _, out, _ = run(capsys, *words)
    assert out.startswith("8 runs")


def test_a_benchmark_is_made_once_and_goes_on(capsys, tmp_path, in_process):
    words = ["benchmark", "--tasks", "small", "--agents", "noop", "ppo", *SMALL]
    words += ["--set", "ppo.n_steps=30", "--set", "ppo.batch_size=60", "--out", str(tmp_path)]
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert "4 runs, 0 of them finished" in out
    assert "GridWorld-ppo-0: step 120: " in out
    assert "PPO (labels)" in out
    results = pd.read_csv(tmp_path / "results.csv")
    assert results[["task", "agent"]].to_numpy().tolist() == [
        ["Dice", "noop"],
        ["Dice", "ppo"],
        ["GridWorld", "noop"],
        ["GridWorld", "ppo"],
    ]
    assert set(results["state"]) == {"finished"}
    assert results["steps"].tolist() == [0, 120, 0, 120]
    curves = pd.read_csv(tmp_path / "curves.csv").query("agent == 'ppo'")
    assert curves["step"].tolist() == [60, 120, 60, 120]
    page = (tmp_path / "report.html").read_text()
    assert "glamor-gym benchmark --tasks small" in page
    table = (tmp_path / "table.md").read_text().splitlines()
    assert [line.split(" | ")[:2] for line in table[2:]] == [
        ["| GridWorld", "PPO (labels)"],
        ["| GridWorld", "no-op"],
        ["| Dice", "PPO (labels)"],
        ["| Dice", "no-op"],
    ]

    page_file = tmp_path / "report.html"
    page_file.unlink()
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert "4 runs, 4 of them finished already" in out
    assert len(recorded_commands(tmp_path / "benchmark.json")) == 2
    assert page_file.is_file()

    code, _, err = run(capsys, *words[:-2], "--n-envs", "1", "--out", str(tmp_path))
    assert code == 2
    assert "holds a run with n_envs 2, got 1" in err


def test_classes_of_ones_own_run_beside_the_others(capsys, tmp_path, in_process, monkeypatch):
    own = [f"tests.experiments.own_agents:{name}" for name in ("Variant", "Critic")]
    words = ["benchmark", "--tasks", "GridWorld", "--agents", own[0], "noop", own[1], *SMALL[:-2]]
    small = ("learning_starts=50", "batch_size=20", "policy_kwargs.embedding_size=16")
    words += ["--set", *(f"Variant.{setting}" for setting in small), "Critic.n_steps=30"]
    code, _, _ = run(capsys, *words, "--out", str(tmp_path))
    assert code == 0
    runs_there = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert runs_there == ["GridWorld-Critic-0", "GridWorld-Variant-0", "GridWorld-noop-0"]
    config = RunFolder(tmp_path / "runs" / "GridWorld-Critic-0").config()
    assert (config.algorithm, config.agent) == (own[1], "Critic")
    assert config.settings["n_steps"] == 30

    # A report imports none of them: it may be written where they are not.
    monkeypatch.setattr("glamor_gym.experiments.algorithms._of_class", None)
    code, _, _ = run(capsys, "report", str(tmp_path))
    assert code == 0
    table = (tmp_path / "table.md").read_text().splitlines()[2:]
    assert [line.split(" | ")[1] for line in table] == ["no-op", "Critic", "Variant"]


def test_classes_of_one_name_would_share_their_folders():
    own = [f"{module}:Variant" for module in ("tests.experiments.own_agents", "elsewhere")]
    with pytest.raises(ValueError, match="agents must differ, got Variant, Variant"):
        benchmark_specs(["GridWorld"], own, [0])


def test_runs_of_an_algorithm_in_one_folder_differ_in_task_and_seed_alone(benchmark_of_one, capsys):
    first, folder = benchmark_of_one
    words = [*first, "--set", "ppo.gamma=0.9", "--seeds", "1", "--out", str(folder)]
    code, _, err = run(capsys, *words)
    assert code == 2
    assert "holds a run with gamma None, got 0.9; choose another folder" in err
    assert len(recorded_commands(folder / "benchmark.json")) == 1


@pytest.mark.parametrize(
    ("steps", "settings", "learns"),
    [
        (500, {}, False),
        (500, {"learning_starts": 0}, True),
        (500, {"replay_ratio": 0}, True),  # asked for
        (541, {"batch_size": 40, "replay_ratio": 1, "learning_starts": 505}, False),
        # The eight environments take 544 steps, 40 of them after the first 504.
        (541, {"batch_size": 40, "replay_ratio": 1, "learning_starts": 504}, True),
    ],
)
def test_a_benchmark_that_would_learn_nothing_is_refused(steps, settings, learns):
    given = {"preset": "small", "overrides": {"glamor": settings}, "steps": steps}
    if learns:
        assert benchmark_specs(["GridWorld"], ["glamor"], [0], **given)
        return
    with pytest.raises(ValueError, match=f"learn nothing: .* got --steps {steps}"):
        benchmark_specs(["GridWorld"], ["glamor"], [0], **given)


def test_what_is_left_out_counts_as_well(benchmark_of_one, capsys):
    first, folder = benchmark_of_one
    at = first.index("ppo.ent_coef=0.5")
    words = [*first[: at - 1], *first[at + 1 :]]
    code, _, err = run(capsys, *words, "--seeds", "1", "--out", str(folder))
    assert code == 2
    assert "holds a run with ent_coef 0.5, got 0.01" in err


def test_all_runs_of_a_folder_can_go_on_to_more_steps_together(tmp_path, capsys, in_process):
    words = [*PPO, "--out", str(tmp_path)]
    assert run(capsys, *words, "--seeds", "0")[0] == 0
    assert run(capsys, *words, "--seeds", "0", "1", "--steps", "80")[0] == 0
    assert pd.read_csv(tmp_path / "results.csv")["steps"].tolist() == [80, 80]


def test_until_all_runs_have_gone_on_their_steps_are_told(tmp_path, capsys, monkeypatch):
    def broken_off(self, jobs, tick):
        run_job(jobs[0])
        raise KeyboardInterrupt

    words = [*PPO, "--out", str(tmp_path), "--seeds", "0", "1"]
    with monkeypatch.context() as patch:
        patch.setattr(LocalEngine, "run_jobs", lambda self, jobs, tick: [*map(run_job, jobs)])
        code, out, _ = run(capsys, *words)
    assert code == 0
    assert "number of steps" not in out
    monkeypatch.setattr(LocalEngine, "run_jobs", broken_off)
    code, out, _ = run(capsys, *words, "--steps", "80")
    assert code == 130
    caption = " ".join(out.split())
    assert "not all took the same number of steps: PPO (labels) 60 to 80" in caption


def test_another_preset_may_differ_from_what_is_there(tmp_path):
    folder = BenchmarkFolder(tmp_path)
    (job,) = jobs_to_do([player_spec()], folder, command="")
    run_job(job)
    specs = benchmark_specs(["GridWorld"], ["random", "noop"], [0, 1], steps=500, n_envs=2)
    jobs = jobs_to_do(specs, folder, command="")
    check_benchmark(specs, folder)
    assert len(jobs) == 4  # the one that is there is evaluated twice a goal now


def test_environments_of_other_modules_are_compared_too(own_room, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    specs = benchmark_specs([own_room, "GridWorld"], ["random"], [0], episodes_per_goal=1)
    assert [spec.task for spec in specs] == [own_room, "GridWorld"]
    assert specs[0].env_id == own_room
    folder = BenchmarkFolder(tmp_path / "out")
    check_benchmark(specs, folder)
    for job in jobs_to_do(specs, folder, command=""):
        run_job(job)
    check_benchmark(specs, folder)
    assert [run.path.name for run in folder.run_folders()] == [
        "GridWorld-random-0", "own-Room-v0-random-0",
    ]  # fmt: skip
    *_, grid, own = benchmark_table(results_table(folder.run_folders()), {}).splitlines()
    # The same world and goals, after those of the paper.
    assert grid.replace("GridWorld", "own/Room-v0") == own


def test_runs_on_goals_that_have_changed_are_not_added_to(tmp_path):
    folder = BenchmarkFolder(tmp_path)
    jobs = jobs_to_do([player_spec(seed=seed) for seed in (0, 1)], folder, command="")
    for job in jobs:
        run_job(job)
    check_benchmark([player_spec(seed=2)], folder)
    file = RunFolder(jobs[0].folder).evaluation_file
    old = json.loads(file.read_text()) | {"goals_hash": "0123456789abcdef"}
    file.write_text(json.dumps(old))
    told = "runs of GridWorld must .* GridWorld-random-0 on 0123456789ab; GridWorld-random-1"
    with pytest.raises(ValueError, match=told):
        check_benchmark([player_spec(seed=1)], folder)
    shutil.rmtree(jobs[1].folder)
    check_benchmark([player_spec()], folder)  # nothing is added
    with pytest.raises(ValueError, match=told):
        check_benchmark([player_spec(), player_spec(seed=1)], folder)
    check_benchmark([player_spec(episodes_per_goal=2)], folder)  # it is evaluated again


def test_all_agents_of_a_task_have_the_same_environment(tmp_path):
    folder = BenchmarkFolder(tmp_path)
    short, usual = player_spec(env_kwargs={"horizon": 5}), player_spec()
    (job,) = jobs_to_do([short], folder, command="")
    run_job(job)
    noop = dataclasses.replace(usual, algorithm="noop")
    there, other = "GridWorld-random-0", "GridWorld-noop-0"
    told = rf'GridWorld must .* {{}} in {other} and {{"horizon": 5}} in {there};'
    with pytest.raises(ValueError, match=told):
        check_benchmark([noop], folder)
    check_benchmark([dataclasses.replace(noop, env_kwargs={"horizon": 5})], folder)
    check_benchmark([dataclasses.replace(noop, task="Dice")], folder)  # another task
    record_command(folder.record_file, "")
    (job,) = jobs_to_do([noop], folder, command="")
    run_job(job)
    with pytest.raises(ValueError, match="GridWorld must have the same env_kwargs"):
        write_benchmark_report(folder)


def test_what_an_algorithm_requires_in_training_is_no_other_environment(tmp_path):
    specs = benchmark_specs(["Dice"], ["ppo", "noop"], [0], steps=60)
    assert ALGORITHMS["ppo"].env_kwargs
    check_benchmark(specs, BenchmarkFolder(tmp_path))
    check_comparable({spec.algorithm: new_config(spec) for spec in specs})


def test_a_report_compares_no_runs_on_different_goals(tmp_path):
    folder = BenchmarkFolder(tmp_path)
    record_command(folder.record_file, "")
    for job in jobs_to_do([player_spec(seed=seed) for seed in (0, 1)], folder, command=""):
        run_job(job)
    file = folder.run_folders()[0].evaluation_file
    file.write_text(json.dumps(json.loads(file.read_text()) | {"goals_hash": "0123456789abcdef"}))
    with pytest.raises(ValueError, match="GridWorld-random-0 on 0123456789ab; GridWorld-random-1"):
        write_benchmark_report(folder)
    assert not folder.report_file.exists()


def test_a_copied_run_is_no_other_seed(tmp_path, capsys):
    folder = BenchmarkFolder(tmp_path)
    record_command(folder.record_file, "")
    (job,) = jobs_to_do([player_spec()], folder, command="")
    run_job(job)
    shutil.copytree(job.folder, folder.runs / "copy")
    code, out, err = run(capsys, "report", str(tmp_path))
    assert (code, out) == (2, "")
    assert "got GridWorld-random-0 and copy, both of GridWorld, random, seed 0" in err


def test_a_run_that_fails_is_reported_and_stops_no_other(capsys, tmp_path, in_process):
    words = ["benchmark", "--tasks", "Dice", "--agents", "ppo", "noop", *SMALL]
    code, out, _ = run(capsys, *words, "--set", "ppo.batch_size=0.5", "--out", str(tmp_path))
    assert code == 1
    assert re.search(r"Dice-ppo-0 failed: \w+: ", out)
    assert "Dice-noop-0: finished" in out
    results = pd.read_csv(tmp_path / "results.csv").set_index("agent")
    assert results["state"].to_dict() == {"ppo": "failed", "noop": "finished"}
    assert "Runs that failed" in (tmp_path / "report.html").read_text()
    code, out, _ = run(
        capsys, *words, "--set", "ppo.batch_size=60", "--set", "ppo.n_steps=30",
        "--out", str(tmp_path),
    )  # fmt: skip
    assert code == 0
    assert "2 runs, 1 of them finished already" in out


def test_the_page_is_written_again_by_the_command_report(capsys, tmp_path):
    folder = BenchmarkFolder(tmp_path)
    (job,) = jobs_to_do([player_spec()], folder, command="typed")
    run_job(job)
    code, _, err = run(capsys, "report", str(tmp_path))
    assert code == 2
    assert "neither a run nor a benchmark" in err
    record_command(folder.record_file, "typed")
    code, out, _ = run(capsys, "report", str(tmp_path))
    assert (code, out) == (0, f"report: {tmp_path / 'report.html'}\n")
    run_page = RunFolder(job.folder).report_file
    run_page.unlink()
    assert run(capsys, "report", str(job.folder))[0] == 0
    assert run_page.is_file()


def test_a_later_command_does_not_change_the_versions_of_earlier_runs(tmp_path, monkeypatch):
    folder = BenchmarkFolder(tmp_path)
    jobs = jobs_to_do([player_spec(), player_spec(seed=1)], folder, command="")
    for job, torch in zip(jobs, ("1.13", "2.9"), strict=True):
        monkeypatch.setattr(runs, "versions", lambda torch=torch: {"torch": torch})
        record_command(folder.record_file, "typed")
        run_job(job)
    write_benchmark_report(folder)
    page = folder.report_file.read_text()
    assert "torch 1.13 (1 run)\ntorch 2.9 (1 run)" in page
    assert json.loads(folder.record_file.read_text()) == {"commands": ["typed", "typed"]}


@pytest.mark.parametrize("text", ["[]", "{}", '{"commands": "typed"}', '{"commands": [1]}'])
def test_a_damaged_record_is_told(tmp_path, text):
    folder = BenchmarkFolder(tmp_path)
    folder.record_file.write_text(text)
    with pytest.raises(ValueError, match=r"benchmark\.json is damaged"):
        recorded_commands(folder.record_file)


def test_a_terminal_shows_a_bar_for_each_run(tmp_path):
    jobs = jobs_to_do([player_spec(), player_spec(seed=1)], BenchmarkFolder(tmp_path), command="")
    console = Console(force_terminal=True, width=120, record=True)
    with Screen(jobs, console) as screen:
        run_job(jobs[0])
        screen.update()
    text = console.export_text()
    assert "all runs" in text
    assert re.search(r"GridWorld-random-0 .*% of the goals, finished", text)
    assert re.search(r"GridWorld-random-1 .* waiting", text)
