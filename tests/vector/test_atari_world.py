"""One world in a thread against the ordinary one."""

import numpy as np
import pytest

from glamor_gym.envs.atari import AtariWorld, NoopCounts
from glamor_gym.vector import atari_world
from glamor_gym.vector.atari_world import ThreadedAtariWorld
from glamor_gym.wrappers import ScreenToFrame


def world(game="pong", **kwargs):
    return ThreadedAtariWorld(
        game, **{"frame_size": (80, 104), "frame_skip": 4, "most_noops": 30, **kwargs}, sticky=0.25
    )


@pytest.mark.parametrize("frame_size", [(80, 104), (210, 160), (84, 84)])
def test_a_threaded_world_alone_plays_as_the_world_does(frame_size):
    threaded = world("seaquest", frame_size=frame_size)
    plain = ScreenToFrame(AtariWorld("seaquest", {}), frame_size)
    for seed in (5, None):
        frame, info = threaded.reset(seed=seed)
        assert np.array_equal(frame, plain.reset(seed=seed)[0])
        assert info == {"lives": 4}
        for action in range(18):
            assert np.array_equal(threaded.step(action)[0], plain.step(action)[0])
    screen = plain.get_wrapper_attr("goal_content")()
    assert np.array_equal(threaded.goal_screen(screen), plain.goal_screen(screen))


def test_a_game_that_is_over_is_an_error_as_its_picture_is_not_known():
    threaded = world()
    threaded.reset(seed=0)

    def play_to_the_end():
        for _ in range(2000):
            threaded.step(0)

    with pytest.raises(RuntimeError, match=r"game is over.*'sync'"):
        play_to_the_end()


def test_another_way_of_drawing_noops_is_noticed(monkeypatch):
    class Others(NoopCounts):
        def draw(self):
            return 31

    monkeypatch.setattr(atari_world, "NoopCounts", Others)
    with pytest.raises(RuntimeError, match=r"no-ops.*'sync'"):
        world().reset(seed=0)
