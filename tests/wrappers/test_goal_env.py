import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import SyncVectorEnv
from gymnasium.wrappers import TransformAction, TransformObservation
from hypothesis import given
from hypothesis import strategies as st

from glamor_gym.envs.dice import Dice
from glamor_gym.envs.gridworld import GridWorld
from glamor_gym.factory import make_goal_env
from glamor_gym.types import Goal
from glamor_gym.wrappers import GoalEnv, ScreenToFrame, label_ranges, label_tolerance

STOP = 2
SIZE = (6, 8)


@pytest.fixture
def make(dot_world):
    """A goal environment over the dot, with the goals x = 0 … 7 of ten steps."""

    def build(*, goals=None, horizon=10, ranges=None, ends_at=0, cut_at=0, **kwargs):
        world = dot_world(ends_at=ends_at, cut_at=cut_at)
        labels = [{"x": float(x), "y": 2.0} for x in range(8)]
        if goals is None:
            goals = [
                Goal(world.picture(x), "screen", labels[x], {"x": x + 1.0, "y": 2.0}, index=x)
                for x in range(8)
            ]
        ranges = {"x": 7.0, "y": 0.0} if ranges is None else ranges
        return GoalEnv(ScreenToFrame(world, SIZE), goals, ranges=ranges, horizon=horizon, **kwargs)

    return build


# Observations


def test_the_observation_has_the_four_keys_and_their_spaces(make):
    env = make()
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    assert {key: (value.shape, value.dtype.name) for key, value in observation.items()} == {
        "observation": ((4, 6, 8), "uint8"),
        "achieved_goal": ((1, 6, 8), "uint8"),
        "desired_goal": ((1, 6, 8), "uint8"),
        "steps_left": ((1,), "float32"),
    }


def test_frames_goals_and_steps_left_follow_the_episode(make):
    env = make(horizon=3)
    picture = env._world.unwrapped.picture
    seen = [env.reset(options={"goal": 5})[0], env.step(1)[0], env.step(1)[0]]
    for moment, observation in enumerate(seen):
        assert observation["steps_left"].tolist() == [3 - moment]
        assert np.array_equal(observation["achieved_goal"], picture(moment)[None])
        assert np.array_equal(observation["desired_goal"], picture(5)[None])
    assert not seen[0]["observation"][:3].any()
    assert np.array_equal(seen[0]["observation"][3], picture(0))
    assert not seen[2]["observation"][0].any()
    assert np.array_equal(seen[2]["observation"][1:], [picture(0), picture(1), picture(2)])


def test_what_a_user_does_to_returned_values_does_not_come_back(make):
    env, untouched = make(), make()
    env.reset(options={"goal": 1}), untouched.reset(options={"goal": 1})
    for action in (1, 0, 1, STOP):
        observation, *_, info = result = env.step(action)
        expected = untouched.step(action)
        for key, value in observation.items():
            assert np.array_equal(value, expected[0][key])
        assert result[1:] == expected[1:]
        for value in observation.values():
            value[:] = 7
        info["labels"].clear()
        info["goal_labels"].clear()


def test_vectors_are_neither_stacked_nor_made_pictures():
    env = GoalEnv(GridWorld(), GridWorld().all_goals(), ranges={"x": 6.0, "y": 6.0}, horizon=10)
    observation, _ = env.reset(options={"goal": 0})
    assert observation in env.observation_space
    assert observation["observation"].shape == (49,)
    assert observation["desired_goal"].tolist() == [1.0] + [0.0] * 48


@pytest.mark.parametrize("frame_stack", [1, 2, 5])
def test_the_stack_has_the_length_asked_for(make, frame_stack):
    env = make(frame_stack=frame_stack)
    env.reset()
    observation = env.step(0)[0]
    assert observation["observation"].shape == (frame_stack, 6, 8)
    assert observation in env.observation_space


# How episodes end


def test_at_the_horizon_the_episode_is_truncated(make):
    env = make(horizon=3)
    env.reset()
    ends = [env.step(0)[2:4] for _ in range(3)]
    assert ends == [(False, False), (False, False), (False, True)]
    with pytest.raises(ResetNeeded, match="reset"):
        env.step(0)


def test_the_space_of_steps_left_follows_the_horizon(make):
    env = make(horizon=3, render_mode="rgb_array")
    env.horizon = 12
    with pytest.raises(ResetNeeded, match="no picture"):
        env.render()
    assert env.observation_space == make(horizon=12).observation_space
    assert env.reset()[0] in env.observation_space
    with pytest.raises(ValueError, match="horizon must be an integer from 1 to 16777216, got 0"):
        env.horizon = 0
    assert env.horizon == 12


