from __future__ import annotations

import dataclasses
import gc
import hashlib
import os
import re
import shutil
import signal
import weakref

import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback

from glamor_gym.agents import GlamorAgent
from glamor_gym.evaluation import RunFolder, evaluate, save_result
from glamor_gym.experiments import runs
from glamor_gym.experiments.execution import PlayedRun
from glamor_gym.experiments.folders import ExperimentFolder, jobs_to_do, run_name
from glamor_gym.experiments.run_config import is_finished, new_config
from glamor_gym.experiments.runs import planned_by, prepare_run, train_run
from glamor_gym.experiments.status import read_status
from glamor_gym.experiments.worker import run_job
from glamor_gym.files import LOCK_FILE, FolderInUseError, lock_folder
from glamor_gym.interruption import EndedBySignal
from glamor_gym.planners import PlannerSettings
from tests.experiments.small_runs import SMALL, job_for, player_spec, small_spec


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    train_run(small_spec(), folder, command="first", device="cpu")
    return folder


@pytest.fixture
def copied(finished, tmp_path):
    """That run in a folder of its own, where it may be changed."""
    shutil.copytree(finished.path, tmp_path, dirs_exist_ok=True)
    return RunFolder(tmp_path)


def test_a_run_takes_its_steps_and_is_then_finished(tmp_path):
    spec, folder = small_spec(), RunFolder(tmp_path)
    assert not is_finished(spec, folder)
    result = train_run(spec, folder, command="typed", device="cpu")
    assert result.success_rate == folder.evaluation().success_rate
    assert len(result.frames) == len(folder.evaluation().frames) > 0
    config = folder.config()
    assert config.finished
    assert (config.algorithm, config.commands) == ("glamor", ["typed"])
    table = folder.metrics().dropna(subset=["eval/success_rate"])
    assert table["step"].tolist() == [100, 200]
    assert is_finished(spec, folder)
    assert not is_finished(dataclasses.replace(spec, steps=300), folder)
    assert not is_finished(dataclasses.replace(spec, episodes_per_goal=2), folder)


def test_a_checkpoint_of_unknown_settings_is_not_continued(copied):
    copied.config_file.unlink()
    with pytest.raises(ValueError, match=r"holds a checkpoint but no config\.json"):
        prepare_run(small_spec(seed=7), copied, command="again", device="cpu")


def test_a_finished_run_goes_on_to_more_steps(copied):
    save_result(copied.evaluation(), copied.held_out_file)
    train_run(small_spec(episodes_per_goal=2), copied, command="again", device="cpu")
    assert copied.held_out() is not None  # of the very agent
    more = prepare_run(small_spec(steps=300), copied, command="second", device="cpu")
    assert more.steps_taken == 200
    assert not copied.config().finished
    more.complete()
    assert copied.held_out() is None
    assert copied.config().commands == ["first", "again", "second"]
    assert copied.metrics()["step"].max() == 300
    with pytest.raises(ValueError, match="a run of 300 steps, more than 200"):
        is_finished(small_spec(), copied)


def test_a_run_names_every_source_and_machine_that_it_was_made_with(tmp_path, monkeypatch):
    def train(name, commit, hardware, **changes):
        monkeypatch.setattr(runs, "source_commit", lambda: commit)
        monkeypatch.setattr(runs, "hardware_of", lambda agent: hardware)
        folder = RunFolder(tmp_path / name)
        train_run(small_spec(**changes), folder, command="", device="cpu")
        return folder.config().commit, folder.config().hardware

    assert train("a", "abc", "one") == ("abc", "one")
    assert train("a", "def", "two", steps=220) == ("abc; def", "one; two")
    # Evaluated again by the first, and from outside a checkout.
    assert train("a", "abc", "one", steps=220, episodes_per_goal=2) == ("abc; def", "one; two")
    assert train("a", "", "two", steps=220, episodes_per_goal=3) == ("abc; def", "one; two")
    # What begins anew has nothing of what was before.
    assert train("b", "abc", "one", **PPO) == ("abc", "one")
    assert train("b", "def", "two", **PPO, steps=220) == ("def", "two")


