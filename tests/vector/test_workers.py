"""Workers against environments in this process, and what becomes of them when they fail."""

import logging
import os
import signal
import subprocess
import time
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.monitor import Monitor

from glamor_gym.vector.workers import WorkerError, WorkerVecEnv
from tests.vector.faulty import HORIZON, Faulty, break_at

SEED = 10


def workers(folder, n_envs=2, **kwargs):
    env = WorkerVecEnv([partial(Faulty, str(folder))] * n_envs, **kwargs)
    env.seed(SEED)
    return env


def seen(observations):
    """Return (seed, episode, step) of each environment."""
    return observations["observation"].astype(int).tolist()


def test_workers_play_what_environments_in_this_process_play():
    plain = make_vec_env("glamor/GridWorld-v0", 2, seed=3)
    env = WorkerVecEnv([partial(make_monitored_grid)] * 2)
    env.seed(3)
    assert env.name == "glamor/GridWorld-v0"
    observations, others = env.reset(), plain.reset()
    rng = np.random.default_rng(0)
    ends = 0
    for _ in range(25):
        assert observations.keys() == others.keys()
        for key, value in observations.items():
            assert np.array_equal(value, others[key])
        actions = rng.integers(0, 5, 2)
        observations, rewards, dones, infos = env.step(actions)
        others, *expected = plain.step(actions)
        assert np.array_equal(rewards, expected[0])
        assert np.array_equal(dones, expected[1])
        for info, other in zip(infos, expected[2], strict=True):
            assert info.keys() == other.keys()
            assert info["labels"] == other["labels"]
            assert info["TimeLimit.truncated"] == other["TimeLimit.truncated"]
            if "terminal_observation" in info:
                ends += 1
                last, same = info["terminal_observation"], other["terminal_observation"]
                assert all(np.array_equal(last[key], same[key]) for key in last)
                assert info["episode"]["l"] == other["episode"]["l"]
    assert ends > 4
    assert env.get_attr("stop_action") == plain.get_attr("stop_action") == [4, 4]
    assert env.env_is_wrapped(Monitor) == [True, True]
    env.close()
    env.close()


def make_monitored_grid():
    import glamor_gym  # noqa: F401  (in the worker)

    return Monitor(gym.make("glamor/GridWorld-v0"))


def test_a_stop_in_the_last_step_is_no_time_limit():
    env = WorkerVecEnv([make_short_grid] * 2)
    env.reset()
    _, _, dones, infos = env.step(np.array([0, 4]))
    assert dones.all()
    assert [info["TimeLimit.truncated"] for info in infos] == [True, False]
    env.close()


def make_short_grid():
    import glamor_gym  # noqa: F401  (in the worker)

    return gym.make("glamor/GridWorld-v0", max_episode_steps=1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_end_is_left_to_the_parent(tmp_path, number):
    env = workers(tmp_path)
    env.reset()
    for pid in env.env_method("pid"):
        os.kill(pid, number)
    env.step(np.zeros(env.num_envs, np.int64))
    assert env.restarts == 0
    env.close()


class WithProgram(gym.Wrapper):
    def __init__(self, env):
        super().__init__(env)
        self.program = subprocess.Popen(["sleep", "60"])

    def number(self):
        return self.program.pid

    def close(self):
        self.program.terminate()
        self.program.wait()
        super().close()


def test_a_program_that_an_environment_started_ends_by_a_signal():
    env = WorkerVecEnv([lambda: WithProgram(make_monitored_grid())])
    (number,) = env.env_method("number")
    env.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_attributes_and_methods_of_some_environments(tmp_path):
    env = workers(tmp_path)
    pids = env.env_method("pid")
    assert len({*pids, os.getpid()}) == 3
    env.set_attr("horizon", 9, indices=1)
    assert env.get_attr("horizon") == [HORIZON, 9]
    with pytest.raises(AttributeError, match="Faulty has no attribute 'colour'"):
        env.get_attr("colour")
    with pytest.raises(WorkerError, match=r"(?s)environment 1.*TypeError.*pid"):
        env.env_method("pid", "too much", indices=[1])
    assert env.env_method("pid") == pids  # an error of a method's ends no worker
    env.close()


def test_observations_are_fresh_arrays(tmp_path):
    env = workers(tmp_path, n_envs=1)
    first = env.reset()
    env.step(np.zeros(1, int))
    assert seen(first) == [[SEED, 1, 0]]
    env.close()


@pytest.mark.parametrize("actions", [[0], [0, 0, 0]])
def test_other_numbers_of_actions_move_no_environment(tmp_path, actions):
    env = workers(tmp_path)
    env.reset()
    with pytest.raises(ValueError, match=f"actions must be 2, one each, got {len(actions)}"):
        env.step(np.array(actions))
    assert seen(env.step(np.zeros(2, int))[0]) == [[SEED, 1, 1], [SEED + 1, 1, 1]]
    env.close()


def test_a_worker_that_cannot_be_started_leaves_no_others_running(tmp_path, monkeypatch):
    started, start = [], WorkerVecEnv._start

    def start_one(self, index):
        if started:
            raise OSError("too many processes")
        started.append(start(self, index))
        return started[0]

    monkeypatch.setattr(WorkerVecEnv, "_start", start_one)
    with pytest.raises(OSError, match="too many"):
        workers(tmp_path)
    started[0]._process.join(10)
    assert not started[0]._process.is_alive()


def test_observations_within_observations_are_refused():
    cell = spaces.Box(0, 1, (1,), np.float32)
    for shown in (spaces.Tuple((cell, cell)), spaces.Dict(a=spaces.Dict(b=cell))):
        with pytest.raises(ValueError, match=r"of makers must .*, got (Dict|Tuple)\("):
            WorkerVecEnv([partial(showing, shown)])


def showing(space):
    env = gym.make("glamor/GridWorld-v0")
    env.observation_space = space
    return env


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ("kill", "the worker died (signal SIGKILL)"),
        ("hang", "the worker hung: no answer in 2 s"),
        ("raise", "ValueError: this was told to fail"),
    ],
)
def test_a_worker_that_fails_is_named_and_replaced_and_the_others_go_on(
    tmp_path, caplog, fault, named
):
    break_at(tmp_path, SEED + 1, fault)
    env = workers(tmp_path, timeout=2.0)
    env.reset()
    for _ in range(2):
        env.step(np.zeros(2, int))
    with caplog.at_level(logging.WARNING):
        observations, rewards, dones, infos = env.step(np.zeros(2, int))
    [message] = [record.getMessage() for record in caplog.records]
    assert named in message
    assert "Faulty, environment 1, seed 11" in message
    new_seed = seen(observations)[1][0]
    assert f"restart 1 of at most 10, with seed {new_seed}" in message

    assert seen(observations) == [[SEED, 1, 3], [new_seed, 1, 0]]
    assert (rewards.tolist(), dones.tolist()) == ([1.0, 0.0], [False, True])
    assert infos[1]["reset_step"]
    assert infos[1]["TimeLimit.truncated"]
    assert named in infos[1]["worker_fault"]
    assert infos[1]["terminal_observation"]["observation"].tolist() == [SEED + 1, 1, 2]
    assert env.reset_infos[1] == {"seed": new_seed}
    assert "reset_step" not in infos[0]
    assert seen(env.step(np.zeros(2, int))[0]) == [[SEED, 1, 4], [new_seed, 1, 1]]
    env.close()