def test_the_horizon_of_a_running_episode_stays(make):
    env = make(horizon=3)
    env.reset()
    with pytest.raises(RuntimeError, match="horizon must be 3 while an episode is running, got 12"):
        env.horizon = 12
    env.step(STOP)
    env.horizon = 12
    assert env.reset()[0] in env.observation_space


@pytest.mark.parametrize(("name", "value"), [("reward", "label"), ("label_lag", 2)])
def test_what_is_set_is_checked_as_what_is_given(make, name, value):
    env = make()
    with pytest.raises(ValueError, match=f"{name} must be one of"):
        env.set_wrapper_attr(name, value)
    assert (env.reward, env.label_lag) == ("image", 0)


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_stop_terminates_at_the_first_step_and_at_the_last(make, steps):
    env = make(horizon=3)
    observation, _ = env.reset(options={"goal": steps})
    for _ in range(steps):
        observation, *_ = env.step(1)
    last, _, terminated, truncated, info = env.step(env.stop_action)
    assert (terminated, truncated) == (True, False)
    assert info["stopped"] is True
    assert info["world_terminated"] is False
    assert info["is_success"] is True
    assert np.array_equal(last["observation"], observation["observation"])
    assert last["steps_left"].tolist() == [3 - steps - 1]
    assert env._world.unwrapped.steps == steps
    with pytest.raises(ResetNeeded):
        env.step(0)


@pytest.mark.parametrize("horizon", [1, 2, 3])
def test_where_the_world_ends_it_is_terminated(make, horizon):
    env = make(ends_at=2, horizon=horizon)
    env.reset()
    *_, (*_, terminated, truncated, info) = [env.step(0) for _ in range(min(horizon, 2))]
    assert (terminated, truncated) == ((False, True) if horizon == 1 else (True, False))
    assert info["world_terminated"] is terminated


def test_where_the_world_cuts_off_it_is_truncated(make):
    env = make(cut_at=2)
    env.reset()
    assert [env.step(0)[2:4] for _ in range(2)] == [(False, False), (False, True)]


def test_a_step_before_the_first_reset_is_refused(make):
    with pytest.raises(ResetNeeded):
        make().step(0)


BAD_OPTIONS = {
    "option": {"gaol": 1},
    "number": {"goal": 99},
    "kind": {"goal": Goal(np.zeros(3), "state", {"angle": 1.0})},
    "labels": {"goal": Goal(np.zeros(SIZE, np.uint8), "screen", {"z": 1.0})},
    "content": {"goal": Goal(np.zeros(SIZE), "screen")},
}


@pytest.mark.parametrize("seed", [None, 7])
@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_a_reset_that_is_refused_leaves_the_episode_as_it_was(make, name, seed):
    env, twin = make(), make()
    for one in (env, twin):
        one.reset(seed=3, options={"goal": 2})
        one.step(1)
    with pytest.raises((ValueError, TypeError), match="goal"):
        env.reset(seed=seed, options=BAD_OPTIONS[name])
    assert env.np_random_seed == 3
    for one, other in ((env.step(1), twin.step(1)), (env.reset(), twin.reset())):
        assert np.array_equal(one[0]["desired_goal"], other[0]["desired_goal"])
        assert one[-1] == other[-1]


def test_a_reset_in_which_the_world_fails_leaves_no_episode_behind(make):
    env = make()
    env.reset()
    env._world.unwrapped.picture = lambda x: 1 / 0
    with pytest.raises(ZeroDivisionError):
        env.reset()
    with pytest.raises(ResetNeeded):
        env.step(0)


def test_ends_and_success_are_python_bools(make):
    env = make()
    assert type(env.reset()[1]["is_success"]) is bool
    _, reward, terminated, truncated, info = env.step(1)
    assert (type(reward), type(terminated), type(truncated)) == (float, bool, bool)
    assert type(info["is_success"]) is bool


# Rewards and success


def play(env, goal, actions):
    """Return the rewards and successes of an episode, the reset's success first."""
    _, info = env.reset(options={"goal": goal})
    steps = [env.step(action) for action in actions]
    return [step[1] for step in steps], [info["is_success"]] + [s[-1]["is_success"] for s in steps]


def test_the_image_reward_is_equality_of_pictures_at_every_step(make):
    rewards, success = play(make(), 1, [0, 1, 0, 1, STOP])
    assert rewards == [0.0, 1.0, 1.0, 0.0, 0.0]
    assert success == [False, False, True, True, False, False]


@pytest.mark.parametrize(
    ("actions", "rewards"),
    [
        ([1, 1, STOP], [0.0, 0.0, 1.0]),  # stopped there
        ([1, 1, 0, 0], [0.0, 0.0, 0.0, 1.0]),  # there at the horizon
        ([1, 1, 1, STOP], [0.0, 0.0, 0.0, 0.0]),  # passed by
        ([STOP], [0.0]),
    ],
)
def test_the_label_reward_comes_where_the_episode_ends_in_success(make, actions, rewards):
    assert play(make(horizon=4, reward="labels"), 2, actions)[0] == rewards


