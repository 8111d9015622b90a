"""The vector of threads against one ordinary environment after the other."""

import time

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ClosedEnvironmentError, Error, ResetNeeded
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from glamor_gym.goals import load_goal_set
from glamor_gym.types import Goal
from glamor_gym.vector.atari_world import ThreadedAtariWorld
from glamor_gym.vector.threaded_atari import ThreadedAtariVectorEnv
from glamor_gym.wrappers.display import side_by_side, to_picture

NUM_ENVS = 3


def pair(task, mode=AutoresetMode.NEXT_STEP, **kwargs):
    """Return the vector of threads and the plain one."""
    env_id = f"glamor/{task}-v0"
    threaded = gym.make_vec(env_id, num_envs=NUM_ENVS, autoreset_mode=mode, **kwargs)
    plain = gym.make_vec(
        env_id,
        num_envs=NUM_ENVS,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": mode},
        **kwargs,
    )
    assert isinstance(threaded, ThreadedAtariVectorEnv)
    assert type(plain) is SyncVectorEnv
    return threaded, plain


@pytest.fixture(scope="module")
def pongs():
    """Such a pair, for tests that begin with a seed and leave both running: games load slowly."""
    vectors = pair("Pong")
    yield vectors
    for vector in vectors:
        vector.close()


@pytest.fixture
def pong(pongs):
    """The vector of threads alone."""
    return pongs[0]


def assert_same(observations, others):
    assert observations.keys() == others.keys()
    for key in observations:
        assert np.array_equal(observations[key], others[key]), key


def assert_same_step(step, other):
    assert_same(step[0], other[0])
    for values, others in zip(step[1:4], other[1:4], strict=True):
        assert np.array_equal(values, others)
    assert_same_infos(step[4], other[4])


def assert_same_infos(infos, others):
    """What the threads say of each environment is what the plain vector says, masks included."""
    for key in ("stopped", "steps_left", "lives", "world_terminated", "world_truncated"):
        for name in (key, f"_{key}"):
            assert np.array_equal(infos[name], others[name]), name
        assert infos[key].dtype == others[key].dtype
    assert ("final_info" in infos) == ("final_info" in others)
    if "final_info" in infos:
        assert np.array_equal(infos["_final_info"], others["_final_info"])
        ended = infos["_final_info"]
        for key in ("stopped", "steps_left", "lives", "world_terminated"):
            assert np.array_equal(infos["final_info"][key][ended], others["final_info"][key][ended])


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_frames_rewards_and_ends_are_those_of_single_environments(mode):
    threaded, plain = pair("Breakout", mode, horizon=30)
    rng = np.random.default_rng(2)
    stop = threaded.single_action_space.n - 1
    ends = {"lost": 0, "truncated": 0, "stopped": 0}
    for seed in (7, None, 3):
        assert_same(threaded.reset(seed=seed)[0], plain.reset(seed=seed)[0])
        for _ in range(45):
            actions = rng.integers(0, stop, NUM_ENVS)
            actions[rng.random(NUM_ENVS) < 0.015] = stop
            step, other = threaded.step(actions), plain.step(actions)
            assert_same_step(step, other)
            if "final_obs" in step[4]:
                for k in np.flatnonzero(step[4]["_final_obs"]):
                    assert_same(step[4]["final_obs"][k], other[4]["final_obs"][k])
            ends["lost"] += (step[2] & (actions != stop)).sum()
            ends["truncated"] += step[3].sum()
            ends["stopped"] += (step[2] & (actions == stop)).sum()
    assert all(ends.values())
    threaded.close()
    plain.close()


def test_stop_in_the_last_step_is_no_truncation():
    env = gym.make_vec("glamor/Pong-v0", num_envs=2, horizon=2)
    stop = env.single_action_space.n - 1
    env.reset(seed=0)
    env.step(np.array([2, 2]))
    _, _, terminated, truncated, _ = env.step(np.array([stop, 2]))
    assert terminated.tolist() == [True, False]
    assert truncated.tolist() == [False, True]
    env.close()


def test_one_environment_may_be_reset_by_itself():
    threaded, plain = pair("Pong", AutoresetMode.DISABLED)
    stop = threaded.single_action_space.n - 1
    for vector in (threaded, plain):
        vector.reset(seed=1)
        vector.step(np.array([2, stop, 2]))
    mask = {"reset_mask": np.array([False, True, False])}
    assert_same(threaded.reset(options=dict(mask))[0], plain.reset(options=dict(mask))[0])
    for _ in range(5):
        assert_same_step(threaded.step(np.array([2, 3, 2])), plain.step(np.array([2, 3, 2])))
    threaded.close()
    plain.close()


