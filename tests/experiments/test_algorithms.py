from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from stable_baselines3 import DQN
from stable_baselines3.common.env_util import make_vec_env

import glamor_gym  # noqa: F401  (registers the environments)
from glamor_gym.evaluation import NoopAgent, RandomAgent
from glamor_gym.experiments import ALGORITHMS, RunSpec, get_algorithm, preset_for
from glamor_gym.experiments.algorithms import is_trained, title_of
from glamor_gym.tasks import get_task

LEARNING = [name for name, algorithm in ALGORITHMS.items() if algorithm.learns]
OWN = ("glamor", "gcsl", "discern")
CLASSES = "tests.experiments.own_agents"


def test_the_table_has_what_was_promised():
    assert list(ALGORITHMS) == [
        *OWN, "dqn-her", "ppo", "qrdqn", "random", "noop",
    ]  # fmt: skip


@pytest.mark.parametrize("name", LEARNING)
def test_every_algorithm_is_built_saved_and_read_back(name, tmp_path):
    algorithm = get_algorithm(name)
    env = make_vec_env("glamor/GridWorld-v0", 2, env_kwargs=dict(algorithm.env_kwargs))
    arguments = algorithm.arguments(None, {})
    agent = algorithm.build(env, arguments, seed=3, device="cpu")
    assert agent.seed == 3
    file = tmp_path / ("agent.safetensors" if name in OWN else "agent.zip")
    agent.save(file)
    if name not in OWN:
        with pytest.raises(ValueError, match=r"loaded only with trust=True"):
            algorithm.load(file, device="cpu")
    again = algorithm.load(file, device="cpu", trust=True)
    observation = env.reset()
    first, _ = agent.predict(observation, deterministic=True)
    second, _ = again.predict(observation, deterministic=True)
    np.testing.assert_array_equal(first, second)


def test_a_file_without_such_an_agent_is_refused_by_its_name(tmp_path):
    env = make_vec_env("glamor/GridWorld-v0")
    whole, cut = tmp_path / "agent.zip", tmp_path / "cut.zip"
    DQN("MultiInputPolicy", env, buffer_size=10).save(whole)
    cut.write_bytes(whole.read_bytes()[:1000])
    for name, file in (("ppo", whole), ("dqn-her", cut)):
        with pytest.raises(ValueError, match=rf"{file.name} holds no agent of {name}, or is dam"):
            get_algorithm(name).load(file, device="cpu", trust=True)
    with pytest.raises(FileNotFoundError):
        get_algorithm("ppo").load(tmp_path / "none.zip", device="cpu", trust=True)


@pytest.mark.parametrize("name", LEARNING)
def test_building_leaves_the_arguments_as_they_are(name):
    algorithm = get_algorithm(name)
    arguments = algorithm.arguments(None, {})
    env = make_vec_env("glamor/GridWorld-v0", 1, env_kwargs=dict(algorithm.env_kwargs))
    algorithm.build(env, arguments, seed=0, device="cpu")
    assert arguments == algorithm.arguments(None, {})


def test_overrides_replace_settings_one_by_one():
    plain = get_algorithm("glamor").arguments("compact", {})
    changes = {"n_trials": 7, "policy_kwargs": {"token_size": 8}}
    changed = get_algorithm("glamor").arguments("compact", changes)
    assert changed["n_trials"] == 7
    assert changed["policy_kwargs"] == plain["policy_kwargs"] | {"token_size": 8}
    assert {name for name in plain if plain[name] != changed[name]} == {"n_trials", "policy_kwargs"}


@pytest.mark.parametrize(
    ("name", "preset", "overrides", "told"),
    [
        ("glamor", "papre", {}, "has no preset 'papre'; did you mean paper"),
        ("ppo", "compact", {}, "ppo has no preset 'compact'"),
        ("glamor", None, {"n_trails": 3}, "did you mean n_trials"),
        ("ppo", None, {"seed": 3}, "ppo has no setting 'seed'"),
        ("dqn-her", None, {"replay_buffer_class": "x"}, "has no setting 'replay_buffer_class'"),
        ("random", None, {"speed": 3}, "random has no setting 'speed'; there are none"),
        ("glamor", None, {"policy_kwargs": {"encodr": "tiny"}}, "no policy_kwargs 'encodr'; did"),
        ("gcsl", None, {"policy_kwargs": {"hidden_size": 8}}, "gcsl has no policy_kwargs"),
        # A setting of the agent, which hands it to its policy itself.
        ("glamor", None, {"policy_kwargs": {"weight_decay": 0}}, "no policy_kwargs 'weight_decay'"),
    ],
)
def test_what_is_not_there_is_refused_with_the_nearest(name, preset, overrides, told):
    with pytest.raises(ValueError, match=told):
        get_algorithm(name).arguments(preset, overrides)


@pytest.mark.parametrize(
    ("name", "overrides", "told"),
    [
        ("glamor", {"gamma": 7}, "gamma must be a finite number"),
        ("glamor", {"policy_kwargs": {"embedding_size": 0}}, "embedding_size must be an integer"),
        ("glamor", {"policy_kwargs": {"encoder": "huge"}}, "encoder must be one of"),
        ("gcsl", {"policy_kwargs": {"fusion": "soon"}}, "fusion must be one of"),
        ("discern", {"n_decoys": 0}, "n_decoys must be an integer"),
    ],
)
def test_values_are_checked_before_there_is_an_environment(name, overrides, told):
    algorithm = get_algorithm(name)
    with pytest.raises(ValueError, match=told):
        algorithm.checked_settings(algorithm.arguments(None, overrides))