@pytest.mark.parametrize("is_finished", [True, False])
def test_a_run_that_has_lost_its_checkpoint_is_not_begun_anew(copied, is_finished):
    copied.write_config(dataclasses.replace(copied.config(), finished=is_finished))
    shutil.rmtree(copied.checkpoint_folder)
    before = {file: file.read_bytes() for file in copied.path.iterdir() if file.is_file()}
    spec = small_spec(steps=300)
    told = re.escape(f"{copied.path} holds a run without its checkpoint")
    with pytest.raises(ValueError, match=f"{told}.* choose another folder"):
        prepare_run(spec, copied, command="again", device="cpu")
    experiment = ExperimentFolder(copied.path)
    experiment.runs.mkdir()
    (experiment.runs / run_name(spec)).symlink_to(copied.path)
    with pytest.raises(ValueError, match="holds a run without its checkpoint"):
        jobs_to_do([spec], experiment, command="")
    assert {file: file.read_bytes() for file in before} == before


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(finished, tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_config(dataclasses.replace(finished.config(), finished=False))
    assert prepare_run(small_spec(), folder, command="again", device="cpu").steps_taken == 0


@pytest.fixture
def agents(monkeypatch):
    """Weak references to the agents that runs make, and the states of their environments."""
    made, closed = [], []
    agent_of, collector_of = runs._agent, runs.make_collector

    def make_agent(*arguments):
        agent = agent_of(*arguments)
        made.append(weakref.ref(agent))
        return agent

    def make_collector(*arguments, **named):
        env = collector_of(*arguments, **named)
        number, close = len(closed), env.close
        closed.append(0)

        def closing():
            closed[number] += 1
            close()

        env.close = closing
        return env

    monkeypatch.setattr(runs, "_agent", make_agent)
    monkeypatch.setattr(runs, "make_collector", make_collector)
    return made, closed


@pytest.mark.parametrize("algorithm", ["glamor", "dqn-her"])
def test_nothing_of_a_run_stays_in_memory(tmp_path, agents, algorithm):
    made, closed = agents
    overrides = SMALL if algorithm == "glamor" else {"learning_starts": 50}
    spec = small_spec(algorithm=algorithm, overrides=overrides)
    gc.disable()  # or chance may free it
    try:
        result = train_run(spec, RunFolder(tmp_path), command="", device="cpu")
        freed = [agent() is None for agent in made]
    finally:
        gc.enable()
    assert result.episodes == 30
    assert freed == [True]
    assert closed == [1]


def test_the_environments_of_a_run_that_breaks_off_are_closed(tmp_path, finished, agents):
    _, closed = agents
    broken_off(small_spec(), RunFolder(tmp_path / "a"), step=80)
    assert closed == [1]
    with pytest.raises(ValueError, match="n_trials"):
        prepare_run(small_spec(overrides={"n_trials": 0}), RunFolder(tmp_path / "b"), command="")
    assert closed == [1, 1]
    with pytest.raises(ValueError, match="steps must be at least"):
        prepare_run(small_spec(steps=100), finished, command="", device="cpu")
    assert closed == [1, 1, 1]


class Killed(BaseException):
    """What ends a process without any of its last words."""


class KillAt(BaseCallback):
    def __init__(self, step):
        super().__init__()
        self._step = step

    def _on_step(self):
        if self.num_timesteps >= self._step:
            raise Killed
        return True


def broken_off(spec, folder, step):
    with pytest.raises(Killed):
        train_run(spec, folder, command="", device="cpu", callbacks=[KillAt(step)])


def test_an_extension_that_is_killed_early_keeps_the_evaluation_before_it(copied):
    before = copied.metrics().dropna(subset=["eval/success_rate"])
    assert before["step"].tolist() == [100, 200]
    broken_off(small_spec(steps=400), copied, step=230)  # without another checkpoint
    train_run(small_spec(steps=400), copied, command="again", device="cpu")
    after = copied.metrics().dropna(subset=["eval/success_rate"])
    assert after["step"].tolist() == [100, 200, 300, 400]
    assert after["eval/success_rate"].tolist()[:2] == before["eval/success_rate"].tolist()


@pytest.mark.usefixtures("no_nohup")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_end_algorithms_without_checkpoints_as_ctrl_c_does(tmp_path, number, code):
    class Terminate(BaseCallback):
        def _on_step(self):
            if self.num_timesteps >= 120:
                os.kill(os.getpid(), number)
            return True

    folder = RunFolder(tmp_path)
    handler = signal.getsignal(number)
    spec = small_spec(algorithm="dqn-her", overrides={"learning_starts": 50})
    with pytest.raises(EndedBySignal) as ended:
        train_run(spec, folder, command="", device="cpu", callbacks=[Terminate()])
    assert ended.value.exit_code == code
    assert folder.library_agent_file.is_file()
    assert not folder.config().finished
    assert signal.getsignal(number) is handler


def test_the_seconds_of_a_process_that_is_killed_are_kept(tmp_path):
    folder = RunFolder(tmp_path)
    broken_off(small_spec(eval_every=60), folder, step=80)
    before = folder.config().train_seconds
    assert before > 0
    train_run(small_spec(eval_every=60), folder, command="", device="cpu")
    assert folder.config().train_seconds > before


def test_the_minutes_of_a_run_are_those_of_all_its_processes(tmp_path):
    folder, spec = RunFolder(tmp_path), small_spec(steps=300, minutes=60, checkpoint_minutes=1e-6)
    broken_off(spec, folder, step=80)
    folder.write_config(dataclasses.replace(folder.config(), train_seconds=3600.0))
    train_run(spec, folder, command="", device="cpu")
    assert folder.config().finished
    assert folder.metrics()["step"].max() <= 80
    assert is_finished(spec, folder)
    assert not is_finished(dataclasses.replace(spec, minutes=61), folder)
    folder.write_config(dataclasses.replace(folder.config(), train_seconds=3000.0))
    train_run(dataclasses.replace(spec, minutes=61), folder, command="", device="cpu")
    assert folder.metrics()["step"].max() == 300
    assert 3000.0 < folder.config().train_seconds < 3660.0


def test_a_library_that_cannot_resume_begins_anew(tmp_path):
    spec, folder = (
        small_spec(algorithm="ppo", overrides={"n_steps": 32, "batch_size": 64}),
        RunFolder(tmp_path),
    )
    train_run(spec, folder, command="first", device="cpu")
    assert folder.library_agent_file.is_file()
    assert not folder.agent_file.is_file()
    again = prepare_run(
        dataclasses.replace(spec, steps=250), folder, command="second", device="cpu"
    )
    assert again.steps_taken == 0
    again.complete()
    table = folder.metrics().dropna(subset=["eval/success_rate"])
    assert table["step"].tolist() == [100, 200, 250]


def test_algorithms_without_a_replay_keep_to_the_budget_too(tmp_path):
    # 200 steps are no multiple of the 2 × 64 steps of a rollout.
    spec = small_spec(algorithm="ppo", overrides={"n_steps": 64})
    train_run(spec, RunFolder(tmp_path), command="", device="cpu")
    assert RunFolder(tmp_path).metrics()["step"].max() == 200


def test_a_player_has_one_evaluation_and_no_checkpoint(tmp_path):
    folder = RunFolder(tmp_path)
    result = train_run(player_spec(), folder, command="typed")
    assert result.success_rate == result.random
    assert folder.metrics()["eval/success_rate"].tolist() == [pytest.approx(result.random)]
    assert folder.config().finished
    assert not folder.holds_a_checkpoint()


def test_a_run_does_not_change_on_its_way(finished):
    with pytest.raises(ValueError, match="seed 0, got 3"):
        prepare_run(small_spec(seed=3), finished, command="", device="cpu")


def test_a_run_cannot_have_fewer_steps_than_it_has_taken(finished):
    taken = finished.config().steps
    with pytest.raises(ValueError, match=f"steps must be at least the {taken} .* got 100"):
        prepare_run(small_spec(steps=100), finished, command="", device="cpu")
    assert finished.config().steps == taken


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"task": "GridWrold"}, "did you mean GridWorld"),
        ({"algorithm": "glamr"}, "did you mean glamor"),
        ({"preset": "compcat"}, "did you mean compact"),
        ({"steps": 0}, "steps must be an integer ≥ 1, got 0"),
        ({"seed": -1}, "seed must be an integer ≥ 0, got -1"),
        ({"minutes": 0.0}, "minutes must be a finite number above 0"),
        ({"minutes": float("inf")}, "minutes must be a finite number above 0, got inf"),
        ({"checkpoint_minutes": float("nan")}, "checkpoint_minutes must be a finite number"),
        ({"planner": {"n_trials": 1}}, "planner must be empty unless trained_in"),
        ({"env_kwargs": {"goals": "eval"}}, "env_kwargs must not contain goals"),
        ({"env_kwargs": {"render_mode": None}}, "not contain render_mode, .* got render_mode=None"),
    ],
)
def test_a_spec_is_checked_when_it_is_made(changes, told):
    with pytest.raises(ValueError, match=told):
        small_spec(**changes)