def test_goals_can_be_asked_for():
    threaded, plain = pair("Seaquest", goals="eval", frame_size=(40, 52))
    for goal in (4, load_goal_set("Seaquest").evaluation[9]):
        options = {"goal": goal}
        observations, infos = threaded.reset(seed=0, options=dict(options))
        assert_same(observations, plain.reset(seed=0, options=dict(options))[0])
        assert infos["labels"] == infos["goal_labels"] == {}
    threaded.close()
    plain.close()


def test_rewards_can_be_computed_and_moments_rendered():
    threaded, plain = pair("Pong", render_mode="rgb_array")
    seen, _ = threaded.reset(seed=0)
    plain.reset(seed=0)
    achieved, info = seen["achieved_goal"], [{}] * NUM_ENVS
    for rewards, others in zip(
        threaded.call("compute_reward", achieved, achieved, info),
        plain.call("compute_reward", achieved, achieved, info),
        strict=True,
    ):
        assert np.array_equal(rewards, others)
        assert rewards.tolist() == [1.0] * NUM_ENVS
    for picture, newest, goal in zip(
        threaded.render(), achieved, seen["desired_goal"], strict=True
    ):
        assert np.array_equal(picture, side_by_side(to_picture(newest), to_picture(goal)))
    threaded.close()
    plain.close()


def test_what_was_returned_does_not_change_with_the_next_step(pong):
    seen, infos = pong.reset(seed=0)
    arrays = [value for value in infos.values() if isinstance(value, np.ndarray)]
    assert len({id(array) for array in arrays}) == len(arrays), "an entry is another one as well"
    kept = {key: value.copy() for key, value in seen.items()}
    pong.step(np.array([2, 3, 2]))
    assert_same(seen, kept)


@pytest.mark.parametrize(
    "mask", [[True, False], np.ones(2, bool), np.ones(3, int), 1, np.zeros(3, bool)]
)
def test_a_reset_mask_that_is_none_is_refused(mask, pong):
    with pytest.raises(ValueError, match="reset_mask"):
        pong.reset(options={"reset_mask": mask})


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        ({"seed": [1]}, "seed must be an integer or a list of 3 seeds, got 1"),
        ({"seed": [1, 2, 3, 4]}, "seed must be an integer or a list of 3 seeds, got 4"),
        ({"seed": [1, 2, -3]}, "-3"),
    ],
)
def test_a_reset_that_is_refused_leaves_none_running(refused, message, pongs):
    threaded, plain = pongs
    expected = plain.reset(seed=5)[0]
    for _ in range(2):
        with pytest.raises((ValueError, Error), match=message):
            threaded.reset(**refused)
        assert_same(threaded.reset(seed=5)[0], expected)


def test_all_resets_are_awaited_where_one_fails(monkeypatch, pong):
    pong.reset(seed=0)
    ended = []

    def slow():
        time.sleep(0.2)
        ended.append(True)
        raise RuntimeError("a later one")

    def fail(**_):
        raise RuntimeError("the first")

    monkeypatch.setattr(pong._worlds[0], "reset", fail)
    monkeypatch.setattr(pong._worlds[2], "reset", lambda **_: slow())
    with pytest.raises(RuntimeError, match="the first"):
        pong.reset()
    assert ended == [True]


def test_success_is_equality_of_pictures():
    threaded = gym.make_vec("glamor/Pong-v0", num_envs=NUM_ENVS, sticky=0.0)
    frames = threaded.reset(seed=0)[0]["achieved_goal"]
    options = {"goal": frames[1].copy()}
    infos = threaded.reset(seed=0, options=options)[1]
    assert infos["is_success"].tolist() == [(frame == frames[1]).all() for frame in frames]
    assert infos["is_success"][1]
    threaded.close()


def test_a_reset_that_lands_on_its_goal_is_not_rewarded(monkeypatch, pong):
    end_reset = pong._end_reset

    def land(begun):
        end_reset(begun)
        for k, *_ in begun:
            pong._desired[k] = pong._stacks[k, -1:]

    pong.reset(seed=0)
    pong.step(np.full(NUM_ENVS, pong.stop_action))
    monkeypatch.setattr(pong, "_end_reset", land)
    _, rewards, _, _, infos = pong.step(np.zeros(NUM_ENVS, np.int64))
    assert infos["is_success"].all()
    assert not rewards.any()


