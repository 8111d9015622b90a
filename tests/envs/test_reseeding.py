"""Consoles that were given another seed against consoles whose ROM was loaded with it."""

import numpy as np
import pytest

from glamor_gym.envs.atari import AtariWorld
from glamor_gym.envs.reseeding import Reseeding
from glamor_gym.tasks import TASKS

GAMES = [task.source for task in TASKS.values() if task.suite == "atari"]


def play(world, seed, steps=30):
    """Return screens, labels, lives and rewards of two episodes, the first begun with `seed`."""
    rng = np.random.default_rng(0)
    moments = []
    for episode_seed in (seed, None):
        screen, info = world.reset(seed=episode_seed)
        moments.append((screen, 0.0, info))
        for _ in range(steps):
            screen, reward, over, _, info = world.step(rng.integers(world.action_space.n))
            moments.append((screen, reward, info))
            if over:
                break
    return moments


@pytest.mark.parametrize("game", GAMES)
def test_it_plays_as_if_it_had_been_loaded_again(game, monkeypatch):
    world = AtariWorld(game, {"byte": 40}, noops=(0, 2))
    for seed in (1, 2):
        world.reset(seed=seed)
    for _ in range(30):
        world.step(1)
    loaded, expected = AtariWorld(game, {"byte": 40}, noops=(0, 2)), {}
    for seed in (3, 2**31):
        loaded._reseeding = Reseeding()  # which has not seen a seed: the ROM is loaded
        expected[seed] = play(loaded, seed)
    monkeypatch.setattr(world, "_rom", [])  # what would be loaded is no ROM any more
    for seed in (3, 2**31, 3):
        again = play(world, seed)
        assert len(again) == len(expected[seed])
        for one, other in zip(again, expected[seed], strict=True):
            assert np.array_equal(one[0], other[0])
            assert one[1:] == other[1:]


def test_nothing_is_worked_out_before_it_was_seen_to_be_right():
    reseeding = Reseeding()
    for seed in (5, 5, 6):
        assert reseeding.state(seed) is None
        reseeding.observe(seed, console_state(seed))
    assert reseeding.state(7) == console_state(7)


@pytest.mark.parametrize("other", [b"written in another way", b""])
def test_another_build_s_states_are_left_alone(other):
    reseeding = Reseeding()
    reseeding.observe(5, other)
    reseeding.observe(6, other)
    assert reseeding.state(7) is None


def test_where_more_than_the_generator_depends_on_the_seed_it_is_left_alone():
    reseeding = Reseeding()
    for seed in (5, 6):
        reseeding.observe(seed, console_state(seed) + bytes([seed]))
    assert reseeding.state(7) is None


def console_state(seed):
    world = AtariWorld("pong", {})
    world._ale.setInt("random_seed", seed)
    world._ale.loadROM(world._rom)
    return world._ale.cloneState(include_rng=True).serialize()