def test_a_label_may_miss_by_less_than_a_tenth_of_its_range(make):
    # The goal is x = 3; a tenth of 70 is 7, and 7 is not less than 7.
    for extent, farthest in ((70.0, 6), (10.0, 0), (10.1, 1), (0.0, 0), (40.0, 3)):
        env = make(
            ranges={"x": extent, "y": 1.0},
            goals=[Goal(np.zeros(SIZE, np.uint8), "screen", {"x": 7.0, "y": 2.0})],
        )
        _, success = play(env, 0, [1] * 7)
        assert success == [7 - x <= farthest for x in range(8)], extent


def test_all_labels_have_to_match(make):
    goal = Goal(np.zeros(SIZE, np.uint8), "screen", {"x": 0.0, "y": 5.0})
    assert play(make(goals=[goal], ranges={"x": 7.0, "y": 7.0}), 0, [STOP])[1] == [False, False]


def test_ranges_are_those_of_the_goals_that_have_a_label():
    tables = [{"x": 1.0, "y": 2.0}, {"x": -2.0}, None, {"y": 2.0}]
    goals = [Goal(np.zeros(SIZE, np.uint8), "screen", table) for table in tables]
    assert label_ranges(goals) == {"x": 3.0, "y": 0.0}
    with pytest.raises(TypeError, match="goals"):
        label_ranges(tables)


@given(st.floats(0.01, 1e6), st.floats(0, 1))
def test_the_tolerance_is_a_tenth_of_the_range(extent, share):
    assert label_tolerance(extent) == pytest.approx(extent / 10)
    assert label_tolerance(share * 0.0099) == 0.1


def test_lagged_labels_are_those_one_step_after_the_picture(make):
    env = make(label_lag=1)
    assert env.reset(options={"goal": 2})[1]["goal_labels"] == {"x": 3.0, "y": 2.0}
    assert play(env, 2, [1, 1, 1])[1] == [False, False, False, True]


def test_without_labels_success_is_equality_of_pictures(make):
    env = make(reward="labels")
    picture = env._world.unwrapped.picture(1)[None]
    for goal in (picture, Goal(picture, "frame")):
        rewards, success = play(env, goal, [1, STOP])
        assert env.reset(options={"goal": goal})[1]["goal_labels"] == {}
        assert (rewards, success) == ([0.0, 1.0], [False, True, True])


def test_labels_that_are_bytes_do_not_wrap_around(make):
    """As the memory of a console has them: 3 − 5 is 254 there."""
    labels = {"x": np.uint8(1), "y": np.uint8(2)}
    env = make(
        goals=[Goal(np.zeros((6, 8), np.uint8), "screen", labels)], ranges={"x": 100, "y": 0}
    )
    world = env._world.unwrapped
    world.info = lambda: {"labels": {"x": np.uint8(world.x), "y": np.uint8(2)}}
    _, info = env.reset()
    assert info["labels"] == {"x": 0.0, "y": 2.0}
    assert {type(value) for value in (info["labels"] | info["goal_labels"]).values()} == {float}
    assert info["is_success"]  # within a tenth of 100


@pytest.mark.parametrize("labels", [None, {"x": "left"}, {"x": np.zeros(2)}])
def test_labels_of_the_world_that_are_no_numbers_are_named(make, labels):
    env = make()
    env._world.unwrapped.info = lambda: {"labels": labels}
    with pytest.raises(TypeError, match=r"info\['labels'\] of the world must map names to numbers"):
        env.reset()


# Goals


def test_a_reset_draws_each_goal_as_likely(make):
    env = make()
    env.reset(seed=0)
    drawn = [env.reset()[1]["goal_labels"]["x"] for _ in range(800)]
    counts = np.bincount(np.array(drawn, int), minlength=8)
    # Chi-squared with 7 degrees of freedom: 24.3 is the 99.9 % point.
    assert ((counts - 100) ** 2 / 100).sum() < 24.3


def test_the_same_seed_gives_the_same_episodes(make):
    def labels(env, seed):
        return [env.reset(seed=seed)[1]] + [env.reset()[1] for _ in range(5)]

    assert labels(make(), 7) == labels(make(), 7)
    env = make()
    assert labels(env, 7) == labels(env, 7)
    assert labels(env, 7) != labels(env, 8)


def test_goal_and_world_do_not_share_their_first_draw():
    env = GoalEnv(Dice(), Dice().all_goals(), ranges={"face": 5.0}, horizon=1)
    pairs = set()
    for seed in range(300):
        goal = env.reset(seed=seed)[1]["goal_labels"]["face"]
        pairs.add((goal, env.step(0)[-1]["labels"]["face"]))
    assert len(pairs) == 36


