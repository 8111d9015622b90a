"""What is finished is kept: no training and no measurement is made twice."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal

import pandas as pd
import pytest

from glamor_gym.agents import GlamorAgent, TrainingInterrupted
from glamor_gym.evaluation import RandomAgent, RunFolder, evaluate
from glamor_gym.evaluation import callback as callback_module
from glamor_gym.experiments import RunSpec
from glamor_gym.experiments.paper import workshop as workshop_module
from glamor_gym.experiments.paper.workshop import (
    CannotReuseError,
    Workshop,
    distinct_name,
    snapshot_file,
)

SPEC = RunSpec(
    "GridWorld",
    preset="small",
    overrides={"learning_starts": 30, "batch_size": 16, "policy_kwargs": {"embedding_size": 16}},
    steps=80,
    n_envs=2,
    eval_every=80,
    episodes_per_goal=1,
)
LOOKS = (40, 80)


@pytest.fixture
def shop(tmp_path):
    return Workshop(tmp_path, command="glamor-gym reproduce …", device="cpu")


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    path = tmp_path_factory.mktemp("workshop")
    Workshop(path, command="", device="cpu").trained(SPEC, LOOKS)
    return path


@pytest.fixture
def stocked(trained_once, shop):
    """A workshop in which that run is there already."""
    shutil.copytree(trained_once, shop.path, dirs_exist_ok=True)
    return shop


@pytest.fixture
def trainings(monkeypatch):
    """The folders of the trainings that were begun, in order."""
    begun = []
    train = workshop_module.train_run

    def counted(spec, folder, **arguments):
        begun.append(folder.path.name)
        return train(spec, folder, **arguments)

    monkeypatch.setattr(workshop_module, "train_run", counted)
    return begun


def test_a_finished_run_is_not_trained_again(shop, trainings):
    first, second = shop.trained(SPEC, LOOKS), shop.trained(SPEC, LOOKS)
    assert len(trainings) == 1
    assert first.folder.path == second.folder.path
    assert second.folder.config().steps == 80
    assert list(shop.used) == [first.name]


def test_it_keeps_an_agent_for_every_look(stocked):
    trained = stocked.trained(SPEC, LOOKS)
    early, late = (trained.agent(step) for step in LOOKS)
    assert (early.num_timesteps, late.num_timesteps) == LOOKS
    assert early._n_updates < late._n_updates
    # The last one is the agent as the run left it, with its last update.
    final = type(late).load(trained.folder.agent_file)
    for name, weight in final.policy.state_dict().items():
        assert weight.equal(late.policy.state_dict()[name])


def test_a_run_that_was_broken_off_goes_on(shop, trainings, monkeypatch):
    class Interrupted(KeyboardInterrupt):
        pass

    keep = workshop_module.Snapshots._on_step

    def interrupt(self):
        if self.num_timesteps >= 60:
            raise Interrupted
        return keep(self)

    with monkeypatch.context() as patch:
        patch.setattr(workshop_module.Snapshots, "_on_step", interrupt)
        with pytest.raises(Interrupted):
            shop.trained(SPEC, LOOKS)
    assert shop.used == {}
    assert shop.trained(SPEC, LOOKS).agent(80).num_timesteps == 80
    assert len(trainings) == 2


def test_the_name_of_a_run_tells_it_from_any_other():
    others = [
        dataclasses.replace(SPEC, seed=1),
        dataclasses.replace(SPEC, steps=81),
        dataclasses.replace(SPEC, algorithm="gcsl"),
        dataclasses.replace(SPEC, overrides={}),
        dataclasses.replace(SPEC, env_kwargs={"horizon": 5}),
    ]
    names = {distinct_name(spec, LOOKS) for spec in (SPEC, *others)} | {distinct_name(SPEC, (80,))}
    assert len(names) == len(others) + 2
    assert distinct_name(SPEC, LOOKS) == distinct_name(dataclasses.replace(SPEC), list(LOOKS))


def test_a_run_of_what_the_preset_was_before_is_refused(stocked, monkeypatch):
    before = GlamorAgent.preset
    monkeypatch.setattr(GlamorAgent, "preset", lambda name: before(name) | {"gamma": 0.123})
    with pytest.raises(CannotReuseError, match=r"gamma 0\.\d+, got 0\.123; choose another"):
        stocked.trained(SPEC, LOOKS)


def test_a_run_of_what_was_the_default_preset_before_is_refused(shop):
    spec = dataclasses.replace(SPEC, preset=None)  # small
    folder = shop.trained(spec, LOOKS).folder
    folder.write_config(dataclasses.replace(folder.config(), preset="compact"))
    with pytest.raises(CannotReuseError, match=r"preset compact, got small; choose another"):
        shop.trained(spec, LOOKS)


def test_a_run_whose_configuration_is_damaged_is_told(stocked):
    folder = stocked.trained(SPEC, LOOKS).folder
    folder.config_file.write_text("{")
    with pytest.raises(CannotReuseError, match=r"config\.json is damaged: .*; remove /"):
        stocked.trained(SPEC, LOOKS)


def test_a_run_that_was_judged_on_goals_of_before_is_refused(stocked):
    file = stocked.trained(SPEC, LOOKS).folder.evaluation_file
    file.write_text(json.dumps(json.loads(file.read_text()) | {"goals_hash": "0123456789abcdef"}))
    told = "goals of GridWorld have changed since: .* was judged on 0123456789ab, got "
    with pytest.raises(CannotReuseError, match=told):
        stocked.trained(SPEC, LOOKS)


def test_measurements_of_an_agent_that_was_removed_are_not_those_of_the_next(stocked):
    trained = stocked.trained(SPEC, LOOKS)
    name, other = f"{trained.name}/80", "dice/80"
    for number, measured in enumerate((name, other)):
        stocked.measured(measured, lambda number=number: pd.DataFrame({"a": [number]}))
    stocked.trained(SPEC, LOOKS)  # the same agent
    assert stocked.measured(name, lambda: pd.DataFrame({"a": [2]}))["a"].item() == 0
    shutil.rmtree(trained.folder.path)
    stocked.trained(SPEC, LOOKS)
    assert stocked.measured(name, lambda: pd.DataFrame({"a": [3]}))["a"].item() == 3
    assert stocked.measured(other, lambda: pd.DataFrame({"a": [4]}))["a"].item() == 1


def test_a_measurement_is_taken_once(shop):
    taken = []

    def measure():
        taken.append(1)
        return pd.DataFrame({"a": [1, 2], "b": [0.5, 0.25]})

    first, second = shop.measured("some/thing", measure), shop.measured("some/thing", measure)
    assert taken == [1]
    pd.testing.assert_frame_equal(first, second)
    assert second["b"].tolist() == [0.5, 0.25]


def test_a_measurement_that_breaks_leaves_nothing(shop, tmp_path):
    def broken():
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        shop.measured("thing", broken)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))
    assert shop.measured("thing", lambda: pd.DataFrame({"a": [3]}))["a"].item() == 3


def interrupted_evaluation(monkeypatch, times):
    """Have Ctrl-C come so often within the evaluation at the end."""
    played = callback_module.evaluate

    def interrupted(*arguments, **options):
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
        return played(*arguments, **options)

    monkeypatch.setattr(callback_module, "evaluate", interrupted)


def test_a_run_that_was_broken_off_in_its_last_evaluation_keeps_its_last_agent(shop, monkeypatch):
    with monkeypatch.context() as patch:
        interrupted_evaluation(patch, times=2)
        with pytest.raises(KeyboardInterrupt):
            shop.trained(SPEC, LOOKS)
    assert shop.trained(SPEC, LOOKS).agent(80).num_timesteps == 80


def test_a_finished_run_without_its_last_agent_gets_it(stocked):
    trained = stocked.trained(SPEC, LOOKS)
    snapshot_file(trained.folder, 80).unlink()
    assert stocked.trained(SPEC, LOOKS).agent(80).num_timesteps == 80


def test_the_last_agent_is_not_taken_for_an_earlier_one(stocked):
    trained = stocked.trained(SPEC, LOOKS)
    snapshot_file(trained.folder, 40).unlink()
    with pytest.raises(CannotReuseError, match="lacks snapshots of earlier steps"):
        stocked.trained(SPEC, LOOKS)
    assert not snapshot_file(trained.folder, 40).exists()


def test_a_run_that_has_lost_its_checkpoint_is_not_begun_anew(stocked):
    folder = stocked.trained(SPEC, LOOKS).folder
    shutil.rmtree(folder.checkpoint_folder)
    stocked.trained(SPEC, LOOKS)  # nothing of it is missing
    snapshot_file(folder, 80).unlink()
    with pytest.raises(CannotReuseError, match="holds a run without its checkpoint"):
        stocked.trained(SPEC, LOOKS)
    assert folder.config().finished


def test_a_finished_run_without_its_evaluation_is_evaluated_again(stocked):
    file = stocked.trained(SPEC, LOOKS).folder.evaluation_file
    for damage in (file.unlink, lambda: file.write_text("{")):
        damage()
        assert stocked.trained(SPEC, LOOKS).result.episodes == 30


def test_ctrl_c_in_the_last_evaluation_ends_the_command_after_it(shop, monkeypatch):
    interrupted_evaluation(monkeypatch, times=1)
    with pytest.raises(TrainingInterrupted):
        shop.trained(SPEC, LOOKS)
    folder = RunFolder(shop.path / "runs" / distinct_name(SPEC, LOOKS))
    assert folder.config().finished
    assert snapshot_file(folder, 80).is_file()


@pytest.mark.parametrize("content", ["x\n", "", 'a,b\n1,2,3\n4\n"\n'])
def test_a_damaged_measurement_is_named(tmp_path, content):
    workshop = Workshop(tmp_path, command="", device="cpu")
    file = tmp_path / "measurements" / "one.csv"
    file.parent.mkdir()
    file.write_text(content)
    with pytest.raises(CannotReuseError, match=r"one\.csv is damaged"):
        workshop.measured("one", lambda: 1 / 0)


@pytest.fixture(scope="module")
def result():
    return evaluate(RandomAgent(4), "GridWorld", baselines=False, record=0)


@pytest.mark.parametrize("content", ["", "{}", "[1"])
def test_a_damaged_evaluation_is_named(shop, tmp_path, result, content):
    shop.evaluated("one", lambda: result)
    (tmp_path / "measurements" / "one.json").write_text(content)
    with pytest.raises(CannotReuseError, match=r"one\.json is damaged: .*; remove it"):
        shop.evaluated("one", lambda: 1 / 0)


@pytest.mark.parametrize("lost", ["one.json", "one.npz"])
def test_an_evaluation_of_which_a_file_is_missing_is_made_again(shop, tmp_path, result, lost):
    made = []

    def measure():
        made.append(1)
        return result

    for _ in range(2):
        assert shop.evaluated("one", measure).per_goal == result.per_goal
    assert len(made) == 1
    (tmp_path / "measurements" / lost).unlink()
    shop.evaluated("one", measure)
    assert len(made) == 2
    assert (tmp_path / "measurements" / lost).is_file()