@pytest.mark.parametrize(
    "actions",
    [np.array([0, 0]), np.array([0, 0, 7]), np.array([0, 0, -1]), np.zeros(3), [0.5, 0, 0]],
)
def test_what_is_no_batch_of_actions_is_refused_as_a_whole(actions, pongs):
    threaded, plain = pongs
    threaded.reset(seed=0)
    plain.reset(seed=0)
    with pytest.raises(ValueError, match="actions must be in MultiDiscrete"):
        threaded.step(actions)
    fine = np.array([1, 2, 3])
    assert_same_step(threaded.step(fine), plain.step(fine))


def test_a_step_before_the_first_reset_leaves_nothing_behind():
    threaded, plain = pair("Pong")
    with pytest.raises(gym.error.ResetNeeded):
        threaded.step(np.zeros(3, np.int64))
    assert_same(threaded.reset(seed=0)[0], plain.reset(seed=0)[0])
    threaded.close()
    threaded.close()
    plain.close()


def test_seeds_of_numpy_are_seeds_and_what_is_none_is_named(pongs):
    threaded, plain = pongs
    assert_same(threaded.reset(seed=np.int64(3))[0], plain.reset(seed=3)[0])
    assert_same(threaded.reset(seed=np.arange(3, 6))[0], plain.reset(seed=[3, 4, 5])[0])
    assert_same(threaded.reset(seed=np.array(3))[0], plain.reset(seed=3)[0])
    for seed, error in ((-1, ValueError), ([0, 1, -2], ValueError), (2.5, TypeError)):
        with pytest.raises(error, match="seed must be an integer"):
            threaded.reset(seed=seed)


def test_attributes_are_had_as_from_any_vector(pongs):
    threaded, plain = pongs
    for name in ("stop_action", "horizon"):
        assert threaded.get_attr(name) == threaded.call(name) == plain.get_attr(name)
    assert len(threaded.call("snapshot")) == NUM_ENVS


def test_attributes_are_those_of_each_environment():
    vectors = [
        gym.make_vec("glamor/Pong-v0", 2, mode, render_mode="rgb_array") for mode in (None, "sync")
    ]
    for name in ("action_space", "observation_space", "get_action_meanings"):
        threaded, plain = (vector.call(name) for vector in vectors)
        assert threaded == plain
    for vector in vectors:
        vector.reset(seed=0)
    for vector in vectors:
        pictures = vector.render()
        assert len(pictures) == 2
        assert all(map(np.array_equal, pictures, vector.call("render")))
        vector.close()


class Interrupt(BaseException):
    """Stands for Ctrl-C at a moment of the test's choice."""


@pytest.mark.parametrize("call", ["step", "reset"])
def test_after_an_interruption_a_reset_begins_as_if_there_had_been_none(call, monkeypatch, pongs):
    threaded, plain = pongs
    threaded.reset(seed=1)

    def interrupted(*_, **__):
        raise Interrupt

    with monkeypatch.context() as patch:
        # While all emulators have an action, or are being reset, and nobody has read the results.
        patch.setattr(ThreadedAtariWorld, "step", interrupted)
        patch.setattr(ThreadedAtariVectorEnv, "_end_reset", interrupted)
        with pytest.raises(Interrupt):
            threaded.step(np.zeros(NUM_ENVS, int)) if call == "step" else threaded.reset()
    with pytest.raises(ResetNeeded, match="did not reach its end"):
        threaded.step(np.zeros(NUM_ENVS, int))
    assert_same(threaded.reset(seed=5)[0], plain.reset(seed=5)[0])
    for action in (3, 4, 5):
        actions = np.full(NUM_ENVS, action)
        assert_same_step(threaded.step(actions), plain.step(actions))