def test_what_was_set_holds_for_the_worker_that_replaces_another(tmp_path):
    break_at(tmp_path, SEED + 1, "kill")
    env = workers(tmp_path)
    env.set_attr("at", 1)
    env.set_attr("horizon", 9, indices=1)
    env.reset()
    env.step(np.zeros(2, int))
    assert env.restarts == 1
    assert env.get_attr("at") == [1, 1]
    assert env.get_attr("horizon") == [HORIZON, 9]
    env.close()


def make_once(folder):
    """Make an environment, the first two times: as an example and in the first worker."""
    for mark in ("example", "worker"):
        if not (folder / mark).exists():
            (folder / mark).touch()
            return Faulty(str(folder))
    raise ValueError("no third time")


def test_why_a_worker_could_not_be_replaced_is_told_whatever_was_set(tmp_path):
    break_at(tmp_path, SEED, "kill")
    env = WorkerVecEnv([partial(make_once, tmp_path)], max_restarts=1)
    env.seed(SEED)
    env.set_attr("at", 1)
    env.reset()
    with pytest.raises(WorkerError, match="no third time"):
        env.step(np.zeros(1, int))


def make_slowly(folder):
    """Make an environment that takes longer to make than to step."""
    time.sleep(0.5)
    return Faulty(str(folder), at=1)


def test_a_new_worker_may_take_longer_than_the_timeout_to_start(tmp_path):
    env = WorkerVecEnv([partial(make_slowly, tmp_path)], timeout=0.3, max_restarts=1)
    env.seed(SEED)
    break_at(tmp_path, SEED, "kill")
    env.reset()
    assert env.step(np.zeros(1, int))[2].tolist() == [True]
    assert env.restarts == 1
    env.close()


def test_workers_that_hang_together_are_each_said_to_have_had_the_whole_timeout(tmp_path):
    for index in range(2):
        break_at(tmp_path, SEED + index, "hang")
    env = workers(tmp_path, timeout=1.0)
    env.reset()
    for _ in range(3):
        _, _, dones, infos = env.step(np.zeros(2, int))
    assert dones.all()
    assert [i["worker_fault"] for i in infos] == ["the worker hung: no answer in 1 s"] * 2
    env.close()


def test_the_new_seed_follows_from_the_old(tmp_path):
    break_at(tmp_path, SEED, "raise")
    new = []
    for _ in range(2):
        env = workers(tmp_path, n_envs=1)
        env.reset()
        for _ in range(3):
            observations, *_ = env.step(np.zeros(1, int))
        new.append(seen(observations)[0][0])
        env.close()
    assert new[0] == new[1] != SEED


