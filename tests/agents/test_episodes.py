"""Recorded episodes: what is known of an observation that is not kept."""

from __future__ import annotations

import numpy as np
import pytest

from glamor_gym.agents.episodes import EpisodeRecorder


def test_nothing_may_be_shown_before_the_first_frame():
    recorder = EpisodeRecorder(1, keep_observations=False)
    frame = np.ones((1, 2, 2), np.uint8)
    recorder.begin(0, {"achieved_goal": frame})
    recorder.step(0, 0, {"achieved_goal": frame})
    stack = np.repeat(np.array([0, 0, 1, 1], np.uint8), 4).reshape(4, 2, 2)
    assert len(recorder.finish(0, stack)) == 1
    stack[1] = 7
    with pytest.raises(ValueError, match="zeros before the first"):
        recorder.finish(0, stack)
