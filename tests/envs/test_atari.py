"""The Atari world against an emulator that is driven by hand."""

import ale_py
import numpy as np
import pytest
from ale_py import roms
from ale_py.vector_env import AtariVectorEnv
from gymnasium.error import ResetNeeded
from scipy import stats

from glamor_gym.envs.atari import AtariWorld, NoopCounts
from glamor_gym.types import World

PONG = {"ball_x": 49, "ball_y": 54, "enemy_y": 50, "player_y": 51}


class ByHand:
    """A bare emulator without sticky actions."""

    def __init__(self, game):
        self.ale = ale_py.ALEInterface()
        self.ale.setFloat("repeat_action_probability", 0.0)
        self.ale.loadROM(roms.get_rom_path(game))
        self.ale.reset_game()
        self.actions = self.ale.getMinimalActionSet()

    def step(self, action, frames=4):
        """Play some frames; return the screen after each of them."""
        screens = []
        for _ in range(frames):
            self.ale.act(self.actions[action])
            screens.append(self.ale.getScreenGrayscale())
        return screens


def plain(game, labels=None, **kwargs):
    """The world without anything random."""
    return AtariWorld(game, labels or {}, **{"sticky": 0.0, "noops": (0, 0), **kwargs})


def test_a_step_is_four_frames_and_shows_the_maximum_of_the_last_two():
    world, hand = plain("pong", PONG), ByHand("pong")
    first, _ = world.reset(seed=0)
    assert np.array_equal(first, hand.ale.getScreenGrayscale())
    differed = 0
    for action in np.random.default_rng(0).integers(6, size=60):
        screen, _, terminated, truncated, info = world.step(action)
        *_, before, last = hand.step(action)
        assert np.array_equal(screen, np.maximum(before, last))
        assert screen in world.observation_space
        ram = hand.ale.getRAM()
        assert info["labels"] == {name: float(ram[index]) for name, index in PONG.items()}
        assert (terminated, truncated) == (False, False)
        differed += not np.array_equal(before, last)
    assert differed > 10  # else the maximum was not put to the test


@pytest.mark.parametrize("frame_skip", [1, 3])
def test_other_frame_skips(frame_skip):
    world, hand = plain("pong", frame_skip=frame_skip), ByHand("pong")
    previous, _ = world.reset(seed=0)
    for action in (1, 2, 3, 2):
        screen, *_ = world.step(action)
        screens = [previous, *hand.step(action, frame_skip)]
        assert np.array_equal(screen, np.maximum(*screens[-2:]))
        previous = screens[-1]


def test_a_lost_life_terminates_and_shows_its_own_moment():
    world, hand = plain("breakout", {"ball_y": 101}), ByHand("breakout")
    world.reset(seed=0)
    action = 1  # FIRE serves the ball; after that nobody touches it
    terminated, steps = False, 0
    while not terminated and steps < 100:
        steps += 1
        lives = hand.ale.lives()
        screen, _, terminated, _, info = world.step(action)
        *_, before, last = hand.step(action)
        assert np.array_equal(screen, np.maximum(before, last))
        assert info == {
            "labels": {"ball_y": float(hand.ale.getRAM()[101])},
            "lives": hand.ale.lives(),
        }
        assert terminated == (hand.ale.lives() < lives)
        action = 0
    assert 5 < steps < 100
    assert info["lives"] == 4


def test_game_over_terminates_and_shows_the_last_screen():
    world, hand = plain("pong"), ByHand("pong")
    world.reset(seed=0)
    terminated = False
    while not terminated:
        screen, _, terminated, _, info = world.step(0)
        screens = hand.step(0)
        assert terminated == hand.ale.game_over()
        assert info["lives"] == 0  # a game without lives: none is lost in the end
    assert np.array_equal(screen, np.maximum(*screens[-2:]))


def test_a_game_that_is_over_within_the_noops_begins_anew():
    world = plain("pong", noops=(5_000, 5_000))  # the other player wins after some 3,500
    world.reset(seed=0)
    assert not world.step(0)[2]


def test_the_reward_is_the_score():
    world, hand = plain("pong"), ByHand("pong")
    world.reset(seed=0)
    scores = [world.step(0)[1] for _ in range(150)]
    expected = [sum(hand.ale.act(0) for _ in range(4)) for _ in range(150)]
    assert scores == expected
    assert -1 in expected


def test_the_picture_is_of_a_fresh_array_each_time():
    world = plain("pong")
    first, _ = world.reset()
    second = world.step(0)[0]
    assert not np.shares_memory(first, second)
    second[:] = 0
    assert world.goal_content().any()


# No-ops and sticky actions


@pytest.mark.parametrize("noops", [1, 7])
def test_an_episode_begins_with_noops(noops):
    world, hand = plain("seaquest", noops=(noops, noops)), ByHand("seaquest")
    first, _ = world.reset(seed=0)
    assert np.array_equal(first, hand.step(0, noops)[-1])