def test_goals_may_be_loaded_one_by_one(make):
    class Lazy(list):
        loaded = 0

        def __getitem__(self, index):
            self.loaded += 1
            return super().__getitem__(index)

    goals = Lazy(make().goals)
    env = make(goals=goals)
    assert goals.loaded == 0
    env.reset()
    assert goals.loaded == 1


def test_a_goal_is_shown_by_this_episodes_world(dot_world):
    class Tinted(dot_world):
        """Every episode is brighter than the one before, goals included."""

        tint = 0

        def reset(self, *, seed=None, options=None):
            self.tint += 1
            return super().reset(seed=seed)

        def picture(self, x):
            return super().picture(x) + np.uint8(self.tint)

        def goal_screen(self, content):
            return self.picture(int(content[0]))

    world = Tinted()
    world.goal_kind = "state"
    env = GoalEnv(
        ScreenToFrame(world, SIZE), [Goal(np.array([0.0]), "state")], ranges={}, horizon=2
    )
    for episode in (1, 2):
        observation, info = env.reset()
        assert observation["desired_goal"].max() == 200 + episode
        assert info["is_success"] is True


def test_a_number_of_a_goal_may_be_numpys(make):
    env = make()
    for number in (np.int64(2), np.array(2)):
        assert env.reset(options={"goal": number})[1]["goal_labels"]["x"] == 2.0


def test_a_picture_goal_is_copied(make):
    env = make()
    picture = env._world.unwrapped.picture(0)[None]
    env.reset(options={"goal": picture})
    picture[:] = 0
    assert env.step(0)[1] == 1.0


@pytest.mark.parametrize(
    ("goal", "error", "message"),
    [
        (8, ValueError, "from 0 to 7, got 8"),
        (-1, ValueError, "from 0 to 7, got -1"),
        (1.0, TypeError, "options\\['goal'\\].*got 1.0 \\(float\\)"),
        (True, TypeError, "got True"),
        ("3", TypeError, "got '3'"),
        (None, TypeError, "got None"),
        (np.zeros(SIZE, np.uint8), ValueError, r"shape \(1, 6, 8\).*got shape \(6, 8\)"),
        (np.zeros((1, *SIZE), np.float32), TypeError, "dtype uint8, got dtype float32"),
        (
            Goal(np.zeros((1, 2, 2), np.uint8), "frame"),
            ValueError,
            r"options\['goal'\].content.*\(1, 2, 2\)",
        ),
        (
            Goal(np.zeros(3), "state", {"angle": 1.0}),
            ValueError,
            r"options\['goal'\].kind must be 'frame' or 'screen' here, got 'state'",
        ),
        (
            Goal(np.zeros(SIZE, np.uint8), "screen", {"z": 1.0}),
            ValueError,
            r"ranges must contain the labels of options\['goal'\], but lacks \['z'\]",
        ),
    ],
)
def test_a_goal_that_does_not_fit_is_refused(make, goal, error, message):
    with pytest.raises(error, match=message):
        make().reset(options={"goal": goal})


@pytest.mark.parametrize("value", [np.nan, 1.5, -0.5])
def test_vector_goals_out_of_bounds_are_refused(value):
    env = GoalEnv(Dice(), Dice().all_goals(), ranges={"face": 5.0}, horizon=1)
    with pytest.raises(ValueError, match=r"options\['goal'\]"):
        env.reset(options={"goal": np.full(6, value, np.float32)})


def test_unknown_options_are_refused(make):
    with pytest.raises(ValueError, match=r"may contain 'goal', 'colour' only, got \['gaol'\]"):
        make().reset(options={"gaol": 1})


@pytest.mark.parametrize("task", ["Pong", "pendulum-swingup", "GridWorld", "Dice"])
def test_the_packages_own_worlds_take_no_options(task):
    with pytest.raises(ValueError, match=r"may contain 'goal' only, got \['gaol'\]"):
        make_goal_env(task).reset(options={"gaol": 1})


def test_other_options_are_the_worlds():
    class Open(GridWorld):
        reset_options = ("door",)
        given = ()

        def reset(self, *, seed=None, options=None):
            self.given += (options,)
            return super().reset(seed=seed)

    env = GoalEnv(Open(), GridWorld().all_goals(), ranges={"x": 6.0, "y": 6.0}, horizon=5)
    env.reset(options={"goal": 3, "door": "open"})
    env.reset(options={"goal": 3})
    assert env._world.unwrapped.given == ({"door": "open"}, None)


def test_a_world_that_does_not_say_which_options_it_takes_is_passed_all():
    class Moved(gym.Env):
        observation_space, action_space = Box(0, 1, (2,), np.float32), Discrete(2)

        def reset(self, *, seed=None, options=None):
            return np.array([options["x"], 0], np.float32), {}

    env = GoalEnv(Moved(), [Goal(np.ones(2, np.float32), "frame")], horizon=5)
    assert env.reset(options={"x": 0.5})[0]["observation"].tolist() == [0.5, 0]