@pytest.mark.parametrize("name", ["glamor", "gcsl", "discern"])
def test_the_values_of_presets_pass(name):
    algorithm = get_algorithm(name)
    for preset in algorithm.presets:
        algorithm.checked_settings(algorithm.arguments(preset, {}))


@pytest.mark.parametrize("name", ["ppo", "dqn-her"])
def test_a_library_has_the_settings_of_the_table(name):
    algorithm = get_algorithm(name)
    assert {"policy_kwargs", *algorithm.settings} <= set(algorithm.argument_names())


def test_a_library_checks_its_policies_itself():
    overrides = {"policy_kwargs": {"net_arch": [8]}}
    arguments = get_algorithm("ppo").arguments(None, overrides)
    assert arguments["policy_kwargs"] == {"net_arch": [8]}


def test_an_unknown_algorithm_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="unknown agent 'glamour'; did you mean glamor"):
        get_algorithm("glamour")


@pytest.mark.parametrize("name", OWN)
def test_the_table_names_every_preset_of_an_agent(name):
    algorithm = get_algorithm(name)
    assert set(algorithm.presets) == set(algorithm.agent_class().presets)


def test_a_class_of_ones_own_has_the_presets_of_the_agent_that_it_is_derived_from():
    variant, glamor = get_algorithm(f"{CLASSES}:Variant"), get_algorithm("glamor")
    assert (variant.name, variant.title) == (f"{CLASSES}:Variant", "Variant")
    assert variant.agent_class().__name__ == "Variant"
    assert variant.resumes
    assert variant.presets == glamor.presets
    for task in ("Pong", "Bowling", "cartpole-balance", "GridWorld"):
        preset = preset_for(task, variant.name)
        assert preset == preset_for(task, "glamor")
        assert variant.arguments(preset, {}) == glamor.arguments(preset, {})


@pytest.mark.parametrize(
    ("class_name", "task", "preset", "n_trials"),
    [
        ("Tuned", "Pong", "quick", 7),
        ("Tuned", "cartpole-balance", "quick", 7),  # compact-control is none of its presets
        ("Tuned", "GridWorld", "small", 9),
        ("Bare", "GridWorld", "default", None),
        ("Critic", "Bowling", "default", None),
    ],
)
def test_a_class_may_have_presets_of_its_own_or_none(class_name, task, preset, n_trials):
    name = f"{CLASSES}:{class_name}"
    assert preset_for(task, name) == preset
    assert get_algorithm(name).arguments(preset, {}).get("n_trials") == n_trials


def test_other_algorithms_of_stable_baselines3_are_named_by_their_class():
    algorithm = get_algorithm(f"{CLASSES}:Critic")
    assert not algorithm.resumes
    env = make_vec_env("glamor/GridWorld-v0")
    arguments = algorithm.arguments(None, {"n_steps": 3})
    agent = algorithm.build(env, arguments, seed=0, device="cpu")
    assert type(agent).__name__ == "Critic"
    assert agent.n_steps == 3


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (f"{CLASSES}:None", "cannot be imported: module .* has no attribute 'None'"),
        ("no_such_module:Agent", "cannot be imported: No module named 'no_such_module'"),
        (":Agent", "cannot be imported"),
        (f"{CLASSES}:A2C.learn", "must be a subclass of one of this library's agents or of an alg"),
        ("gymnasium:Env", "must be a subclass of one of this library's agents or of an algor"),
    ],
)
def test_what_is_no_agents_class_is_refused(name, told):
    with pytest.raises(ValueError, match=told):
        get_algorithm(name)


def test_names_are_told_without_importing_anything():
    assert [title_of(name) for name in ("glamor", "gone:Ape")] == ["GLAMOR", "Ape"]
    assert [is_trained(name) for name in ("ppo", "noop", "gone:Ape")] == [True, False, True]


def test_players_play_and_do_not_learn():
    assert isinstance(get_algorithm("random").player(5, seed=0), RandomAgent)
    noop = get_algorithm("noop")
    assert isinstance(noop.player(5, seed=0), NoopAgent)
    with pytest.raises(TypeError, match="does not learn"):
        noop.build(make_vec_env("glamor/Dice-v0"), {}, seed=0, device="cpu")


@pytest.mark.parametrize(
    ("name", "task", "preset"),
    [
        ("glamor", "Pong", "compact"),
        ("glamor", "Bowling", "compact-control"),
        ("gcsl", "Bowling", "compact"),
        ("glamor", "cartpole-balance", "compact-control"),
        ("gcsl", "GridWorld", "small"),
        ("glamor", "GridWorld", "small"),
        ("discern", "reacher-hard", "compact-control"),
        ("dqn-her", "cartpole-balance", "default"),
        ("noop", "Pong", "untrained"),
    ],
)
def test_the_usual_preset_is_that_of_the_task_or_its_suite(name, task, preset):
    assert RunSpec(task, name).chosen_preset == preset
    assert preset_for(task, name) == preset


def test_whether_a_game_moves_by_itself_is_told_by_its_row():
    still = dataclasses.replace(get_task("Pong"), moves_by_itself=False)
    assert get_algorithm("glamor").checked_preset(None, still) == "compact-control"
    assert get_algorithm("gcsl").checked_preset(None, still) == "compact"


def test_the_preset_of_an_environment_that_is_no_task_is_the_first():
    assert preset_for("mine/Room-v0") == "compact"
    assert preset_for("glamor/point_mass-easy-v0") == "compact-control"
    with pytest.raises(ValueError, match="unknown agent 'glamr'"):
        preset_for("Pong", "glamr")
    with pytest.raises(ValueError, match="must be a string"):
        preset_for(3)


def test_a_preset_that_was_chosen_is_kept():
    assert RunSpec("cartpole-balance", preset="paper").chosen_preset == "paper"