@pytest.mark.parametrize("high", [4, 30, 230])
@pytest.mark.parametrize("seed", [0, 1234567, 2**31 - 1])
def test_noop_counts_are_those_of_ales_vector_environment(high, seed):
    vector = AtariVectorEnv("pong", 1, noop_max=high + 1, use_fire_reset=False)
    _, info = vector.reset(seed=np.array([seed]))
    drawn = [info["episode_frame_number"][0]]
    drawn += [vector.reset()[1]["episode_frame_number"][0] for _ in range(5)]
    counts = NoopCounts(0, high, seed)
    assert [counts.draw() for _ in drawn] == drawn


def test_noop_counts_are_uniform_on_their_range():
    counts = NoopCounts(200, 230, seed=5)
    drawn = np.array([counts.draw() for _ in range(6200)])
    assert (drawn.min(), drawn.max()) == (200, 230)
    assert stats.chisquare(np.bincount(drawn - 200)).pvalue > 0.001


def test_a_fully_sticky_console_hears_nothing():
    deaf = plain("pong", PONG, sticky=1.0)
    deaf.reset(seed=0)
    still = plain("pong", PONG)
    still.reset(seed=0)
    for action in (2, 3, 2, 2):
        assert np.array_equal(deaf.step(action)[0], still.step(0)[0])


def trajectory(world, seed, episodes=3, steps=40):
    """Play episodes with fixed actions; return all screens and labels."""
    rng = np.random.default_rng(9)
    moments = []
    for episode in range(episodes):
        moments.append(world.reset(seed=seed if episode == 0 else None))
        for _ in range(steps):
            screen, *_, info = world.step(rng.integers(6))
            moments.append((screen, info))
    return moments


def test_the_same_seed_gives_the_same_episodes_sticky_actions_included():
    world = AtariWorld("pong", PONG)
    first, again = trajectory(world, 4), trajectory(world, 4)
    other = trajectory(AtariWorld("pong", PONG), 4)
    for one, two, three in zip(first, again, other, strict=True):
        assert np.array_equal(one[0], two[0])
        assert np.array_equal(one[0], three[0])
        assert one[1] == two[1] == three[1]
    different = trajectory(world, 5)
    assert any(a[1] != b[1] for a, b in zip(first, different, strict=True))


def test_episodes_after_one_seed_differ():
    world = AtariWorld("pong", PONG)
    moments = trajectory(world, 4)
    assert any(moments[k][1] != moments[41 + k][1] for k in range(41))


# What else a world has


def test_it_is_a_world():
    assert isinstance(plain("pong"), World)


def test_a_goal_is_the_screen_as_it_is():
    world = plain("pong")
    world.reset(seed=0)
    screen, *_ = world.step(2)
    content = world.goal_content()
    assert np.array_equal(content, screen)
    assert np.array_equal(world.goal_screen(content), screen)


def test_rendering_shows_colours():
    world = plain("pong", render_mode="rgb_array")
    world.reset(seed=0)
    assert world.render().shape == (210, 160, 3)
    assert plain("pong").render() is None


def test_the_actions_are_the_games_minimal_set():
    assert [plain(game).action_space.n for game in ("breakout", "pong", "boxing")] == [4, 6, 18]


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"game": "pongg"}, ValueError, r"game must be .*'pongg'"),
        ({"labels": {"x": 128}}, ValueError, r"labels\['x'\] must be an integer from 0 to 127"),
        ({"frame_skip": 0}, ValueError, "frame_skip must be an integer ≥ 1, got 0"),
        ({"noops": (5, 4)}, ValueError, r"noops\[1\] must be an integer ≥ 5, got 4"),
        ({"noops": (-1, 4)}, ValueError, r"noops\[0\]"),
        ({"sticky": 1.5}, ValueError, "sticky must be a finite number at least 0 and"),
        ({"sticky": float("nan")}, ValueError, "sticky"),
        ({"sticky": "much"}, TypeError, r"sticky .*'much'"),
        ({"render_mode": "human"}, ValueError, r"render_mode .*'human'"),
    ],
)
def test_bad_arguments_are_named(kwargs, error, message):
    with pytest.raises(error, match=message):
        AtariWorld(**{"game": "pong", "labels": {}, **kwargs})


@pytest.mark.parametrize(("action", "error"), [(6, ValueError), (-1, ValueError), (1.0, TypeError)])
def test_what_is_no_action_is_refused(action, error):
    world = plain("pong")
    world.reset()
    with pytest.raises(error, match="action must be an integer from 0 to 5"):
        world.step(action)


def test_a_step_before_the_first_reset_is_refused():
    with pytest.raises(ResetNeeded):
        plain("pong").step(0)


@pytest.mark.parametrize(
    "content", [np.zeros((80, 104), np.uint8), np.zeros((210, 160), np.float32), "screen"]
)
def test_a_goal_that_is_no_screen_is_refused(content):
    with pytest.raises((ValueError, TypeError), match=r"content must be .*\(210, 160\)"):
        plain("pong").goal_screen(content)