def test_goals_without_lagged_labels_cannot_be_judged_with_a_lag(make):
    goal = Goal(np.zeros(SIZE, np.uint8), "screen", {"x": 0.0, "y": 2.0})
    with pytest.raises(ValueError, match="lagged_labels"):
        make(label_lag=1).reset(options={"goal": goal})


def test_a_range_of_a_label_that_no_goal_has_is_refused(make):
    goals = [Goal(np.zeros(SIZE, np.uint8), "screen", {"x": float(x)}) for x in range(2)]
    with pytest.raises(ValueError, match=r"^ranges must be of labels .* no goal has \['y'\]"):
        make(goals=goals, ranges={"x": 7.0, "y": 7.0})
    # One goal may have it, or one that is given later, where none has labels.
    make(goals=[*goals, Goal(goals[0].content, "screen", {"y": 0.0})], ranges={"x": 7.0, "y": 7.0})
    make(goals=[Goal(goals[0].content, "screen")], ranges={"x": 7.0, "y": 7.0})


def test_without_labels_there_are_no_ranges(dot_world):
    world = ScreenToFrame(dot_world(), SIZE)
    goals = [Goal(dot_world().picture(2), "screen")]
    env = GoalEnv(world, goals, horizon=5)
    assert env.ranges == {}
    env.reset(seed=0)
    assert [env.step(1)[-1]["is_success"] for _ in range(3)] == [False, True, False]
    labelled = Goal(goals[0].content, "screen", {"x": 2.0})
    with pytest.raises(ValueError, match=r"ranges must contain the labels of .*\['x'\]"):
        GoalEnv(world, [labelled], horizon=5)


def test_labels_that_the_world_lacks_are_named(make):
    goal = Goal(np.zeros(SIZE, np.uint8), "screen", {"z": 0.0})
    with pytest.raises(ValueError, match=r"lack \['z'\]"):
        make(goals=[goal], ranges={"z": 1.0}).reset()


@pytest.mark.parametrize(
    ("goal", "error", "message"),
    [
        (Goal(np.zeros((1, 3, 3), np.uint8), "frame"), ValueError, r"goals\[1\].content"),
        (Goal(np.zeros((1, *SIZE), np.uint8), "frame", {"z": 1.0}), ValueError, r"goals\[1\]"),
        (Goal(np.zeros((1, *SIZE), np.uint8), "frame", [1]), TypeError, r"goals\[1\].labels"),
        (
            Goal(np.zeros((1, *SIZE), np.uint8), "frame", {"x": np.nan}),
            ValueError,
            r"goals\[1\].labels must be finite",
        ),
        (
            Goal(np.zeros((1, *SIZE), np.uint8), "frame", {"x": np.inf}),
            ValueError,
            r"goals\[1\].labels must be finite",
        ),
    ],
)
def test_a_faulty_goal_is_found_before_it_is_drawn(make, goal, error, message):
    fine = Goal(np.zeros((1, *SIZE), np.uint8), "frame")
    with pytest.raises(error, match=message):
        make(goals=[fine, goal])


@pytest.mark.parametrize("options", [{}, {"goal": 0}])
def test_goals_that_are_set_or_loaded_later_are_named_too(make, options):
    env = make()
    for goals, error, message in (
        ([np.zeros((1, *SIZE), np.uint8)], TypeError, r"goals\[0\] must be a Goal, got an array"),
        ((), ValueError, "goals must hold at least one goal"),
        (make().goals[0], TypeError, "goals must be a sequence of Goal, got Goal"),
    ):
        env.goals = goals
        with pytest.raises(error, match=message):
            env.reset(options=options)


@pytest.mark.parametrize("goals", [np.zeros((2, 1, *SIZE), np.uint8), {0: 1}, "eval"])
def test_what_is_no_sequence_of_goals_is_refused(make, goals):
    with pytest.raises(TypeError, match="goals must be a sequence of Goal"):
        make(goals=goals)


# compute_*


@pytest.mark.parametrize("reward", ["image", "labels"])
@pytest.mark.parametrize("world", [{}, {"ends_at": 3}, {"cut_at": 3}])
@pytest.mark.parametrize("actions", [[1, 1, 0, 0, 1], [1, 1, STOP], [1, 1, 0, 0, STOP], [STOP]])
def test_compute_agrees_with_step_one_by_one_and_in_a_batch(make, reward, world, actions):
    env = make(reward=reward, horizon=5, **world)
    env.reset(options={"goal": 2})
    steps = []
    for action in actions:
        steps.append(env.step(action))
        if steps[-1][2] or steps[-1][3]:
            break
    methods = (env.compute_reward, env.compute_terminated, env.compute_truncated)
    achieved = [step[0]["achieved_goal"] for step in steps]
    desired = [step[0]["desired_goal"] for step in steps]
    infos = [step[-1] for step in steps]
    for column, method in enumerate(methods, start=1):
        expected = [step[column] for step in steps]
        one_by_one = [method(*moment) for moment in zip(achieved, desired, infos, strict=True)]
        assert one_by_one == expected
        assert [type(value) for value in one_by_one] == [type(value) for value in expected]
        for batch in (infos, np.array(infos)):
            values = method(np.array(achieved), np.array(desired), batch)
            assert values.shape == (len(steps),)
            assert values.tolist() == expected
    assert env.compute_reward(np.array(achieved), np.array(desired), infos).dtype == np.float32