def test_the_agent_of_another_run_is_evaluated_without_training(finished):
    def evaluated(name, **changes):
        spec = small_spec(trained_in=finished.path.name, **changes)
        folder = RunFolder(finished.path.parent / name)
        result = train_run(spec, folder, command="", device="cpu")
        assert is_finished(spec, folder)
        assert not folder.holds_a_checkpoint()
        return result

    there = finished.evaluation()
    same = evaluated("same", planner={"n_trials": 50})  # which is what it has anyway
    assert (same.per_goal, same.mean_length) == (there.per_goal, there.mean_length)
    hasty = evaluated("hasty", planner={"n_trials": 1, "guided": False})
    agent = GlamorAgent.load(finished.agent_file, device="cpu")
    agent.planner = PlannerSettings(n_trials=1, guided=False, gamma=agent.gamma, stop_first=True)
    assert hasty.per_goal == evaluate(agent, "GridWorld", baselines=False).per_goal
    assert (hasty.per_label, hasty.mean_length) != (there.per_label, there.mean_length)
    other = evaluated("other", goals="held-out")
    assert other.goals_hash != there.goals_hash
    assert len(other.per_goal) < 30  # the grid has no more


def test_an_evaluation_of_another_agent_than_its_trainers_is_not_finished(finished, tmp_path):
    trainer, folder = RunFolder(tmp_path / "trained"), RunFolder(tmp_path / "judged")
    shutil.copytree(finished.path, trainer.path)
    spec = small_spec(trained_in="trained", planner={"n_trials": 1})
    train_run(spec, folder, command="", device="cpu")
    agent = trainer.agent_file.read_bytes()
    assert folder.config().trainer_sha256 == hashlib.sha256(agent).hexdigest()
    assert is_finished(spec, folder)
    trainer.agent_file.unlink()  # for want of space
    assert is_finished(spec, folder)
    trainer.agent_file.write_bytes(b"an agent that was trained anew")
    assert not is_finished(spec, folder)
    recorded = folder.config()
    folder.write_config(dataclasses.replace(recorded, trainer_sha256=""))  # as in older runs
    assert is_finished(spec, folder)
    folder.write_config(recorded)
    shutil.rmtree(trainer.path)
    assert not is_finished(spec, folder)


