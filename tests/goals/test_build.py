import importlib.metadata
from functools import cache

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from glamor_gym.envs import make_world
from glamor_gym.goals import build
from glamor_gym.goals.build import (
    Candidate,
    PlayedEpisode,
    build_goal_set,
    choose_evaluation,
    choose_training,
    collect,
    measure_bounds,
    play,
    spread,
)
from glamor_gym.types import World


class Walk(gym.Env):
    """One step to the right whatever the action; the world ends after `length` steps."""

    goal_kind = "frame"
    action_space = spaces.Discrete(2)
    observation_space = spaces.Box(0, 1, (1,), np.float32)

    def __init__(self, length=None):
        self.length = length
        self.actions = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = 0
        return self.goal_content(), self.info()

    def step(self, action):
        self.x += 1
        self.actions.append(action)
        return self.goal_content(), 0.0, self.x == self.length, False, self.info()

    def info(self):
        return {"labels": {"x": float(self.x), "still": 3.0}}

    def goal_content(self):
        return np.array([self.x], np.float32)

    def goal_screen(self, content):
        return content


def rng(seed=0):
    return np.random.default_rng(seed)


def facts(episode):
    return [
        (moment.steps, moment.content[0], moment.labels[0], moment.lagged_labels[0])
        for moment in episode.moments
    ]


class TestPlay:
    def test_moments_asked_for_are_kept_with_the_labels_of_the_next_step(self):
        episode = play(Walk(), rng(), [5, 2])
        assert facts(episode) == [(2, 2, 2, 3), (5, 5, 5, 6)]
        assert episode.steps == 6
        assert episode.start_labels.tolist() == [0, 3]

    def test_where_the_world_ends_before_the_last_moment_alive_takes_their_place(self):
        episode = play(Walk(length=4), rng(), [1, 7, 9])
        assert facts(episode) == [(1, 1, 1, 2), (3, 3, 3, 4)]
        assert episode.steps == 4

    def test_a_moment_just_before_the_end_is_kept_once(self):
        assert facts(play(Walk(length=4), rng(), [3, 9])) == [(3, 3, 3, 4)]

    def test_a_world_that_ends_at_the_moment_asked_for_gives_the_one_before(self):
        assert facts(play(Walk(length=4), rng(), [4])) == [(3, 3, 3, 4)]

    def test_a_world_that_ends_at_once_has_no_moment_alive(self):
        assert play(Walk(length=1), rng(), [1]).moments == ()

    def test_actions_are_uniform(self):
        world = Walk()
        play(world, rng(), [2000])
        assert np.mean(world.actions) == pytest.approx(0.5, abs=0.05)
        assert set(world.actions) == {0, 1}


def test_bounds_are_those_of_ends_after_one_to_t_steps():
    bounds, steps = measure_bounds(Walk(), 5, rng())
    assert bounds == {"x": (1.0, 5.0), "still": (3.0, 3.0)}
    # 500 lengths of mean 3, and a step more for the lag.
    assert steps == pytest.approx(500 * 4, rel=0.05)


def test_episodes_keep_their_end_and_three_earlier_moments():
    played = collect(Walk(), 10, rng(), 50)
    steps = [[moment.steps for moment in episode.moments] for episode in played]
    assert all(len(set(each)) == 4 and each[-1] == 10 for each in steps)
    assert {step for each in steps for step in each} == set(range(1, 11))


def test_progress_is_shown_where_it_is_asked_for(capsys):
    collect(Walk(), 10, rng(), 50)
    assert capsys.readouterr().err == ""
    collect(Walk(), 10, rng(), 50, progress_bar=True)
    assert "50/50" in capsys.readouterr().err


def test_short_horizons_have_fewer_moments():
    assert [len(episode.moments) for episode in collect(Walk(), 2, rng(), 3)] == [2, 2, 2]
    assert [len(episode.moments) for episode in collect(Walk(), 1, rng(), 3)] == [1, 1, 1]


def moment(x, y=0.0, steps=10, content=None):
    labels = np.array([x, y], float)
    content = np.array([x, y]) if content is None else np.asarray(content)
    return Candidate(content, labels, labels, steps)


def ended(*moments, start=(0.0, 0.0)):
    return [PlayedEpisode(np.array(start), (each,), each.steps) for each in moments]


BOUNDS = {"x": (0.0, 100.0), "y": (0.0, 1.0)}