def test_rules_that_a_step_would_not_follow_are_refused():
    def half(self, achieved_goal, desired_goal, info):
        return 0.5

    with pytest.raises(TypeError, match=r"Half must override step\(\) too"):
        type("Half", (GoalEnv,), {"compute_reward": half})
    both = type("Both", (GoalEnv,), {"compute_reward": half, "step": lambda self, action: None})
    assert type("Derived", (both,), {"compute_truncated": half})


def test_the_image_reward_needs_no_info(make):
    env = make()
    picture = env._world.unwrapped.picture
    achieved = np.array([picture(1)[None], picture(2)[None]])
    desired = np.array([picture(1)[None], picture(1)[None]])
    assert env.compute_reward(achieved, desired, [{}, {}]).tolist() == [1.0, 0.0]
    assert env.compute_reward(achieved[0], desired[0], {}) == 1.0


def test_what_info_lacks_is_named(make):
    env = make(reward="labels")
    _, info = env.reset()
    picture = np.zeros((1, *SIZE), np.uint8)
    with pytest.raises(ValueError, match=r"info must contain 'stopped'.*cannot be relabelled"):
        env.compute_reward(picture, picture, {})
    with pytest.raises(ValueError, match="info must contain 'steps_left'"):
        env.compute_truncated(picture[None], picture[None], [{"stopped": False}])
    del info["goal_labels"]
    with pytest.raises(ValueError, match="info must contain 'goal_labels'"):
        env.compute_reward(picture, picture, info)


@pytest.mark.parametrize("shape", [SIZE, (2, 1, 1, *SIZE), (1, 8, 6)])
def test_goals_of_other_shapes_are_not_compared(make, shape):
    with pytest.raises(ValueError, match="achieved_goal and desired_goal must both have shape"):
        make().compute_reward(np.zeros(shape, np.uint8), np.zeros(shape, np.uint8), {})


def test_goals_of_different_shapes_are_not_compared(make):
    one = np.zeros((1, *SIZE), np.uint8)
    with pytest.raises(ValueError, match="achieved_goal and desired_goal"):
        make().compute_reward(one[None], one, [{}])


@pytest.mark.parametrize("reward", ["image", "labels"])
def test_an_empty_batch_is_computed_to_empty_batches(make, reward):
    env = make(reward=reward)
    goals = np.zeros((0, 1, *SIZE), np.uint8)
    assert env.compute_reward(goals, goals, []).shape == (0,)
    assert env.compute_terminated(goals, goals, []).shape == (0,)
    assert env.compute_truncated(goals, goals, []).shape == (0,)


def test_as_many_infos_as_goals_are_needed(make):
    env = make(reward="labels")
    _, info = env.reset()
    goals = np.zeros((2, 1, *SIZE), np.uint8)
    with pytest.raises(
        ValueError, match=r"info must be of as many moments as achieved_goal, \(2,\)"
    ):
        env.compute_reward(goals, goals, [info])


def test_the_infos_of_a_vector_are_no_list_of_infos(make):
    vector = SyncVectorEnv([lambda: make(reward="labels")] * 2)
    observation, infos = vector.reset()
    goals = observation["achieved_goal"]
    with pytest.raises(ValueError, match=r"info must be of as many moments .*\(2,\), got one"):
        vector.envs[0].compute_reward(goals, goals, infos)


# Construction, rendering, closing


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"horizon": 0}, ValueError, "horizon must be an integer from 1 to 16777216, got 0"),
        ({"horizon": 2**24 + 1}, ValueError, "horizon must be an integer from 1 to 16777216"),
        ({"horizon": 10**40}, ValueError, "horizon must be an integer from 1 to 16777216"),
        ({"horizon": 2.5}, TypeError, "horizon"),
        ({"reward": "sparse"}, ValueError, "reward must be one of .*got 'sparse'"),
        ({"label_lag": 2}, ValueError, "label_lag must be one of 0, 1, got 2"),
        ({"frame_stack": 0}, ValueError, "frame_stack"),
        ({"frame_stack": 1001}, ValueError, "frame_stack must be an integer from 1 to 1000"),
        ({"render_mode": "human"}, ValueError, "render_mode.*'human'"),
        ({"goals": []}, ValueError, "goals must hold at least one goal"),
        ({"goals": [np.zeros((1, 2, 3))]}, TypeError, r"goals\[0\] must be a Goal"),
        ({"ranges": {"x": -1.0}}, ValueError, r"ranges\['x'\].*-1.0"),
        ({"ranges": {"x": np.nan}}, ValueError, r"ranges\['x'\].*nan"),
    ],
)
def test_bad_arguments_are_named(make, kwargs, error, message):
    with pytest.raises(error, match=message):
        make(**kwargs)


