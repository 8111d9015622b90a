"""What is asked for against what is there; nothing is trained for it."""

from __future__ import annotations

import dataclasses

import pytest

from glamor_gym.evaluation import RunFolder, evaluate
from glamor_gym.evaluation.baselines import RandomAgent
from glamor_gym.experiments.run_config import check_alike, config_of, is_finished, new_config
from tests.experiments.small_runs import SMALL, player_spec, small_spec


@pytest.fixture
def folder(tmp_path):
    """A folder with a run that has only just begun."""
    folder = RunFolder(tmp_path)
    folder.write_config(new_config(small_spec()))
    return folder


@pytest.fixture(scope="module")
def result():
    return evaluate(RandomAgent(4), "GridWorld", baselines=False, record=0)


def test_a_new_run_has_what_was_asked_for_and_the_presets_for_the_rest():
    config = new_config(small_spec(overrides={**SMALL, "batch_size": 30}, seed=5))
    assert (config.task, config.algorithm, config.agent) == (
        "glamor/GridWorld-v0",
        "glamor",
        "GlamorAgent",
    )
    assert (config.seed, config.settings["batch_size"]) == (5, 30)
    assert "policy_kwargs" not in config.settings
    assert not config.finished


def test_the_same_again_is_the_run_that_is_there(folder):
    assert config_of(small_spec(), folder) == folder.config()


def test_a_tuple_is_what_the_file_keeps_it_as(tmp_path):
    folder = RunFolder(tmp_path)
    spec = player_spec(
        env_kwargs={"frame_size": (64, 64)}, planner={"lengths": (1, 2)}, trained_in="other"
    )
    folder.write_config(new_config(spec))
    assert config_of(spec, folder) == folder.config()
    other = dataclasses.replace(spec, env_kwargs={"frame_size": (64, 65)})
    with pytest.raises(ValueError, match=r"frame_size \[64, 64\], got \[64, 65\]"):
        config_of(other, folder)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"preset": "compact"}, "preset .* got compact"),
        ({"overrides": {**SMALL, "policy_kwargs": {"embedding_size": 7}}}, "embedding_size .* 7"),
        ({"overrides": {**SMALL, "batch_size": 30}}, "batch_size 20, got 30"),
        ({"n_envs": 1}, "n_envs 2, got 1"),
        ({"task": "Dice"}, "task glamor/GridWorld-v0, got glamor/Dice-v0"),
        ({"algorithm": "gcsl"}, "agent glamor, got gcsl"),
        ({"seed": 3}, "seed 0, got 3"),
        ({"env_kwargs": {"horizon": 5}}, "horizon None, got 5"),
        ({"goals": "held-out"}, "goals eval, got held-out"),
        ({"trained_in": "other"}, "trained_in , got other"),
    ],
)
def test_the_first_difference_is_told(folder, changes, told):
    with pytest.raises(ValueError, match=told):
        config_of(small_spec(**changes), folder)


def test_a_finished_run_that_cannot_go_on_is_not_evaluated_otherwise(tmp_path, result):
    spec = small_spec(algorithm="dqn-her", preset=None, overrides={}, n_envs=1)
    folder = RunFolder(tmp_path)
    folder.write_config(dataclasses.replace(new_config(spec), finished=True))
    folder.save_evaluation(result)
    assert is_finished(spec, folder)
    tries = spec.episodes_per_goal
    with pytest.raises(ValueError, match=f"episodes_per_goal {tries}, got {tries + 1}"):
        is_finished(dataclasses.replace(spec, episodes_per_goal=tries + 1), folder)


def test_a_run_is_finished_once_it_says_so_and_has_its_evaluation(folder, result):
    spec = small_spec()
    assert not is_finished(spec, RunFolder(folder.path / "empty"))
    assert not is_finished(spec, folder)
    folder.write_config(dataclasses.replace(folder.config(), finished=True))
    assert not is_finished(spec, folder)
    folder.save_evaluation(result)
    assert is_finished(spec, folder)
    assert not is_finished(small_spec(steps=spec.steps + 100), folder)
    with pytest.raises(ValueError, match=f"a run of {spec.steps} steps, more than 100"):
        is_finished(small_spec(steps=100), folder)
    folder.evaluation_file.write_text("{")  # damaged
    assert not is_finished(spec, folder)


def test_an_agent_that_does_not_learn_may_have_been_asked_for_more_steps(tmp_path, result):
    folder, spec = RunFolder(tmp_path), player_spec(steps=500)
    folder.write_config(dataclasses.replace(new_config(spec), finished=True))
    folder.save_evaluation(result)
    assert is_finished(spec, folder)
    assert not is_finished(player_spec(steps=100), folder)  # it is evaluated again


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"steps": 300}, "steps 200, got 300"),
        ({"minutes": 5.0}, r"minutes None, got 5\.0"),
        ({"eval_every": 50}, "eval_every 100, got 50"),
        ({"episodes_per_goal": 3}, "episodes_per_goal 1, got 3"),
        ({"n_envs": 1}, "n_envs 2, got 1"),
        ({"env_kwargs": {"horizon": 5}}, "horizon None, got 5"),
        ({"overrides": {**SMALL, "batch_size": 30}}, "batch_size 20, got 30"),
    ],
)
def test_runs_of_a_kind_stand_beside_each_other_and_no_others(folder, changes, told):
    check_alike(small_spec(seed=7), folder)
    check_alike(small_spec(task="Dice"), folder)
    check_alike(small_spec(steps=300, episodes_per_goal=3), folder, budget=False)
    check_alike(player_spec(n_envs=1), folder)  # another algorithm may have its own settings
    with pytest.raises(ValueError, match=told):
        check_alike(small_spec(**changes), folder)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"steps": 300, "eval_every": 100}, "steps 200, got 300"),
        ({"minutes": 5.0}, r"minutes None, got 5\.0"),
        ({"eval_every": 50}, "eval_every 100, got 50"),
        ({"episodes_per_goal": 3}, "episodes_per_goal 1, got 3"),
    ],
)
def test_all_algorithms_that_learn_have_the_same_budget(folder, changes, told):
    other = {"algorithm": "ppo", "overrides": {}, "n_envs": 1}
    check_alike(small_spec(**other), folder)
    with pytest.raises(ValueError, match=told):
        check_alike(small_spec(**other, **changes), folder)


def test_agents_that_do_not_learn_need_no_steps_but_are_evaluated_as_often(folder):
    check_alike(player_spec(steps=300, eval_every=50, minutes=5.0), folder)
    with pytest.raises(ValueError, match="episodes_per_goal 1, got 3"):
        check_alike(player_spec(episodes_per_goal=3), folder)