def test_beyond_the_limit_the_fault_is_an_error(tmp_path):
    break_at(tmp_path, SEED, "raise")
    env = workers(tmp_path, n_envs=1, max_restarts=0)
    env.reset()
    env.step(np.zeros(1, int))
    env.step(np.zeros(1, int))
    with pytest.raises(
        WorkerError, match=r"(?s)environment 0, seed 10.*told to fail.*max_restarts is 0"
    ):
        env.step(np.zeros(1, int))


def test_a_reset_that_fails_is_tried_with_another_seed(tmp_path):
    break_at(tmp_path, SEED, "raise-at-reset")
    env = workers(tmp_path, n_envs=1)
    assert seen(env.reset())[0][1:] == [1, 0]
    assert env.restarts == 1
    env.close()


def test_a_worker_that_died_between_two_steps_is_replaced_by_the_next(tmp_path):
    env = workers(tmp_path)
    env.reset()
    os.kill(env.env_method("pid")[0], signal.SIGKILL)
    time.sleep(0.2)
    with pytest.raises(WorkerError, match=r"environment 0.*SIGKILL"):
        env.get_attr("horizon")
    _, _, dones, infos = env.step(np.zeros(2, int))
    assert dones.tolist() == [True, False]
    assert infos[0]["reset_step"]
    assert env.get_attr("horizon") == [HORIZON, HORIZON]
    env.close()


@pytest.mark.parametrize("wait", ["step", "reset", "env_method"])
def test_after_an_interruption_every_command_gets_its_own_answer(tmp_path, wait):
    env = workers(tmp_path)
    env.reset()
    waits = {
        "step": lambda: env.step(np.zeros(2, int)),
        "reset": env.reset,
        "env_method": lambda: env.env_method("pid"),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("multiprocessing.connection.Connection.poll", interrupt)
        with pytest.raises(KeyboardInterrupt):
            waits[wait]()
    assert env.get_attr("horizon") == [HORIZON, HORIZON]
    observations, rewards, *_ = env.step(np.zeros(2, int))
    taken = [step for _, _, step in seen(observations)]
    assert (taken, rewards.tolist()) == ([2, 2] if wait == "step" else [1, 1], [1.0, 1.0])
    assert env.restarts == 0
    env.close()


def interrupt(*_):
    raise KeyboardInterrupt


def test_a_reset_has_as_long_as_a_step(tmp_path):
    env = workers(tmp_path, n_envs=1, timeout=1.0)
    env.reset()
    break_at(tmp_path, SEED, "hang-at-reset")
    since = time.monotonic()
    env.reset()
    assert time.monotonic() - since < 30  # which a new worker needs, and not START_SECONDS
    assert env.restarts == 1
    env.close()


def test_a_step_before_the_first_reset_is_refused(tmp_path):
    env = workers(tmp_path)
    with pytest.raises(ResetNeeded, match=r"call reset\(\) first"):
        env.step(np.zeros(2, int))
    assert env.restarts == 0
    env.close()


def test_workers_end_with_the_vector(tmp_path):
    env = workers(tmp_path)
    pids = env.env_method("pid")
    env.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"n_envs": 0}, ValueError, "makers"),
        ({"timeout": 0}, ValueError, "timeout"),
        ({"timeout": float("nan")}, ValueError, "timeout"),
        ({"timeout": float("inf")}, ValueError, "timeout must be .* at most 86400, got inf"),
        ({"timeout": 86_401}, ValueError, "at most 86400, got 86401"),
        ({"timeout": "60"}, TypeError, "timeout must be a finite number .*, got '60'"),
        ({"max_restarts": -1}, ValueError, "max_restarts"),
        ({"max_restarts": 1.5}, TypeError, "max_restarts"),
    ],
)
def test_bad_arguments_are_named(tmp_path, kwargs, error, message):
    with pytest.raises(error, match=message):
        workers(tmp_path, **kwargs)


def test_an_environment_that_cannot_be_made_in_a_worker_is_an_error(tmp_path):
    parent = os.getpid()

    def make():
        if os.getpid() != parent:
            raise OSError("no simulator here")
        return Faulty(str(tmp_path))

    with pytest.raises(WorkerError, match="no simulator here"):
        WorkerVecEnv([make], max_restarts=1)


def test_a_worker_that_is_replaced_in_a_reset_begins_with_its_options():
    env = WorkerVecEnv([partial(make_monitored_grid)] * 2)
    env.set_options({"goal": 7})
    expected = env.reset()["desired_goal"]
    os.kill(env._workers[0]._process.pid, signal.SIGKILL)
    env.set_options({"goal": 7})
    assert np.array_equal(env.reset()["desired_goal"], expected)
    assert env.restarts == 1
    env.close()


def test_a_timeout_may_be_a_day(tmp_path):
    env = workers(tmp_path, n_envs=1, timeout=86_400)
    assert seen(env.reset()) == [[SEED, 1, 0]]
    env.close()


def test_a_closed_vector_says_so(tmp_path):
    env = workers(tmp_path, n_envs=1)
    env.reset()
    env.close()
    for call in (env.reset, partial(env.step, np.array([0])), partial(env.get_attr, "spec")):
        with pytest.raises(ClosedEnvironmentError, match="the vector was closed"):
            call()
