import copy
import json
import pickle
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

from glamor_gym.registration import find_env_id, make_env, name_of_env, register_envs
from glamor_gym.tasks import TASKS

IDS = [task.id for task in TASKS.values()]
FEW = ["glamor/Pong-v0", "glamor/pendulum-swingup-v0", "glamor/GridWorld-v0"]


def same(one, two):
    """Are two observations or infos equal, arrays and nested dicts included?"""
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    return np.array_equal(one, two)


def trajectory(env, seed, steps=8):
    """Return all observations, rewards, ends and infos of two episodes with fixed actions."""
    rng = np.random.default_rng(seed)
    moments = []
    for episode in range(2):
        moments.append(env.reset(seed=seed if episode == 0 else None))
        for _ in range(steps):
            moments.append(env.step(int(rng.integers(env.action_space.n - 1))))
            if moments[-1][2] or moments[-1][3]:
                break
    return moments


def test_there_are_23_ids():
    assert len(IDS) == 23
    assert [env_id for env_id in gym.registry if env_id.startswith("glamor/")] == IDS


def test_the_fork_server_loads_what_others_asked_for_too():
    lines = (
        "import multiprocessing as m; from multiprocessing import forkserver",
        "m.set_forkserver_preload(['__main__', 'json'])",
        "import glamor_gym; glamor_gym.registration.register_in_workers()",
        "print(forkserver._forkserver._preload_modules)",
    )
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "['__main__', 'json', 'glamor_gym']"


def test_registering_twice_changes_nothing():
    specs = {env_id: gym.spec(env_id) for env_id in IDS}
    register_envs()
    assert all(gym.spec(env_id) is spec for env_id, spec in specs.items())


@pytest.mark.parametrize("env_id", IDS)
def test_specs_survive_json_pickle_and_deepcopy(env_id):
    spec = gym.spec(env_id)
    assert json.loads(spec.to_json())["id"] == env_id
    assert EnvSpec.from_json(spec.to_json()) == spec
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert copy.deepcopy(spec) == spec


@pytest.mark.parametrize("env_id", FEW)
def test_the_spec_of_an_environment_makes_another_of_its_kind(env_id):
    env = gym.make(env_id, horizon=3, goals="eval", render_profile="fast")
    spec = EnvSpec.from_json(env.spec.to_json())
    twin = gym.make(spec)
    assert twin.unwrapped.horizon == 3
    assert same(env.reset(seed=2)[0], twin.reset(seed=2)[0])
    env.close()
    twin.close()


def test_the_import_can_be_left_to_gymnasium():
    code = (
        "import gymnasium as gym; env = gym.make('glamor_gym:glamor/GridWorld-v0');"
        "print(env.spec.id, env.get_wrapper_attr('stop_action'))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "glamor/GridWorld-v0 4", result.stderr


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("glamor/Pongg-v0", "Pong"),
        ("glamor/Pong-v1", "v0"),
        ("glamour/Pong-v0", "glamor"),
    ],
)
def test_a_wrong_id_is_answered_with_a_hint(wrong, hint):
    with pytest.raises(gym.error.UnregisteredEnv, match=hint):
        gym.make(wrong)


@pytest.mark.parametrize("env_id", [*FEW, "glamor/Dice-v0"])
def test_the_same_seed_gives_the_same_trajectory(env_id):
    env, twin = (gym.make(env_id, render_profile="fast") for _ in range(2))
    first, second, again = trajectory(env, 11), trajectory(twin, 11), trajectory(env, 11)
    for one, two, three in zip(first, second, again, strict=True):
        assert all(map(same, one, two))
        assert all(map(same, one, three))
    assert not all(same(*pair) for pair in zip(first[0], env.reset(seed=12), strict=True))
    env.close()
    twin.close()
    env.close()


@pytest.mark.parametrize(
    ("env_id", "mode"), [*((env_id, "sync") for env_id in FEW), ("glamor/GridWorld-v0", "async")]
)
def test_vector_environments_agree_with_single_ones(env_id, mode):
    kwargs = {"render_profile": "fast", "horizon": 3}
    vector = gym.make_vec(env_id, num_envs=2, vectorization_mode=mode, **kwargs)
    singles = [gym.make(env_id, **kwargs) for _ in range(2)]
    observations, infos = vector.reset(seed=5)
    expected = [env.reset(seed=5 + k) for k, env in enumerate(singles)]
    for action in (1, 0, 1):
        for k, (observation, info) in enumerate(expected):
            assert all(
                np.array_equal(observations[key][k], observation[key]) for key in observation
            )
            assert infos["is_success"][k] == info["is_success"]
            assert all(infos["labels"][name][k] == info["labels"][name] for name in info["labels"])
        observations, rewards, terminated, truncated, infos = vector.step(np.array([action] * 2))
        steps = [env.step(action) for env in singles]
        assert rewards.tolist() == [step[1] for step in steps]
        assert terminated.tolist() == [step[2] for step in steps]
        assert truncated.tolist() == [step[3] for step in steps]
        expected = [(step[0], step[-1]) for step in steps]
    vector.close()
    vector.close()


