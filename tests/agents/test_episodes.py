"""Recorded episodes: what is known of an observation that is not kept."""

from __future__ import annotations

import numpy as np
import pytest

from glamor_gym.agents.episodes import NO_ACTION, EpisodeRecorder


def test_nothing_may_be_shown_before_the_first_frame():
    moments = {"achieved_goal": np.ones((1, 1, 2, 2), np.uint8)}
    recorder = EpisodeRecorder(moments, 3, keep_observations=False)
    recorder.step(np.array([0]), np.array([0]), moments)
    stack = np.repeat(np.array([0, 0, 1, 1], np.uint8), 4).reshape(4, 2, 2)
    assert len(recorder.finish(0, stack)) == 1
    stack[1] = 7
    with pytest.raises(ValueError, match="zeros before the first"):
        recorder.finish(0, stack)


def moment(*values):
    """Return observations of an environment for each value: its frame, and a vector of its own."""
    values = np.array(values, np.float32)
    return {"achieved_goal": values[:, None], "observation": np.stack([values, -values], axis=1)}


def test_episodes_of_several_environments_are_kept_apart():
    recorder = EpisodeRecorder(moment(0, 10), 3, keep_observations=True)
    assert recorder.last_actions.tolist() == [NO_ACTION, NO_ACTION]
    recorder.step(np.array([0, 1]), np.array([4, 5]), moment(1, 11))
    recorder.step(np.array([1]), np.array([6, 7]), moment(99, 12))
    assert recorder.lengths.tolist() == [1, 2]
    assert recorder.last_actions.tolist() == [4, 7]
    kept = recorder.snapshot()
    first, second = (recorder.finish(env, np.zeros(2)) for env in (0, 1))
    assert (first.achieved[:, 0].tolist(), first.actions.tolist()) == ([0, 1], [4])
    assert (second.achieved[:, 0].tolist(), second.actions.tolist()) == ([10, 11, 12], [5, 7])
    assert second.observations.tolist() == [[10, -10], [11, -11], [12, -12]]

    recorder.begin(np.array([1]), moment(98, 20))
    recorder.step(np.array([0, 1]), np.array([8, 9]), moment(2, 21))
    assert recorder.finish(0, np.zeros(2)).achieved[:, 0].tolist() == [0, 1, 2]
    assert recorder.finish(1, np.zeros(2)).achieved[:, 0].tolist() == [20, 21]
    assert second.achieved[:, 0].tolist() == [10, 11, 12]  # what was returned stays as it is

    again = EpisodeRecorder(moment(7, 7), 3, keep_observations=True)
    again.restore(kept)
    assert again.lengths.tolist() == [1, 2]
    assert again.finish(1, np.zeros(2)).observations.tolist() == second.observations.tolist()


def test_observations_are_dropped_and_stay_so_where_they_are_restored():
    recorder = EpisodeRecorder(moment(0), 3, keep_observations=True)
    recorder.drop_observations()
    recorder.step(np.array([0]), np.array([1]), {"achieved_goal": np.ones((1, 1), np.float32)})
    again = EpisodeRecorder(moment(0), 3, keep_observations=True)
    again.restore(recorder.snapshot())
    for each in (recorder, again):
        assert each.finish(0, np.array([0, 1], np.float32)).observations is None


def test_no_episode_is_longer_than_the_horizon():
    recorder = EpisodeRecorder(moment(0, 10), 1, keep_observations=True)
    recorder.step(np.array([1]), np.array([0, 0]), moment(1, 11))
    with pytest.raises(ValueError, match="after 1 steps, its horizon, got one of 2 steps"):
        recorder.step(np.array([0, 1]), np.array([0, 0]), moment(2, 12))