@pytest.mark.parametrize("call", ["step", "reset"])
def test_after_an_interruption_a_restored_state_can_be_stepped(call, monkeypatch, pongs):
    threaded, plain = pongs
    actions = np.full(NUM_ENVS, 3)
    for vector in (threaded, plain):
        vector.reset(seed=1)
        vector.step(actions)
    saved = threaded.snapshot
    with monkeypatch.context() as patch:
        patch.setattr(ThreadedAtariWorld, "end_step", lambda *_: 1 / 0)
        patch.setattr(ThreadedAtariVectorEnv, "_end_reset", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            threaded.step(actions) if call == "step" else threaded.reset()
    threaded.snapshot = saved
    assert_same_step(threaded.step(actions), plain.step(actions))


def test_a_reset_of_some_after_an_interruption_lets_the_others_follow(monkeypatch, pong):
    pong.reset(seed=1)
    with monkeypatch.context() as patch:
        patch.setattr(ThreadedAtariVectorEnv, "_end_reset", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            pong.reset()
    pong.reset(options={"reset_mask": np.array([True, False, False])})
    observation = pong.step(np.zeros(NUM_ENVS, int))[0]
    assert observation["steps_left"][:, 0].tolist() == [49, 50, 50]


def test_once_closed_it_says_so():
    vector = gym.make_vec("glamor/Pong-v0", num_envs=1)
    vector.reset()
    vector.close()
    for call in (vector.reset, lambda: vector.step(np.zeros(1, int))):
        with pytest.raises(ClosedEnvironmentError, match="is closed"):
            call()


@pytest.mark.parametrize(
    ("name", "value"), [("horizon", 60), ("reward", "labels"), ("label_lag", 1)]
)
def test_what_decides_on_threads_cannot_be_set_afterwards(pong, name, value):
    before = getattr(pong, name)
    with pytest.raises(AttributeError, match=f"{name} cannot .*: pass {name}=.* to gym.make_vec"):
        setattr(pong, name, value)
    assert getattr(pong, name) == before


def test_shared_attributes_can_be_set():
    vector = gym.make_vec("glamor/Pong-v0", num_envs=2)
    goals = load_goal_set("Pong").evaluation[:1]
    vector.set_attr("goals", [goals, goals])
    observation, _ = vector.reset()
    assert np.array_equal(observation["desired_goal"][0], observation["desired_goal"][1])
    with pytest.raises(AttributeError, match="only goals and render_mode can be set"):
        vector.set_attr("reward", "labels")
    with pytest.raises(ValueError, match="goals must be the same for all 2"):
        vector.set_attr("goals", [goals, list(goals)])
    with pytest.raises(ValueError, match="goals must hold at least one goal"):
        vector.set_attr("goals", ([],) * 2)
    with pytest.raises(TypeError, match="goals must be a sequence of Goal, got Goal"):
        vector.set_attr("goals", [goals[0], goals[0]])
    with pytest.raises(ValueError, match="render_mode must be"):
        vector.set_attr("render_mode", "ascii")
    assert vector.goals is goals
    assert vector.render_mode is None
    vector.close()


def test_seeds_and_generators_are_those_of_the_environments(pongs):
    threaded, plain = pongs
    for vector in (threaded, plain):
        vector.reset(seed=5)
    assert threaded.np_random_seed == plain.np_random_seed == (5, 6, 7)
    for vector in (threaded, plain):
        assert vector.get_attr("np_random_seed") == (5, 6, 7)
        assert vector.get_attr("np_random") == vector.np_random
    drawn = [[rng.integers(100) for rng in vector.np_random] for vector in (threaded, plain)]
    assert drawn[0] == drawn[1]


def test_seeds_that_were_drawn_are_told():
    vector = gym.make_vec("glamor/Pong-v0", num_envs=2)
    again = [seeding.np_random(seed)[0] for seed in vector.get_attr("np_random_seed")]
    drawn, expected = ([rng.random() for rng in rngs] for rngs in (vector.np_random, again))
    assert drawn == expected
    assert drawn[0] != drawn[1]
    vector.close()


def test_there_is_no_picture_before_the_first_reset():
    vector = gym.make_vec("glamor/Pong-v0", num_envs=1, render_mode="rgb_array")
    with pytest.raises(ResetNeeded, match="no picture"):
        vector.render()
    vector.close()


@pytest.mark.parametrize(
    ("seed", "options", "message"),
    [
        (None, {"goal": 10**6}, "got 1000000"),
        (7, {"goal": 10**6}, "got 1000000"),
        ([7, None, 9], {"goal": 10**6}, "got 1000000"),
        (7, {"gaol": 1}, "may contain 'goal' only"),
        (
            7,
            {"goal": load_goal_set("cartpole-balance").evaluation[0]},
            r"options\['goal'\].kind must be 'frame' or 'screen' here, got 'state'",
        ),
        (7, {"goal": Goal(np.zeros((2, 2), np.uint8), "screen")}, "content must be an array of"),
    ],
)
def test_a_reset_that_is_refused_leaves_the_episodes_as_they_were(pongs, seed, options, message):
    for vector in pongs:
        vector.reset(seed=3)
        vector.step(np.zeros(NUM_ENVS, int))
        with pytest.raises(ValueError, match=message):
            vector.reset(seed=seed, options=options)
        assert vector.np_random_seed == (3, 4, 5)
    threaded, plain = pongs
    actions = np.array([2, 3, threaded.stop_action])
    assert_same_step(threaded.step(actions), plain.step(actions))
    assert_same(threaded.reset()[0], plain.reset()[0])


def test_options_that_are_no_dict_are_refused():
    vector = gym.make_vec("glamor/Pong-v0", num_envs=1)
    with pytest.raises(TypeError, match="options must be a dict, got list"):
        vector.reset(options=[1])
    vector.close()