@pytest.mark.parametrize(
    ("env_id", "vec_env_cls"),
    [*((env_id, DummyVecEnv) for env_id in FEW), *((env_id, SubprocVecEnv) for env_id in FEW[:2])],
)
def test_stable_baselines3_vectors(env_id, vec_env_cls):
    vector = make_vec_env(
        # Workers that are not forks import nothing but what the id names.
        f"glamor_gym:{env_id}",
        n_envs=2,
        seed=3,
        env_kwargs={"render_profile": "fast"},
        vec_env_cls=vec_env_cls,
    )
    stop = vector.get_attr("stop_action")[0]
    observations = vector.reset()
    achieved, desired = observations["achieved_goal"], observations["desired_goal"]
    rewards = vector.env_method("compute_reward", achieved, desired, [{}, {}], indices=[0])
    assert rewards[0].shape == (2,)
    _, _, dones, infos = vector.step(np.array([stop, 0]))
    assert dones.tolist() == [True, False]
    assert type(infos[0]["is_success"]) is bool
    assert set(infos[0]["terminal_observation"]) == set(observations)
    vector.close()


def test_workers_of_a_fork_server_know_the_ids_whatever_the_main_script_imports():
    code = (
        "exec('import glamor_gym\\n"
        "from stable_baselines3.common.env_util import make_vec_env\\n"
        "from stable_baselines3.common.vec_env import SubprocVecEnv\\n"
        'env = make_vec_env("glamor/GridWorld-v0", 1, vec_env_cls=SubprocVecEnv)\\n'
        'print(env.reset()["observation"].shape)\\n'
        "env.close()')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "(1, 49)", result.stderr


@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
def test_a_misspelt_argument_tells_the_nearest(make):
    with pytest.raises(TypeError, match="no option 'horizn'; did you mean horizon"):
        make("glamor/Pong-v0", horizn=3)


@pytest.mark.parametrize("env_id", ["glamor/Pong-v0", "glamor/GridWorld-v0"])
def test_an_option_of_vectors_tells_where_it_belongs(env_id):
    hint = "no option 'autoreset_mode'; gym.make_vec takes it in vector_kwargs="
    with pytest.raises(TypeError, match=hint):
        gym.make_vec(env_id, 2, vectorization_mode="sync", autoreset_mode="SameStep")


def test_an_environment_is_found_by_its_id_a_short_name_or_its_module(tmp_path, monkeypatch):
    (tmp_path / "other_worlds.py").write_text(
        "import gymnasium as gym\n"
        "gym.register('other/Grid-v0', entry_point='glamor_gym.factory:make_goal_env')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="there is no environment 'other/Grid'"):
        find_env_id("other/Grid")
    assert find_env_id("Pong") == find_env_id("glamor/Pong-v0") == "glamor/Pong-v0"
    assert find_env_id("other_worlds:other/Grid-v0") == "other/Grid-v0"
    assert name_of_env("glamor/Pong-v0") == "Pong"
    assert name_of_env("other_worlds:other/Grid-v0") == "other_worlds:other/Grid-v0"
    with pytest.raises(ValueError, match="'other_worlds' registers no environment 'other/Gird-v0'"):
        find_env_id("other_worlds:other/Gird-v0")
    del gym.registry["other/Grid-v0"]
    with pytest.raises(ValueError, match="registers it, give MODULE:other/Grid-v0"):
        find_env_id("other/Grid-v0")
    with pytest.raises(ValueError, match="unknown task 'glamor/Pongg-v0'; did you mean Pong"):
        find_env_id("glamor/Pongg-v0")
    with pytest.raises(ValueError, match="unknown task 'Pongg'"):
        find_env_id("Pongg")
    with pytest.raises(ValueError, match="'no_worlds' of 'no_worlds:a/B-v0' cannot be imported"):
        find_env_id("no_worlds:a/B-v0")
    with pytest.raises(ValueError, match=r"'\.worlds' of '\.worlds:a/B-v0' cannot be imported"):
        find_env_id(".worlds:a/B-v0")


def test_a_run_is_of_an_id_with_its_version(monkeypatch):
    monkeypatch.setitem(gym.registry, "mine/Room-v3", EnvSpec("mine/Room-v3", "somewhere:Room"))
    assert name_of_env("mine/Room") == name_of_env("mine/Room-v3") == "mine/Room-v3"


def test_an_id_without_a_version_is_that_of_the_newest(monkeypatch):
    for version in (2, 10):
        spec = EnvSpec(f"other/Room-v{version}", "gymnasium.envs.toy_text:CliffWalkingEnv")
        monkeypatch.setitem(gym.registry, spec.id, spec)
    assert find_env_id("other/Room") == "other/Room-v10"
    assert find_env_id("glamor/Pong") == "glamor/Pong-v0"
    with pytest.raises(ValueError, match="there is no environment 'other/Room-v3'"):
        find_env_id("other/Room-v3")
    for name in ("other/Room", "gymnasium:other/Room", "other/Room-v10"):
        assert make_env(name).spec.id == "other/Room-v10"
    assert make_env("GridWorld", horizon=3).get_wrapper_attr("horizon") == 3


def test_an_environment_that_cannot_be_made_is_named(monkeypatch):
    spec = EnvSpec("other/Broken-v0", "no_such_module:Env")
    monkeypatch.setitem(gym.registry, spec.id, spec)
    for name, message in [
        ("Pongg", "unknown task 'Pongg'; did you mean Pong"),
        ("other/Broken-v0", "No module named 'no_such_module'"),
        ("no_worlds:a/B-v0", "cannot be imported"),
    ]:
        with pytest.raises(ValueError, match=f"env '{name}' cannot be made: .*{message}"):
            make_env(name)
    with pytest.raises(ValueError, match="horizon must be"):
        make_env("GridWorld", horizon=0)