class TestChooseEvaluation:
    def choose(self, played, count, seed=0):
        chosen = choose_evaluation(played, BOUNDS, 10, count, rng(seed))
        return sorted(tuple(each.labels) for each in chosen)

    @pytest.mark.parametrize("seed", range(20))
    def test_labels_count_by_their_range(self, seed):
        """Far apart is a whole range of y, not ten units of x."""
        played = ended(*(moment(50 + x, y) for x in (0.0, 1, 2, 10) for y in (0.0, 1)))
        assert len({y for _, y in self.choose(played, 2, seed)}) == 2

    @pytest.mark.parametrize("seed", range(5))
    def test_what_doing_nothing_reaches_is_left_out(self, seed):
        near, far = (moment(9.9, 0.05), moment(10.0)), (moment(0.0, 0.5), moment(80.0))
        played = ended(*near, *far)
        assert self.choose(played, 3, seed) == [(0.0, 0.5), (10.0, 0.0), (80.0, 0.0)]

    @pytest.mark.parametrize("seed", range(5))
    def test_short_episodes_are_left_out(self, seed):
        played = ended(moment(50), moment(60), moment(70, steps=9))
        assert self.choose(played, 2, seed) == [(50, 0), (60, 0)]

    def test_both_are_taken_where_there_are_no_others_short_ones_first(self):
        played = ended(moment(50), moment(70, steps=9), moment(1))
        assert self.choose(played, 2) == [(50, 0), (70, 0)]
        assert self.choose(played, 3) == [(1, 0), (50, 0), (70, 0)]

    def test_equal_pictures_are_one_goal(self):
        played = ended(*[moment(50)] * 5, moment(60))
        assert self.choose(played, 2) == [(50, 0), (60, 0)]
        with pytest.raises(ValueError, match="6 gave only 2 distinct ends"):
            self.choose(played, 3)

    def test_episodes_without_a_moment_alive_are_passed_over(self):
        played = [*ended(moment(50)), PlayedEpisode(np.zeros(2), (), 1)]
        assert self.choose(played, 1) == [(50, 0)]


class TestChooseTraining:
    def test_pictures_decide_and_labels_do_not(self):
        """Two pictures, many labels: each seed finds both pictures."""
        moments = [moment(x, content=[x % 2 * 255, x]) for x in range(40)]
        chosen = choose_training(moments, lambda content: content[:1], 2, rng())
        assert {each.content[0] for each in chosen} == {0, 255}

    def test_equal_contents_are_one_goal(self):
        moments = [moment(1, content=[7.0]), moment(2, content=[7.0]), moment(3, content=[8.0])]
        chosen = choose_training(moments, np.asarray, 2, rng())
        assert {each.labels[0] for each in chosen} == {1, 3}  # the first that shows it
        with pytest.raises(ValueError, match="episodes must be larger: they gave only 2"):
            choose_training(moments, np.asarray, 3, rng())


def spread_by_hand(points, count, rng):
    """The diverse goal buffer, a distance at a time."""
    points = points.astype(float)
    order = list(rng.permutation(len(points)))
    chosen, waiting = order[:count], order[count:]
    slots = rng.integers(count, size=len(waiting))

    def nearest(point, slot):
        others = [points[other] for position, other in enumerate(chosen) if position != slot]
        return min((np.sum((point - other) ** 2) for other in others), default=np.inf)

    for candidate, slot in zip(waiting, slots, strict=True):
        if nearest(points[candidate], slot) > nearest(points[chosen[slot]], slot):
            chosen[slot] = candidate
    return chosen


class TestSpread:
    @given(
        count=st.integers(1, 6),
        more=st.integers(0, 20),
        dimensions=st.integers(1, 4),
        scale=st.sampled_from([1.0, 255.0]),
        seed=st.integers(0, 2**32 - 1),
    )
    @settings(deadline=None, max_examples=100)
    def test_it_does_what_the_procedure_says(self, count, more, dimensions, scale, seed):
        points = 1000 + scale * rng(seed).random((count + more, dimensions))
        expected = spread_by_hand(points, count, rng(seed))
        assert spread(points, count, rng(seed)).tolist() == expected

    def test_points_of_a_crowd_give_way_to_outliers(self):
        crowd = rng().random((500, 2))
        outliers = np.array([(x, y) for x in (-40, 40) for y in (-40, 40)])
        chosen = spread(np.concatenate([crowd, outliers]), 8, rng())
        # An outlier is turned away only where its slot has another.
        assert sum(chosen >= 500) >= 3

    def test_all_points_are_chosen_where_there_are_no_more(self):
        assert sorted(spread(np.eye(5), 5, rng())) == [0, 1, 2, 3, 4]

    @pytest.mark.parametrize("count", [0, 6])
    def test_a_count_that_cannot_be_is_refused(self, count):
        with pytest.raises(ValueError, match="count must be an integer from 1 to 5"):
            spread(np.eye(5), count, rng())


SMALL = {"episodes": 12, "n_evaluation": 4, "n_training": 20}