def test_an_evaluation_names_the_hardware_that_its_agent_computes_on(
    finished, tmp_path, monkeypatch
):
    agent = GlamorAgent.load(finished.agent_file, device="cpu")
    agent.device = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "get_device_name", "a GPU: {}".format)
    run = PlayedRun(new_config(small_spec()), RunFolder(tmp_path), None, agent)
    assert run.config.hardware == "a GPU: cuda"


def test_a_run_that_is_not_finished_has_no_agent_to_evaluate(tmp_path):
    spec = small_spec(trained_in="nothing", planner={"n_trials": 1})
    with pytest.raises(ValueError, match="trained_in must name a finished run, got 'nothing'"):
        prepare_run(spec, RunFolder(tmp_path / "run"), command="", device="cpu")
    assert not (tmp_path / "run").exists()


def test_only_agents_that_plan_can_be_made_to_plan_otherwise():
    with pytest.raises(TypeError, match="object does not plan"):
        planned_by(object(), {"n_trials": 1})
    agent = object()
    assert planned_by(agent, {}) is agent


def test_nothing_is_written_for_a_run_that_cannot_be(tmp_path):
    with pytest.raises(ValueError, match="n_trials"):
        prepare_run(small_spec(overrides={"n_trials": 0}), RunFolder(tmp_path / "run"), command="")
    assert not (tmp_path / "run").exists()