def test_a_world_with_actions_counted_from_one_is_refused():
    world = GridWorld()
    world.action_space = Discrete(4, start=1)
    with pytest.raises(ValueError, match=r"world must have actions Discrete\(n\) starting at 0"):
        GoalEnv(world, GridWorld().all_goals(), ranges={}, horizon=1)


def test_a_world_with_channels_last_is_refused(dot_world):
    world = dot_world()
    world.observation_space = Box(0, 255, (64, 64, 3), np.uint8)
    goals = [Goal(np.zeros((64, 64, 3), np.uint8), "frame")]
    with pytest.raises(ValueError, match=r"channels first.*\(64, 64, 3\).*ScreenToFrame"):
        GoalEnv(world, goals, ranges={}, horizon=1)


def test_a_world_without_frames_is_refused(dot_world):
    goals = [Goal(np.zeros(SIZE, np.uint8), "screen")]
    with pytest.raises(ValueError, match=r"world must show frames.*ScreenToFrame"):
        GoalEnv(dot_world(), goals, ranges={}, horizon=1)


def test_rendering_shows_the_frame_beside_the_goal(make):
    env = make(render_mode="rgb_array")
    env.reset(options={"goal": 3})
    picture = env.render()
    assert (picture.shape, picture.dtype) == ((240, 648, 3), np.uint8)
    assert picture[100, 20].tolist() == [200] * 3  # the dot at x = 0, 40 pixels a cell
    assert picture[100, 328 + 3 * 40 + 20].tolist() == [200] * 3  # and the goal's at x = 3
    assert picture[100, 328 + 20].tolist() == [0] * 3


def test_rendering_shows_the_world_in_colour_beside_the_goal():
    env = make_goal_env("Pong", render_mode="rgb_array")
    env.reset(seed=0)
    both = env.render()
    world, goal, _ = env.pictures()
    assert both.shape == (420, 320 + 8 + 320, 3)  # twice the console's screen
    assert np.array_equal(both[::2, :320:2], world)
    assert np.abs(both[:, 328:].mean() - goal.mean()) < 1


def test_vector_worlds_draw_themselves():
    env = GoalEnv(
        GridWorld(),
        GridWorld().all_goals(),
        ranges={"x": 6.0, "y": 6.0},
        horizon=1,
        render_mode="rgb_array",
    )
    env.reset(options={"goal": Goal(GridWorld().all_goals()[0].content, "frame")})
    both = env.render()
    width = (both.shape[1] - 8) // 2
    assert both.shape[0] >= 320
    assert not np.array_equal(both[:, :width], both[:, -width:])


def test_what_wrappers_made_of_a_worlds_observations_is_not_drawn_by_it():
    space = Box(0, 1, (2,), np.float32)
    place = TransformObservation(
        GridWorld(), lambda cells: np.divide(divmod(cells.argmax(), 7), 6, dtype=np.float32), space
    )
    goals = [Goal(np.ones(2, np.float32), "frame")]
    env = GoalEnv(place, goals, ranges={}, horizon=3, render_mode="rgb_array")
    env.reset(options={"goal": 0})
    assert (env.render()[:, -320:] == 255).all()  # two white cells


def test_a_users_own_method_is_not_taken_for_the_hook_that_draws(dot_world):
    class Painting(dot_world):
        def draw(self):
            raise AssertionError("not for the goal environment")

    world = ScreenToFrame(Painting(), SIZE)
    goal = Goal(np.zeros((1, *SIZE), np.uint8), "frame")
    env = GoalEnv(world, [goal], ranges={}, horizon=1, render_mode="rgb_array")
    env.reset()
    assert env.render().shape[-1] == 3


def test_a_vector_that_the_world_goes_on_writing_to_is_copied():
    class Buffered(GridWorld):
        def reset(self, **kwargs):
            observation, info = super().reset(**kwargs)
            self.buffer = observation
            return self.buffer, info

        def step(self, action):
            observation, *rest = super().step(action)
            self.buffer[:] = observation
            return self.buffer, *rest

    env = GoalEnv(Buffered(), GridWorld().all_goals(), ranges={"x": 6.0, "y": 6.0}, horizon=5)
    seen, _ = env.reset(seed=0)
    kept = seen["observation"].copy()
    for action in range(2):  # up and right: all four moves would lead back to the start
        env.step(action)
    assert np.array_equal(seen["observation"], kept)