class TestBuild:
    @pytest.fixture(autouse=True)
    def few_range_episodes(self, monkeypatch):
        monkeypatch.setattr(build, "RANGE_EPISODES", 20)

    @staticmethod
    @cache
    def swingup(seed):
        """Return a small set of the pendulum, built once for all tests of this class."""
        return build_goal_set("glamor/pendulum-swingup-v0", seed=seed, **SMALL)

    @pytest.mark.parametrize("name", ["Breakout", "reacher-hard"])
    def test_a_seed_settles_the_set(self, name):
        first, again = (build_goal_set(name, seed=3, **SMALL) for _ in range(2))
        assert first.hash == again.hash
        assert (len(first.evaluation), len(first.training)) == (4, 20)

    def test_another_seed_gives_other_goals(self):
        one, other = self.swingup(0), self.swingup(3)
        assert not np.array_equal(one.evaluation.content, other.evaluation.content)
        assert not np.array_equal(one.training.content, other.training.content)

    def test_where_it_comes_from_is_told(self):
        goal_set = self.swingup(3)
        provenance = goal_set.provenance
        assert goal_set.task == "pendulum-swingup"
        assert provenance["command"] == (
            "build_goal_set('pendulum-swingup', seed=3, episodes=12, n_evaluation=4, n_training=20)"
        )
        assert build_goal_set("Dice", seed=2).provenance["command"] == (
            "glamor-gym goals build Dice --seed 2 --episodes 2000"
        )
        assert provenance["versions"]["mujoco"] == importlib.metadata.version("mujoco")
        # 12 episodes of 100 steps and one more, 20 of 1 to 100 and one more.
        assert 12 * 101 + 20 * 2 <= provenance["environment_steps"] <= 32 * 101

    def test_labels_are_of_the_moment_of_the_content(self):
        goal_set = self.swingup(0)
        for goals in (goal_set.evaluation, goal_set.training):
            angle = goals.content[:, 0]
            np.testing.assert_allclose(goals.labels[:, 0], np.cos(angle), atol=1e-9)
            np.testing.assert_allclose(goals.labels[:, 1], np.sin(angle), atol=1e-9)
            # One step of 0.02 s later.
            later = angle + 0.02 * goals.content[:, 1]
            np.testing.assert_allclose(goals.lagged_labels[:, 0], np.cos(later), atol=0.02)
            assert (goals.labels != goals.lagged_labels).any(axis=1).all()

    @pytest.mark.parametrize("name", ["GridWorld", "Dice"])
    def test_worlds_that_list_their_states_need_no_play(self, name):
        states = make_world(name).unwrapped.all_goals()
        goal_set = build_goal_set(name, n_evaluation=30, n_training=100)
        assert goal_set.provenance["environment_steps"] == 0
        times = np.unique(goal_set.training.labels, axis=0, return_counts=True)[1]
        assert len(times) == len(states)
        assert times.max() - times.min() <= 1
        for goal in goal_set.training[: len(states)]:
            np.testing.assert_array_equal(goal.content, states[goal.index].content)
            assert goal.labels == states[goal.index].labels
        distinct = len(np.unique(goal_set.evaluation.labels, axis=0))
        assert distinct == min(30, len(states))

    def test_the_start_is_no_evaluation_goal(self):
        goal_set = build_goal_set("GridWorld", n_evaluation=48)
        assert len(np.unique(goal_set.evaluation.labels, axis=0)) == 48
        assert [3, 3] not in goal_set.evaluation.labels.tolist()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"task": "Pingpong"}, "unknown task"),
            ({"seed": -1}, "seed"),
            ({"episodes": 0}, "episodes must be"),
            ({"n_evaluation": 0}, "n_evaluation"),
            ({"n_training": 0}, "n_training"),
            ({"episodes": 4}, "episodes must be larger: they gave only 16"),
            ({"episodes": 3}, "episodes must be larger: 3 gave only 3"),
        ],
    )
    def test_bad_arguments_are_named(self, options, message):
        with pytest.raises(ValueError, match=message):
            build_goal_set(**({"task": "pendulum-swingup"} | SMALL | options))

    def test_worlds_are_closed_where_goals_are_not_found(self, monkeypatch):
        made, closed = [], []

        def make_and_watch(*args, **kwargs):
            world = make_world(*args, **kwargs)
            close = world.close
            made.append(world)
            monkeypatch.setattr(world, "close", lambda: (closed.append(world), close()))
            return world

        monkeypatch.setattr(build, "make_world", make_and_watch)
        with pytest.raises(ValueError, match="they gave only 16"):
            build_goal_set("pendulum-swingup", **(SMALL | {"episodes": 4}))
        assert len(made) == 2
        assert closed == made[::-1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Riverraid", "point_mass-easy"])
def test_the_set_of_the_package_is_built_again(name):
    from glamor_gym.goals import load_goal_set

    packaged = load_goal_set(name)
    again = build_goal_set(name)
    if again.provenance["versions"] == packaged.provenance["versions"]:
        np.testing.assert_array_equal(again.evaluation.content, packaged.evaluation.content)
        assert again.bounds == packaged.bounds


def test_worlds_of_the_tests_are_worlds():
    assert isinstance(Walk(), World)
