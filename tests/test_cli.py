"""The command line as a person uses it: words in; text, files and an exit code out."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import pkgutil
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import rich.console
import torch
from PIL import Image

import glamor_gym
from glamor_gym import cli
from glamor_gym.agents.saving.checkpoint_folder import CheckpointFolder
from glamor_gym.cli import main
from glamor_gym.commands import doctor
from glamor_gym.commands.doctor import Finding
from glamor_gym.envs.rendering import RenderingError
from glamor_gym.evaluation import RunFolder, load_result
from glamor_gym.goals import load_goal_set
from glamor_gym.goals.build import TooFewEpisodesError
from glamor_gym.tasks import TASKS
from tests.command_line import run
from tests.lock_holder import held_elsewhere

SMALL = ["--task", "GridWorld", "--steps", "300", "--n-envs", "2", "--episodes-per-goal", "1"]
SMALL += ["--set", "learning_starts=50", "batch_size=20", "replay_ratio=1"]
SMALL += ["--set", "policy_kwargs.embedding_size=16"]


def refused(capsys, *words):
    """Return the one line that says what was wrong."""
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert err.startswith("glamor-gym: ")
    assert err.count("\n") == 1
    return err


# ------------------------------------------------------------------------------------ help


HELP = {
    "--help": ["tasks", "train", "evaluate", "watch", "goals", "doctor"],
    "train --help": ["--run-dir DIR", "(default: 500000)", "--preset PRESET"],
    "evaluate --help": ["--episodes-per-goal", "--out DIR"],
    "watch --help": ["PATH", "--goal K ...", "--out PATH", "--open"],
    "export --help": ["PATH", "--out PATH", "--full"],
    "benchmark --help": ["--agents", "--engine {local,ray}", "--address ADDRESS"],
    "report --help": ["PATH", "benchmark"],
    "ablate --help": ["--change NAME=VALUE", "--held-out [TASK ...]"],
    "goals --help": ["build", "show", "verify", "report"],
    "goals build --help": ["--episodes", "TASK"],
    "doctor --help": ["--buffer-size"],
    "tasks --help": ["--verbose"],
}


@pytest.mark.parametrize("words", HELP)
def test_help_explains(capsys, words):
    code, out, _ = run(capsys, *words.split())
    assert code == 0
    for told in HELP[words]:
        assert told in out


@pytest.mark.parametrize(("kind", "home"), cli._HOMES.items())
def test_every_command_has_a_function_and_options_of_its_name(kind, home):
    assert callable(pkgutil.resolve_name(f"glamor_gym.commands.{home}"))
    assert home.startswith(f"{kind.__name__.lower()}:")


def test_it_tells_its_version(capsys):
    assert run(capsys, "--version") == (0, f"glamor-gym {glamor_gym.__version__}\n", "")


def test_nobody_has_to_read_on():
    program = subprocess.Popen(
        [sys.executable, "-m", "glamor_gym", "tasks"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    program.stdout.close()
    _, told = program.communicate()
    assert (program.returncode, told) == (1, b"")


def test_help_imports_nothing_heavy():
    script = (
        "import sys; from glamor_gym.cli import main\n"
        "for words in sys.argv[1:]:\n"
        "    try: main(words.split())\n"
        "    except SystemExit as ended: assert ended.code == 0, words\n"
        "    assert not {'torch', 'matplotlib', 'mujoco', 'cv2'} & set(sys.modules), words"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *HELP], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usage: ") == len(HELP)


def test_what_needs_no_agent_imports_none():
    commands = [
        "tasks --verbose",
        "train --task Pongg",
        "train --task Pong --agent glamr",
        "evaluate runs/pong --task Pongg",
        "watch runs/pong --task Pongg",
    ]
    script = (
        "import sys; from glamor_gym.cli import main\n"
        "for words in sys.argv[1:]:\n"
        "    try: main(words.split())\n"
        "    except SystemExit as ended: print('ended with', ended.code)\n"
        "    assert not {'torch', 'matplotlib', 'pandas', 'mujoco'} & set(sys.modules), words"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *commands], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    codes = [line[-1] for line in done.stdout.splitlines() if line.startswith("ended with")]
    assert codes == ["0", "2", "2", "2", "2"]
    assert done.stderr.count("did you mean") == 4


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("fly", "no command 'fly'"),
        ("train --steps many", "got many"),
        ("train --run-dir=", "--run-dir: expected a folder, got ''"),
        ("benchmark --tasks Pong --out=", "--out: expected a folder, got ''"),
        ("train --stpes 3", "Unrecognized options: --stpes"),
    ],
)
def test_words_that_mean_nothing_are_refused(capsys, words, told):
    code, out, err = run(capsys, *words.split())
    assert code == 2
    assert told in out + err


# ----------------------------------------------------------------------------------- tasks


def test_a_misspelt_command_is_told_the_nearest(capsys):
    code, _, err = run(capsys, "trian", "--task", "Pong")
    assert code == 2
    assert "no command 'trian'; did you mean train?" in err


def test_tasks_lists_every_task_with_the_papers_figures(capsys):
    code, out, _ = run(capsys, "tasks")
    assert code == 0
    rows = {line.split("│")[1].strip(): line for line in out.splitlines() if "glamor/" in line}
    assert set(rows) == {task.id for task in TASKS.values()}
    assert "0.57  0.04  0.48" in rows["glamor/Seaquest-v0"]
    assert "30 + 1000" in rows["glamor/Pong-v0"]
    assert "(24)" in out
    assert "RAM 17" not in out


def test_tasks_tells_caveats_when_asked(capsys):
    _, out, _ = run(capsys, "tasks", "--verbose")
    for task in TASKS.values():
        assert task.caveat in out


# ----------------------------------------------------------------------------------- goals


def test_goals_are_built_shown_and_verified(capsys, tmp_path):
    file = str(tmp_path / "dice.npz")
    code, out, _ = run(capsys, "goals", "build", "Dice", "--out", file, "--seed", "3")
    assert code == 0
    built = load_goal_set(file)
    assert built.hash in out
    picture = tmp_path / "dice.png"
    code, out, _ = run(capsys, "goals", "show", file, "--out", str(picture))
    assert code == 0
    assert built.hash in out
    assert "face" in out
    with Image.open(picture) as sheet:
        assert np.ptp(np.asarray(sheet)) > 0
    code, out, _ = run(capsys, "goals", "verify", file, "GridWorld")
    assert code == 0
    assert out.count("ok, hash") == 2


def test_goals_that_are_damaged_are_told(capsys, tmp_path):
    file = tmp_path / "bad.npz"
    file.write_bytes(b"nothing of the kind")
    code, out, _ = run(capsys, "goals", "verify", "Dice", str(file))
    assert code == 1
    assert "Dice: ok" in out
    assert f"{file}: not a readable goal set" in out.replace(f"{file}: {file}", str(file))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["build", "Dise"], "did you mean Dice"),
        (["report", "Pong", "Dice", "--out", "new"], "must last longer than one step, got Dice"),
        (["show", "Pnog"], "did you mean Pong"),
        (["verify", "Pnog"], "did you mean Pong"),
        (["show", "nowhere"], "unknown task 'nowhere'"),
        (["show", "nowhere"], "(the name of a file must end in .npz)"),
        (["verify", "r1/config.json"], "(the name of a file must end in .npz)"),
        (["show", "missing.npz"], "glamor-gym: missing.npz: No such file or directory\n"),
        (["build", "Seaquest", "--episodes", "-1", "--out", "never.npz"], "episodes"),
        (["build", "Dice", "--out", "goals.zip"], "--out must end in .npz, got goals.zip"),
    ],
)
def test_goals_that_are_not_there_are_refused(capsys, words, told):
    assert told in refused(capsys, "goals", *words)


@pytest.mark.parametrize(
    ("command", "out", "work"),
    [("build", "file/new/x.npz", "build_goal_set"), ("report", "file/new", "measure_aliasing")],
)
def test_where_goals_cannot_be_written_is_told_before_anything_is_played(
    capsys, tmp_path, monkeypatch, command, out, work
):
    monkeypatch.setattr(f"glamor_gym.commands.goals.{work}", lambda *_, **__: pytest.fail("played"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("in the way")
    assert "a file is in the place of a folder" in refused(
        capsys, "goals", command, "GridWorld", "--out", out
    )


@pytest.mark.parametrize(
    ("command", "work"), [("build", "build_goal_set"), ("report", "measure_aliasing")]
)
def test_a_fault_in_playing_for_goals_keeps_its_traceback(tmp_path, monkeypatch, command, work):
    def fail(*_, **__):
        raise ValueError("a bug")

    monkeypatch.setattr(f"glamor_gym.commands.goals.{work}", fail)
    with pytest.raises(ValueError, match="a bug"):
        main(["goals", command, "GridWorld", "--out", str(tmp_path / "new.npz")])


def test_episodes_that_are_too_few_are_told_in_a_line(capsys, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise TooFewEpisodesError("episodes must be larger")

    monkeypatch.setattr("glamor_gym.commands.goals.build_goal_set", fail)
    words = ["goals", "build", "Dice", "--out", str(tmp_path / "new.npz")]
    assert "episodes must be larger" in refused(capsys, *words)


def test_a_goal_file_is_not_overwritten(capsys, tmp_path):
    file = tmp_path / "dice.npz"
    file.write_bytes(b"precious")
    assert "already exists" in refused(capsys, "goals", "build", "Dice", "--out", str(file))
    assert file.read_bytes() == b"precious"


# ---------------------------------------------------------------------------------- report


def test_the_page_of_a_reproduction_is_its_own(capsys, tmp_path):
    (tmp_path / "reproduction.json").write_text("{}")
    err = refused(capsys, "report", str(tmp_path))
    assert f"{tmp_path} holds a reproduction, with a page in the folder of each" in err
    assert "`glamor-gym reproduce`" in err


# ---------------------------------------------------------------------------------- doctor


@pytest.mark.parametrize(("statuses", "code"), [(("ok", "warn"), 0), (("ok", "fail", "ok"), 1)])
def test_the_doctors_exit_code_tells_of_failures(capsys, monkeypatch, statuses, code):
    found = [Finding(status, f"part {k}", "seen", "fix it") for k, status in enumerate(statuses)]
    monkeypatch.setattr(doctor, "findings", lambda buffer_size: found)
    returned, out, _ = run(capsys, "doctor")
    assert returned == code
    assert [line.split()[0] for line in out.splitlines()] == list(statuses)
    assert "part 0: seen → fix it" in out


def test_the_doctor_looks_at_this_machine(capsys):
    _, out, _ = run(capsys, "doctor", "--buffer-size", "1000")
    for subject in ("Python", "torch", "OpenGL", "Atari ROMs", "goals", "memory", "disk", "CUDA"):
        assert f" {subject}: " in out


def test_an_impossible_replay_is_refused(capsys):
    assert "--buffer-size must be at least 1, got 0" in refused(
        capsys, "doctor", "--buffer-size", "0"
    )


# ------------------------------------------------------------------------ train and evaluate


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "room"
    with pytest.raises(SystemExit) as ended:
        main(["train", *SMALL, "--run-dir", str(folder)])
    assert ended.value.code == 0
    return RunFolder(folder)


def test_a_run_leaves_everything_in_its_folder(trained):
    config = trained.config()
    assert config.task == "glamor/GridWorld-v0"
    assert config.settings["batch_size"] == 20
    assert config.policy_kwargs["embedding_size"] == 16
    assert config.commands[0].startswith("glamor-gym train --task GridWorld --steps 300")
    assert config.train_seconds > 0
    metrics = trained.metrics()
    assert metrics["eval/success_rate"].count() == 5
    assert metrics["train/inverse_loss"].count() > 0
    assert metrics["step"].iloc[-1] == 300
    assert trained.agent_file.is_file()
    assert trained.holds_a_checkpoint()
    assert "<title>glamor/GridWorld-v0" in trained.report_file.read_text()
    assert list(trained.path.glob("events.out.tfevents*"))
    assert trained.evaluation().episodes == 30


def test_a_run_is_evaluated_from_its_folder(trained, capsys, tmp_path):
    code, out, err = run(
        capsys, "evaluate", str(trained.path), "--episodes-per-goal", "2", "--out", str(tmp_path)
    )
    assert code == 0
    assert err == "glamor/GridWorld-v0: 60 episodes each of the agent, a random and a no-op agent\n"
    result = load_result(tmp_path / "evaluation.json")
    assert result.episodes == 60
    assert f"{result.success_rate:.2f}" in out
    assert "random agent" in out
    assert len(list(tmp_path.glob("goal-*.webp"))) == 30


def test_a_saved_agent_is_evaluated_on_its_task(trained, capsys, tmp_path):
    words = ["evaluate", str(trained.agent_file), "--goals", "all", "--out", str(tmp_path)]
    code, _, _ = run(capsys, *words)
    assert code == 0
    assert load_result(tmp_path / "evaluation.json").episodes == 49
    assert "made for the actions" in refused(capsys, *words, "--task", "Dice")


def test_an_environment_of_another_module_is_learnt_evaluated_and_exported(
    own_room, tmp_path, capsys, monkeypatch, blank_pages
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    words = [*SMALL[2:], "--task", own_room, "--steps", "1.5e2", "--preset", "small"]
    code, out, err = run(capsys, "train", *words)
    assert code == 0, err
    folder = RunFolder(Path("runs/own-Room-v0-small-0"))
    assert (folder.config().task, folder.config().steps) == (own_room, 150)
    assert "own/Room-v0: goals reached" in out

    code, _, _ = run(capsys, "train", "--run-dir", str(folder.path), "--steps", "170")
    assert (code, folder.config().steps) == (0, 170)
    assert run(capsys, "evaluate", str(folder.path))[0] == 0
    assert run(capsys, "export", str(folder.path))[0] == 0
    exported = folder.path / "own-Room-v0-glamor.safetensors"
    del gym.registry["own/Room-v0"], sys.modules["rooms"]  # as in a process that begins here
    assert "give MODULE:own/Room-v0" in refused(capsys, "evaluate", str(exported))
    code, _, _ = run(capsys, "evaluate", str(exported), "--task", own_room)
    assert code == 0


@pytest.mark.parametrize("steps", ["1.5", "many", "1e400", "nan"])
def test_steps_are_a_whole_number(steps, capsys):
    code, _, err = run(capsys, "train", "--task", "Dice", "--steps", steps)
    assert code == 2
    assert f"expected a whole number, got {steps}" in err


def test_what_held_out_goals_say_of_a_run_is_kept_beside_it(trained, capsys):
    before = trained.evaluation()
    code, out, _ = run(capsys, "evaluate", str(trained.path), "--goals", "held-out")
    assert code == 0
    assert str(trained.held_out_file.parent) in out
    assert trained.held_out().goals_hash != before.goals_hash
    assert trained.evaluation().goals_hash == before.goals_hash
    kept = trained.held_out()
    words = ["--goals", "held-out", "--env", "horizon=2"]
    code, out, _ = run(capsys, "evaluate", str(trained.path), *words)
    assert code == 0
    assert str(trained.path / "evaluation-held-out-horizon=2") in out
    assert trained.held_out().mean_length == kept.mean_length


def test_what_an_agent_does_elsewhere_leaves_what_it_did_at_home(trained, capsys):
    code, out, _ = run(capsys, "evaluate", str(trained.path), "--env", "horizon=2")
    assert code == 0
    assert str(trained.path / "evaluation-horizon=2") in out
    assert not (trained.path / "evaluation").exists()


def test_a_folder_that_cannot_be_written_to_is_told_before_anything_is_played(
    trained, capsys, tmp_path, monkeypatch
):
    monkeypatch.setattr("glamor_gym.commands.evaluate.Arena", None)
    (tmp_path / "file").write_text("in the way")
    told = refused(capsys, "evaluate", str(trained.path), "--out", str(tmp_path / "file" / "new"))
    assert "a file is in the place of a folder" in told


@pytest.mark.parametrize("command", ["evaluate", "watch"])
def test_a_fault_of_an_environment_keeps_its_traceback(trained, tmp_path, monkeypatch, command):
    def fail(*_, **__):
        raise ValueError("a bug")
        yield

    monkeypatch.setattr("glamor_gym.evaluation.arena.play", fail)
    with pytest.raises(ValueError, match="a bug"):
        main([command, str(trained.path), "--out", str(tmp_path / "new")])


@pytest.mark.parametrize("command", ["evaluate", "watch"])
def test_a_missing_driver_is_told_in_a_line(trained, capsys, tmp_path, monkeypatch, command):
    def fail(*_, **__):
        raise RenderingError("no driver")
        yield

    monkeypatch.setattr("glamor_gym.evaluation.arena.play", fail)
    words = [command, str(trained.path), "--out", str(tmp_path / "new")]
    code, out, err = run(capsys, *words)
    assert (code, out, err.splitlines()[-1]) == (2, "", "glamor-gym: no driver")


def test_a_window_needs_its_library(trained, capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pygame", None)  # as if it were not installed
    words = ["--env", "render_mode=human", "--out", str(tmp_path / "new")]
    code, out, err = run(capsys, "evaluate", str(trained.path), *words)
    assert (code, out) == (2, "")
    assert "pygame is not installed" in err.splitlines()[-1]
    assert not (tmp_path / "new").exists()


def test_what_comes_of_an_agent_in_a_file_goes_into_a_folder_of_its_own(trained, capsys, tmp_path):
    for name in ("one", "two"):
        shutil.copy(trained.agent_file, tmp_path / f"{name}.safetensors")
        for goals, folder in (("eval", "evaluation"), ("all", "evaluation-all")):
            words = [str(tmp_path / f"{name}.safetensors"), "--goals", goals]
            code, out, _ = run(capsys, "evaluate", *words)
            assert code == 0
            assert str(tmp_path / name / folder) in out
            assert (tmp_path / name / folder / "evaluation.json").is_file()


@pytest.mark.usefixtures("blank_pages")
def test_a_run_goes_on_from_its_checkpoint(trained, capsys):
    before = trained.metrics()
    code, out, _ = run(capsys, "train", "--run-dir", str(trained.path), "--steps", "420")
    assert code == 0
    assert "step 300 of 420" in out
    after = trained.metrics()
    assert after["step"].iloc[-1] == 420
    assert after.iloc[: len(before)]["step"].tolist() == before["step"].tolist()
    assert trained.config().steps == 420
    assert len(trained.config().commands) == 2


@pytest.mark.usefixtures("blank_pages")
def test_what_no_option_names_stays_as_it_was(tmp_path, capsys):
    words = [*SMALL[2:], "--task", "Dice", "--steps", "100"]
    words += ["--minutes", "5", "--checkpoint-minutes", "0.5", "--collect", "workers"]
    assert run(capsys, "train", *words, "--run-dir", str(tmp_path))[0] == 0
    again = run(capsys, "train", "--run-dir", str(tmp_path), "--episodes-per-goal", "2")
    assert again[0] == 0
    config = RunFolder(tmp_path).config()
    kept = (config.minutes, config.checkpoint_minutes, config.collect)
    assert kept == (5.0, 0.5, "workers")


@pytest.mark.usefixtures("blank_pages")
def test_more_steps_are_taken_though_an_earlier_commands_minutes_are_spent(tmp_path, capsys):
    words = [*SMALL[2:], "--task", "Dice", "--run-dir", str(tmp_path), "--minutes", "1e-9"]
    code, out, _ = run(capsys, "train", *words, "--steps", "100")
    assert code == 0
    stopped_at = RunFolder(tmp_path).metrics()["step"].max()
    assert stopped_at < 100
    code, out, _ = run(capsys, "train", "--run-dir", str(tmp_path))
    assert f"finished already, in {tmp_path}; more --steps or --minutes continue it" in out
    folder = RunFolder(tmp_path)
    folder.write_config(dataclasses.replace(folder.config(), finished=False))  # as if killed
    code, out, _ = run(capsys, "train", "--run-dir", str(tmp_path))
    assert "its 1e-09 minutes are used up; --steps or --minutes gives it more" in out
    assert RunFolder(tmp_path).metrics()["step"].max() == stopped_at
    code, out, _ = run(capsys, "train", "--run-dir", str(tmp_path), "--steps", "200")
    config = RunFolder(tmp_path).config()
    assert RunFolder(tmp_path).metrics()["step"].max() == 200
    assert (config.minutes, config.eval_every) == (None, 40)


@pytest.mark.usefixtures("blank_pages")
def test_a_run_that_has_taken_its_steps_is_evaluated_again(trained, capsys):
    steps = trained.config().steps
    code, out, _ = run(capsys, "train", "--run-dir", str(trained.path), "--episodes-per-goal", "2")
    assert code == 0
    assert f"step {steps} of {steps}" in out
    assert trained.evaluation().episodes == 60


def test_of_a_finished_run_only_the_results_are_told(trained, capsys, monkeypatch):
    monkeypatch.setattr("glamor_gym.commands.train.prepare_run", None)
    kept = (trained.config_file, trained.metrics_file, trained.evaluation_file)
    before = [file.read_bytes() for file in kept]
    trained.report_file.unlink()
    code, out, _ = run(capsys, "train", "--run-dir", str(trained.path))
    assert code == 0
    assert f"finished already, in {trained.path}; more --steps continue it" in out
    assert f"{trained.evaluation(frames=False).success_rate:.2f}" in out
    assert "<title>glamor/GridWorld-v0" in trained.report_file.read_text()
    assert [file.read_bytes() for file in kept] == before
    page = trained.report_file.read_text()
    trained.report_file.write_text(f"{page}<!-- with films whose frames are gone -->")
    assert run(capsys, "train", "--run-dir", str(trained.path))[0] == 0
    assert trained.report_file.read_text() != page
    trained.report_file.write_text(page)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--seed", "7"], "holds a run with seed 0, got 7"),
        (["--task", "Dice"], "task glamor/GridWorld-v0, got glamor/Dice-v0"),
        (["--preset", "paper"], "preset small, got paper"),
        (["--agent", "gcsl"], "agent glamor, got gcsl"),
        (["--agent", "dqn-her"], "agent glamor, got dqn-her"),
        (["--set", "batch_size=30"], "batch_size 20, got 30"),
        (["--set", "policy_kwargs.embedding_size=8"], "embedding_size 16, got 8"),
        (["--env", "horizon=5"], "horizon None, got 5"),
        (["--env", "horizn=5"], "no option 'horizn'; did you mean horizon?"),
    ],
)
def test_a_run_that_goes_on_does_not_change(trained, capsys, words, told):
    err = refused(capsys, "train", "--run-dir", str(trained.path), *words)
    assert told in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--task", "Pnog"], "unknown task 'Pnog'; did you mean Pong?"),
        ([], "--task is needed"),
        (["--task", "Dice", "--steps", "0"], "steps must be an integer ≥ 1, got 0"),
        (["--task", "Dice", "--steps", "400"], "learn nothing: its first update comes after"),
        (["--task", "Dice", "--n-envs", "-2"], "n_envs must be an integer ≥ 1, got -2"),
        (["--task", "Dice", "--minutes", "0"], "minutes must be a finite number above 0"),
        (["--task", "Dice", "--set", "n_trails=3"], "did you mean n_trials"),
        (["--task", "Dice", "--set", "n_trials=0"], "n_trials must be"),
        (["--task", "Dice", "--set", "n_trials"], "--set takes NAME=VALUE"),
        (["--task", "Dice", "--steps", "9", "--env", "speed=3"], "there is no option 'speed'"),
        (["--task", "Dice", "--env", "render_mode=human"], "must not contain render_mode"),
        (["--task", "Dice", "--device", "abacus"], "abacus"),
    ],
)
def test_what_cannot_be_trained_is_refused(capsys, tmp_path, words, told):
    err = refused(capsys, "train", *words, *(["--run-dir", str(tmp_path / "run")] if words else []))
    assert told in err
    assert "environment creator" not in err  # as Gymnasium tells, with all arguments
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "words",
    ["train --task Dice --agent qrdqn --run-dir", "benchmark --tasks Dice --agents qrdqn --out"],
)
def test_an_optional_library_that_is_missing_is_named(capsys, tmp_path, monkeypatch, words):
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    err = refused(capsys, *words.split(), str(tmp_path / "run"))
    assert "qrdqn needs sb3-contrib: pip install sb3-contrib" in err
    assert not (tmp_path / "run").exists()


def test_the_folder_of_a_run_is_no_file(capsys, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    err = refused(capsys, "train", *SMALL, "--run-dir", str(tmp_path / "notes.txt"))
    assert f"--run-dir must be a folder, and {tmp_path}/notes.txt is a file" in err
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_folder_of_a_run_that_cannot_be_written_to_is_told(capsys, tmp_path):
    (tmp_path / "file").write_text("in the way")
    err = refused(capsys, "train", *SMALL, "--run-dir", str(tmp_path / "file" / "new"))
    told = f"{tmp_path}/file: a file is in the place of a folder"
    assert f"--run-dir must be a folder to write to; {told}" in err


@pytest.mark.parametrize("path", ["nothing", "."])
def test_what_is_no_agent_is_refused(capsys, tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    err = refused(capsys, "evaluate", path, "--task", "Dice")
    assert path in err


def test_an_archive_of_stable_baselines3_needs_to_be_told_what_it_is(capsys, tmp_path):
    with zipfile.ZipFile(tmp_path / "agent.zip", "w") as archive:
        archive.writestr("data", "{}")
    err = refused(capsys, "evaluate", str(tmp_path / "agent.zip"), "--task", "Dice")
    assert "--algorithm, --task and --trust are needed" in err


@pytest.mark.usefixtures("blank_pages")
def test_the_default_folder_names_task_preset_and_seed(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, _ = run(capsys, "train", *SMALL[2:], "--task", "Dice", "--seed", "5")
    assert code == 0
    assert json.loads((tmp_path / "runs/Dice-small-5/config.json").read_text())["seed"] == 5


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_with_a_checkpoint(capsys, tmp_path, monkeypatch, number, code):
    from glamor_gym.agents import GlamorAgent

    update = GlamorAgent.update

    def update_and_signal(self, batch):
        if self._n_updates == 3:
            os.kill(os.getpid(), number)
        return update(self, batch)

    monkeypatch.setattr(GlamorAgent, "update", update_and_signal)
    ended_with, out, err = run(capsys, "train", *SMALL, "--run-dir", str(tmp_path))
    assert ended_with == code
    assert "finishing the step and writing a checkpoint" in err
    assert f"glamor-gym train --run-dir {tmp_path}" in out
    assert f"its page so far: glamor-gym report {tmp_path}" in out
    folder = CheckpointFolder(tmp_path / "checkpoint")
    step = folder.newest().step
    assert f"stopped at step {step}" in out
    assert folder.read_state(folder.newest())["header"]["n_updates"] == 4
    assert not RunFolder(tmp_path).config().finished


def test_a_nan_ends_the_run_with_a_checkpoint_from_before(capsys, tmp_path, monkeypatch):
    from glamor_gym.agents import GlamorAgent

    update = GlamorAgent.update

    def update_to_nan(self, batch):
        if self._n_updates == 3:
            with torch.no_grad():
                next(self.policy.parameters()).fill_(torch.nan)
        return update(self, batch)

    monkeypatch.setattr(GlamorAgent, "update", update_to_nan)
    words = ["train", *SMALL, "--eval-every", "300", "--run-dir", str(tmp_path)]
    code, out, _ = run(capsys, *words)
    assert code == 1
    assert "is nan at update 4" in out
    assert "glamor-gym report" not in out  # as there is no evaluation yet
    folder = CheckpointFolder(tmp_path / "checkpoint")
    weights = folder.read_state(folder.newest())["tensors"]
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())


def test_a_folder_in_use_is_refused(capsys, tmp_path):
    with held_elsewhere(tmp_path) as holder:
        err = refused(capsys, "train", *SMALL, "--run-dir", str(tmp_path))
    assert f"is in use by process {holder}" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock"]


@pytest.mark.usefixtures("blank_pages")
def test_a_run_killed_after_its_last_evaluation_comes_out_the_same(capsys, tmp_path):
    # All is done, and then the process ends before it could say so.
    words = ["train", *SMALL, "--run-dir", str(tmp_path)]
    run(capsys, *words)
    folder = RunFolder(tmp_path)
    before = folder.metrics()
    folder.write_config(dataclasses.replace(folder.config(), finished=False))
    run(capsys, *words)
    assert folder.config().finished
    after = folder.metrics()
    assert after["step"].tolist() == before["step"].tolist()
    assert after["eval/success_rate"].equals(before["eval/success_rate"])


def test_ctrl_c_ends_a_command_in_a_line(capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("glamor_gym.commands.tasks.list_tasks", interrupted)
    assert run(capsys, "tasks") == (130, "", "glamor-gym: interrupted\n")


@pytest.mark.parametrize("module", ["glamor_gym", "glamor_gym.cli"])
def test_python_runs_the_package_as_a_program(module):
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True
    )
    assert "usage: glamor-gym" in done.stdout


def test_a_full_disk_ends_a_run_with_the_command_that_resumes_it(capsys, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunFolder, "save_agent", full)
    folder = tmp_path / "a run"
    code, out, _ = run(capsys, "train", *SMALL, "--run-dir", str(folder))
    assert code == 1
    assert "No space left on device" in out
    assert out.endswith(
        f"its page so far: glamor-gym report '{folder}'\n"
        f"resume with: glamor-gym train --run-dir '{folder}'\n"
    )


def test_characters_that_a_terminal_does_not_know_end_no_command(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="latin-1"))
    with pytest.raises(SystemExit) as ended:
        main(["tasks"])
    assert ended.value.code == 0
    assert b"{?1, 0, 1}^A" in written.getvalue()  # a minus sign that latin-1 lacks


@pytest.mark.parametrize("words", ["--version", "train --help", "tasks"])
def test_output_that_nobody_reads_on_ends_the_command_without_a_traceback(words, monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        with pytest.raises(SystemExit) as ended:
            main(words.split())
    assert ended.value.code == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
@pytest.mark.parametrize("words", ["--version", "train --help", "tasks"])
def test_output_that_finds_no_room_is_told_in_one_line(words, capsys, monkeypatch):
    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        code, _, err = run(capsys, *words.split())
    assert code == 1
    assert err == "glamor-gym: [Errno 28] No space left on device\n"


def test_what_was_printed_before_a_disk_was_full_is_kept(tmp_path, monkeypatch):
    def fill(_):
        print("kept")
        raise OSError(28, "No space left on device", "another file")

    monkeypatch.setattr(cli, "_understand_and_carry_out", fill)
    with (tmp_path / "output").open("w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        with pytest.raises(SystemExit):
            main([])
    assert (tmp_path / "output").read_text() == "kept\n"


def test_a_command_needs_no_standard_output(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)  # as after ``>&-``
    with pytest.raises(SystemExit) as ended:
        main(["tasks"])
    assert ended.value.code == 0


def test_an_evaluation_does_not_replace_that_of_a_run(trained, capsys):
    before = trained.evaluation_file.read_bytes()
    err = refused(capsys, "evaluate", str(trained.path), "--out", str(trained.path))
    assert f"--out must not be the folder of a run, with results of its own: {trained.path}" in err
    assert trained.evaluation_file.read_bytes() == before


def test_evaluation_goals_of_a_file_are_played(trained, capsys, tmp_path):
    file = tmp_path / "own.npz"
    load_goal_set("GridWorld").save(file)
    code, out, _ = run(capsys, "evaluate", str(trained.path), "--goals", f"{file}:eval")
    assert code == 0
    folder = f"evaluation-own_eval-{hashlib.sha256(file.read_bytes()).hexdigest()[:8]}"
    assert str(trained.path / folder) in out
    assert load_result(trained.path / folder / "evaluation.json").episodes == 30


def test_results_on_files_of_goals_with_the_same_name_are_kept_apart(
    trained, capsys, tmp_path, monkeypatch
):
    def play(*_, **__):
        raise ValueError("not played")

    folders = []
    monkeypatch.setattr("glamor_gym.commands.evaluate.check_writable", folders.append)
    monkeypatch.setattr("glamor_gym.commands.evaluate.Arena", play)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.npz").write_text(name)
    monkeypatch.chdir(tmp_path)
    for goals in ("one/train.npz", "two/train.npz", "two/train.npz:eval", "train"):
        assert "not played" in refused(capsys, "evaluate", str(trained.path), "--goals", goals)
    assert len({*folders}) == 4


def test_an_evaluation_is_kept_though_standard_output_is_closed(
    trained, capsys, tmp_path, monkeypatch
):
    def closed(self, *_):
        raise BrokenPipeError

    monkeypatch.setattr(rich.console.Console, "print", closed)
    code, _, _ = run(capsys, "evaluate", str(trained.path), "--out", str(tmp_path))
    assert code == 1
    assert load_result(tmp_path / "evaluation.json").episodes > 0
    assert list(tmp_path.glob("goal-*.webp"))


def test_a_folder_with_brackets_is_named_as_it_is(trained, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained.path, "[old]/[/red]")
    code, out, _ = run(capsys, "evaluate", "[old]/[/red]", "--episodes-per-goal", "1")
    assert code == 0
    assert "│ [old]/[/red] │" in out
