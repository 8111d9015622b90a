"""Snapshots of environments: one that is restored goes on as the one it was taken of."""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils import RecordConstructorArgs
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker

import glamor_gym  # noqa: F401  (registers the ids)
from glamor_gym.agents.saving.snapshot_file import decode, encode
from glamor_gym.envs import make_world
from glamor_gym.envs.atari import AtariWorld
from glamor_gym.envs.gridworld import GridWorld
from glamor_gym.snapshots import (
    global_random_state,
    random_state,
    restore,
    set_global_random_state,
    set_random_state,
    snapshot_of,
)
from glamor_gym.types import Goal
from glamor_gym.wrappers import (
    EpisodeJournal,
    GoalEnv,
    StackFrames,
    StopAction,
    offers_snapshots,
)

STEPS = 30


def assert_same(one, other):
    """Compare nested results of `step` and `reset` bit by bit."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, tuple | list):
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    else:
        np.testing.assert_array_equal(one, other)


def play(env, rng, steps):
    """Act at random, with resets where episodes end; return all that was seen."""
    seen = []
    for _ in range(steps):
        seen.append(env.step(rng.integers(env.action_space.n - 1)))
        if seen[-1][2] or seen[-1][3]:
            seen.append(env.reset())
    return seen


def assert_goes_on_alike(env, other, before):
    env.reset(seed=7)
    play(env, np.random.default_rng(0), before)
    other.reset(seed=8)
    play(other, np.random.default_rng(9), 3)
    restore(other, snapshot_of(env))
    one, two = (play(side, np.random.default_rng(1), STEPS) for side in (env, other))
    assert_same(one, two)


@pytest.mark.parametrize("before", [0, 17])
@pytest.mark.parametrize(
    ("task", "options"),
    [
        ("GridWorld", {}),
        ("Dice", {}),
        ("Pong", {"horizon": 9}),
        ("Breakout", {}),  # loses lives within the steps
        ("reacher-hard", {"render_profile": "fast", "horizon": 9}),
    ],
)
def test_goal_environment(task, options, before):
    make = [gym.make(f"glamor/{task}-v0", **options) for _ in range(2)]
    assert_goes_on_alike(*make, before)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
@pytest.mark.parametrize(
    ("task", "options"),
    [("GridWorld", {}), ("Pong", {"horizon": 9}), ("cartpole-balance", {"render_profile": "fast"})],
)
def test_copies_of_a_goal_environment_go_on_as_it_does(task, options, copied):
    env = gym.make(f"glamor/{task}-v0", **options)
    env.reset(seed=7)
    play(env, np.random.default_rng(0), 5)
    other = copied(env)
    assert other.spec == env.spec
    one, two = (play(side, np.random.default_rng(1), STEPS) for side in (env, other))
    assert_same(one, two)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_copies_keep_what_was_set_after_they_were_made(copied):
    env = gym.make("glamor/GridWorld-v0")
    env.unwrapped.horizon = 4
    env.reset(seed=42)
    env.action_space.seed(3)
    env.unwrapped.goals = env.unwrapped.goals[:2]
    env.unwrapped.reward = "labels"
    env.unwrapped.label_lag = 1
    other = copied(env)
    assert other.unwrapped.np_random_seed == 42
    assert other.step(0)[0]["steps_left"] == 3
    assert len(other.unwrapped.goals) == 2
    assert other.unwrapped.reward == "labels"
    assert (other.unwrapped.label_lag, other.unwrapped.horizon) == (1, 4)
    assert other.observation_space == env.observation_space
    assert env.observation_space["steps_left"].high == 4
    drawn = [[one.action_space.sample() for _ in range(9)] for one in (env, other)]
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("before", [0, 11])
@pytest.mark.parametrize(
    "task", ["ball_in_cup-catch", "cartpole-balance", "finger-spin", "manipulator-bring_ball",
             "pendulum-swingup", "point_mass-easy", "reacher-hard"]
)  # fmt: skip
def test_every_control_world(task, before):
    world, other = (make_world(task, render_profile=None) for _ in range(2))
    world.reset(seed=7)
    world.action_space.seed(0)
    for _ in range(before):
        world.step(world.action_space.sample())
    other.reset(seed=8)
    restore(other, snapshot_of(world))
    for step in range(STEPS):
        action = world.action_space.sample()
        assert_same(world.step(action), other.step(action))
        np.testing.assert_array_equal(world.goal_content(), other.goal_content())
        if step == STEPS // 2:
            assert_same(world.reset(), other.reset())


@pytest.mark.parametrize("frame_skip", [1, 4])
def test_atari_with_actions_that_stick(frame_skip):
    # What sticks is the action before, which ALE's own state does not hold; without frame-skip
    # the picture before the last comes from the step before, too.
    labels = {"ball_x": 49, "ball_y": 54, "player_y": 51}
    world, other = (
        AtariWorld("pong", labels, frame_skip=frame_skip, noops=(0, 0), sticky=0.6)
        for _ in range(2)
    )
    rng = np.random.default_rng(0)
    other.reset(seed=1)
    world.reset(seed=3)
    for _ in range(20):
        world.reset()
        play(world, rng, int(rng.integers(6)))
        restore(other, snapshot_of(world))
        for action in rng.integers(world.action_space.n, size=5):
            assert_same(world.step(action), other.step(action))


def test_an_ended_episode_stays_ended():
    env, other = (gym.make("glamor/GridWorld-v0") for _ in range(2))
    env.reset(seed=1)
    env.step(env.get_wrapper_attr("stop_action"))
    other.reset()
    restore(other, snapshot_of(env))
    with pytest.raises(gym.error.ResetNeeded):
        other.step(0)
    assert_same(env.reset(), other.reset())


def test_a_snapshot_is_out_of_reach_of_later_steps():
    env = gym.make("glamor/Pong-v0")
    env.reset(seed=1)
    snapshot = snapshot_of(env)
    play(env, np.random.default_rng(0), 5)
    one = play(env, np.random.default_rng(1), 5)
    for _ in range(2):
        restore(env, snapshot)
        play(env, np.random.default_rng(0), 5)
        assert_same(play(env, np.random.default_rng(1), 5), one)


@pytest.mark.parametrize("restored", [False, True])
def test_what_an_environment_gave_shares_nothing_with_it(restored):
    env = gym.make("glamor/GridWorld-v0").unwrapped
    observation, info = env.reset(seed=1)
    snapshot = env.snapshot
    before = copy.deepcopy(snapshot)
    if restored:
        env.snapshot = snapshot
    snapshot["achieved"][:] = snapshot["desired"][:] = -1.0
    observation["achieved_goal"][:] = observation["desired_goal"][:] = -1.0
    snapshot["goal_labels"].clear()
    info["goal_labels"].clear()
    for name in ("achieved", "desired", "goal_labels"):
        assert np.array_equal(env.snapshot[name], before[name])


@pytest.mark.parametrize("wrapper", [OrderEnforcing, PassiveEnvChecker])
def test_wrappers_that_want_a_reset_are_restored_without_one(wrapper):
    def make():
        goals = GridWorld().all_goals()
        return GoalEnv(wrapper(GridWorld()), goals, ranges={"x": 6.0, "y": 6.0}, horizon=9)

    env, other = make(), wrapper(make())
    env.reset(seed=3)
    env.step(1)
    restore(other, snapshot_of(env))
    assert_same(env.step(0), other.step(0))


class Drifting(gym.Env):
    """A world without snapshots, random in every step."""

    observation_space = gym.spaces.Box(0.0, 1.0, (2,), np.float32)
    action_space = gym.spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._steps = 0
        return self._observe(), {}

    def step(self, action):
        self._steps += 1
        return self._observe(), 0.0, bool(self.np_random.random() < 0.1), False, {}

    def _observe(self):
        return self.np_random.random(2, dtype=np.float32)


class Counting(gym.Wrapper, RecordConstructorArgs):
    """A wrapper of unknown memory."""

    def __init__(self, env):
        RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)


@pytest.mark.parametrize("before", [0, 17])
def test_journal(before):
    assert_goes_on_alike(EpisodeJournal(Drifting()), EpisodeJournal(Drifting()), before)


def test_journal_reaches_back_one_episode():
    env = EpisodeJournal(Drifting())
    env.reset(seed=3)
    play(env, np.random.default_rng(0), 200)
    assert len(snapshot_of(env)["actions"]) < 100


def test_journal_obeys_the_seed_it_is_given():
    assert_same(EpisodeJournal(Drifting()).reset(seed=5), Drifting().reset(seed=5))


@pytest.mark.parametrize("before", [0, 17])
def test_goal_environment_keeps_a_journal_for_a_world_without_snapshots(before):
    goals = [Goal(np.full(2, value, np.float32), "frame") for value in (0.1, 0.5, 0.9)]
    assert_goes_on_alike(
        *(GoalEnv(Drifting(), goals, ranges={}, horizon=8) for _ in range(2)), before
    )


class Telling(Drifting):
    """Its infos hold what no checkpoint can."""

    def reset(self, **kwargs):
        return super().reset(**kwargs)[0], {"hits": {1: 0}}

    def step(self, action):
        return *super().step(action)[:4], {"hits": {1: object()}}


@pytest.mark.parametrize("before", [0, 17])
def test_a_journal_is_kept_whatever_the_infos_hold(before):
    goals = [Goal(np.full(2, value, np.float32), "frame") for value in (0.1, 0.5, 0.9)]
    env, other = (GoalEnv(Telling(), goals, ranges={}, horizon=8) for _ in range(2))
    env.reset(seed=3)
    play(env, np.random.default_rng(0), before)
    other.snapshot = decode(encode(env.snapshot))
    assert_same(env.step(env.stop_action)[:4], other.step(env.stop_action)[:4])
    assert_same(env.reset()[0], other.reset()[0])


def test_a_refused_action_is_not_written_down():
    env = EpisodeJournal(StopAction(Drifting()))
    env.reset(seed=0)
    env.step(1)
    with pytest.raises(ValueError, match="action must be"):
        env.step(77)
    assert env.snapshot["actions"] == [1]


def test_a_refused_reset_leaves_the_running_episode_in_the_journal():
    class Picky(Drifting):
        def reset(self, *, seed=None, options=None):
            if options:
                raise ValueError("no such options")
            return super().reset(seed=seed)

    env = EpisodeJournal(Picky())
    env.reset(seed=3)
    env.step(1)
    before = env.snapshot
    with pytest.raises(ValueError, match="no such options"):
        env.reset(seed=8, options={"goal": "none"})
    assert_same(env.snapshot, before)
    twin = EpisodeJournal(Picky())
    restore(twin, before)
    assert_same(env.step(0), twin.step(0))


def test_a_journal_can_be_restored_twice_whatever_the_environment_does_to_what_it_is_given():
    class Greedy(Drifting):
        def reset(self, *, seed=None, options=None):
            result = super().reset(seed=seed)
            self.speed, self.way = options.pop("speed"), 0.0
            return result

        def step(self, action):
            action *= self.speed
            self.way += float(action)
            return super().step(action)[0], self.way, False, False, {}

    env = EpisodeJournal(Greedy())
    env.reset(seed=3, options={"speed": 2})
    env.step(np.ones(()))
    snapshot = env.snapshot
    ends = []
    for _ in range(2):
        restore(env, snapshot)
        ends.append(env.step(np.ones(())))
    assert_same(*ends)


def test_what_offers_snapshots():
    env = gym.make("glamor/GridWorld-v0")
    assert offers_snapshots(env)
    assert not offers_snapshots(Drifting())

    class Photographing(Drifting):
        @property
        def snapshot(self):  # of a camera, say: it cannot be set
            return np.zeros((2, 2))

    assert not offers_snapshots(Photographing())
    assert not offers_snapshots(Counting(env))
    assert offers_snapshots(gym.wrappers.RepeatAction(env, 2))
    assert not offers_snapshots(gym.wrappers.RepeatAction(Drifting(), 2))
    assert offers_snapshots(EpisodeJournal(Counting(env)))
    frames = gym.wrappers.TransformObservation(
        Drifting(),
        lambda o: np.zeros((1, 4, 4), np.uint8),
        gym.spaces.Box(0, 255, (1, 4, 4), np.uint8),
    )
    assert not offers_snapshots(StackFrames(frames, 2))  # it has some, but not of what is below


def test_restoring_what_offers_none():
    with pytest.raises(AttributeError, match="no snapshots"):
        restore(Drifting(), {})


@pytest.mark.parametrize(
    "rng",
    [np.random.default_rng(3), np.random.RandomState(3), np.random.Generator(np.random.Philox(3))],
)
def test_generators(rng):
    state = random_state(rng)
    drawn = rng.normal(size=5)
    set_random_state(rng, state)
    np.testing.assert_array_equal(rng.normal(size=5), drawn)


def test_generator_of_another_kind():
    with pytest.raises(ValueError, match="state must be that of a Generator"):
        set_random_state(np.random.default_rng(), random_state(np.random.RandomState(1)))


def test_global_generators():
    import random

    before = global_random_state()
    drawn = random.gauss(0, 1), np.random.normal()  # noqa: NPY002
    set_global_random_state(before)
    assert (random.gauss(0, 1), np.random.normal()) == drawn  # noqa: NPY002