@pytest.mark.parametrize(
    ("shown", "error", "message"),
    [
        (np.zeros(6), TypeError, "dtype float32, got dtype float64"),
        ([0.0] * 6, TypeError, r"got \[0.0, "),
        (np.zeros(7, np.float32), ValueError, r"shape \(6,\).*got shape \(7,\)"),
        (np.full(6, np.nan, np.float32), ValueError, "NaN"),
    ],
)
def test_a_vector_outside_the_worlds_own_space_is_refused(shown, error, message):
    world = TransformObservation(Dice(), lambda _: shown, Dice().observation_space)
    env = GoalEnv(world, Dice().all_goals(), ranges={"face": 5.0}, horizon=1)
    with pytest.raises(error, match=rf"the world's observation must .*{message}"):
        env.reset()


def test_a_moment_is_told_by_three_pictures(make):
    env = make()  # a world without a render mode is shown as the agent sees it
    env.reset(options={"goal": 3})
    world, goal, achieved = env.pictures()
    assert np.argwhere(achieved == 200).tolist() == [[2, 0, c] for c in range(3)]
    assert np.argwhere(goal == 200).tolist() == [[2, 3, c] for c in range(3)]
    assert np.array_equal(world, achieved)
    world[:] = 7
    assert not (achieved == 7).any()
    assert not (env.pictures().world == 7).any()


@pytest.mark.parametrize(("mode", "rendered"), [("ansi", "a dot"), ("rgb_array_list", [])])
def test_a_world_that_renders_no_single_picture_is_shown_as_the_agent_sees_it(make, mode, rendered):
    env = make()
    env._world.unwrapped.render_mode = mode
    env._world.unwrapped.render = lambda: rendered
    env.reset()
    assert np.array_equal(env.pictures().world, env.pictures().achieved)


@pytest.mark.parametrize(("task", "shape"), [("Pong", (210, 160, 3)), ("Dice", (40, 40, 3))])
def test_a_world_that_renders_is_shown_as_it_renders(task, shape):
    env = make_goal_env(task, render_mode="rgb_array")
    env.reset(seed=0)
    world, goal, achieved = env.pictures()
    assert world.shape == shape
    assert goal.shape == achieved.shape
    assert np.array_equal(world, env._world.render())
    coloured = (world != world[..., :1]).any()
    assert coloured == (task == "Pong")


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("Dice", ["fair", "loaded", "STOP"]),
        ("GridWorld", ["up", "right", "down", "left", "STOP"]),
        ("Pong", ["NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE", "STOP"]),
        ("pendulum-swingup", ["-1", "0", "+1", "STOP"]),
    ],
)
def test_actions_have_names(task, names):
    assert make_goal_env(task).get_action_meanings() == names


def test_actions_of_a_world_that_names_none_are_numbered(make):
    assert make().get_action_meanings() == ["0", "1", "STOP"]


def test_actions_that_a_wrapper_has_replaced_are_numbered():
    few = TransformAction(GridWorld(), lambda action: 2 * action, Discrete(2))
    env = GoalEnv(few, GridWorld().all_goals(), ranges={"x": 6.0, "y": 6.0}, horizon=10)
    assert env.get_action_meanings() == ["0", "1", "STOP"]


def test_rendering_keeps_the_worlds_pace(make):
    env = GoalEnv(Dice(), Dice().all_goals(), ranges={"face": 5.0}, horizon=1)
    assert env.metadata == {"render_modes": ["rgb_array"], "render_fps": 1}
    assert make().metadata["render_fps"] == 15


def test_rendering_without_a_mode_warns(make):
    env = make()
    env.reset()
    with pytest.warns(UserWarning, match="render_mode"):
        assert env.render() is None


def test_there_is_no_picture_before_the_first_reset(make):
    env = make(render_mode="rgb_array")
    with pytest.raises(ResetNeeded, match="no picture to render yet"):
        env.render()
    env.reset()
    assert env.render() is not None
    env.step(env.stop_action)
    assert env.render() is not None  # what the episode ended with


@pytest.mark.filterwarnings("error")
def test_a_world_is_closed_once(make):
    env = make()
    world = env._world.unwrapped
    closed = []
    world.close = lambda: closed.append(True)
    env.reset()
    env.close()
    env.close()
    assert closed == [True]
    env.reset()  # which many worlds open again for
    env.close()
    assert closed == [True, True]


def test_what_it_renders_takes_no_picture_of_the_world(make):
    env = make(render_mode="rgb_array")
    env._world.unwrapped.render_mode = "ansi"
    env._world.unwrapped.render = lambda: "a dot"
    env.reset()
    assert env.render().dtype == np.uint8