PPO = {"algorithm": "ppo", "overrides": {"n_steps": 32, "batch_size": 64, "n_epochs": 1}}


def test_a_finished_run_that_cannot_go_on_is_not_begun_anew(tmp_path):
    spec, folder = small_spec(**PPO), RunFolder(tmp_path)
    train_run(spec, folder, command="first", device="cpu")
    before = folder.metrics()
    with pytest.raises(ValueError, match="holds a finished run of 200 steps, and runs of ppo"):
        prepare_run(spec, folder, command="second", device="cpu")
    assert folder.metrics().equals(before)
    assert folder.config().finished


def test_a_job_whose_run_another_process_has_finished_leaves_it_as_it_is(tmp_path):
    job = job_for(small_spec(**PPO), tmp_path)
    folder = RunFolder(job.folder)
    train_run(job.spec, folder, command="theirs", device="cpu")
    before = folder.metrics()
    run_job(job)
    assert read_status(job.folder).state == "finished"
    assert folder.config().commands == ["theirs"]
    assert folder.metrics().equals(before)


def test_a_run_is_not_begun_on_what_another_process_has_changed_since(tmp_path, monkeypatch):
    spec, folder = small_spec(), RunFolder(tmp_path)
    hardware_of = runs.hardware_of

    def meanwhile(agent):
        monkeypatch.undo()
        train_run(spec, folder, command="theirs", device="cpu")
        return hardware_of(agent)

    monkeypatch.setattr(runs, "hardware_of", meanwhile)
    with pytest.raises(FolderInUseError, match=r"has changed the run in .* repeat the command"):
        train_run(spec, folder, command="ours", device="cpu")
    assert folder.config().finished
    assert folder.config().commands == ["theirs"]
    with lock_folder(tmp_path):  # nobody holds it any more
        assert is_finished(spec, folder)


def test_off_policy_algorithms_with_long_rollouts_keep_to_the_budget_too(tmp_path):
    spec = small_spec(algorithm="dqn-her", overrides={"train_freq": 40}, steps=60, n_envs=1)
    train_run(spec, RunFolder(tmp_path), command="", device="cpu")
    assert RunFolder(tmp_path).metrics()["step"].max() == 60


def test_held_out_goals_seen_by_an_agent_on_its_way_are_not_those_of_the_last(tmp_path):
    class Meanwhile(BaseCallback):
        def _on_step(self) -> bool:
            if self.num_timesteps == 100:
                result = evaluate(
                    self.model, "glamor/GridWorld-v0", goals="held-out", baselines=False
                )
                save_result(result, folder.held_out_file)
            return True

    folder = RunFolder(tmp_path)
    train_run(small_spec(), folder, command="", device="cpu", callbacks=[Meanwhile()])
    assert folder.held_out() is None


@pytest.mark.parametrize("spec", [small_spec(), player_spec()])
def test_a_table_that_is_not_of_a_run_is_refused_before_anything_is_written(tmp_path, spec):
    folder = RunFolder(tmp_path)
    folder.metrics_file.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"metrics\.csv is damaged"):
        prepare_run(spec, folder, command="")
    assert not folder.holds_a_run()
    assert (tmp_path / LOCK_FILE).read_text() == ""  # others can use the folder
