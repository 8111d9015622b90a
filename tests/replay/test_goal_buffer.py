"""The goal buffer: who stays and who goes, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from glamor_gym.replay.goal_buffer import GoalBuffer, squared_distances


class Picks:
    """Draws the slot that it was told to."""

    def __init__(self, slot: int):
        self.slot = slot

    def integers(self, low, high=None, size=None):
        return self.slot


def filled(*values: float) -> GoalBuffer:
    buffer = GoalBuffer(len(values), (1,), np.dtype(np.float32))
    for value in values:
        buffer.offer(np.array([value], np.float32), Picks(0))
    return buffer


@pytest.mark.parametrize(
    ("slot", "candidate", "after"),
    [
        (1, 20.0, [0.0, 20.0, 10.0]),  # 1 is one away from its nearest, 20 would be ten
        (1, 10.5, [0.0, 1.0, 10.0]),  # 10.5 is nearer to 10 than 1 is to 0
        (1, 9.0, [0.0, 1.0, 10.0]),  # just as near: no reason to change
        (2, 10.5, [0.0, 1.0, 10.5]),  # beside the frame that it replaces it may lie
        (2, 5.0, [0.0, 1.0, 10.0]),  # four away from 1, where 10 is nine away
    ],
)
def test_a_frame_gets_in_if_it_is_farther_from_the_others(slot, candidate, after):
    buffer = filled(0.0, 1.0, 10.0)
    buffer.offer(np.array([candidate], np.float32), Picks(slot))
    assert buffer.frames[:, 0].tolist() == after


def test_goals_spread_over_what_was_seen():
    rng = np.random.default_rng(0)
    buffer = GoalBuffer(10, (2,), np.dtype(np.float32))
    frames = rng.normal(size=(3_000, 2)).astype(np.float32)
    for frame in frames:
        buffer.offer(frame, rng)

    def smallest_gap(points):
        away = np.linalg.norm(points[:, None] - points, axis=-1)
        return away[~np.eye(len(points), dtype=bool)].min()

    assert smallest_gap(buffer.frames) > 5 * smallest_gap(frames[:10])
    assert len(buffer) == 10
    drawn = buffer.draw(500, rng)
    assert len(np.unique(drawn, axis=0)) == 10


def nearly_alike(count, rng):
    """Return bright frames of noise with a small dark spot somewhere, as pictures of games are."""
    scene = rng.integers(120, 220, (1, 40, 52)).astype(np.uint8)
    frames = np.repeat(scene[None], count, axis=0)
    for frame, (y, x) in zip(frames, rng.integers([37, 49], size=(count, 2)), strict=True):
        frame[0, y : y + 3, x : x + 3] -= 12
    return frames


def test_near_frames_are_told_apart_exactly_and_by_a_restored_buffer_too():
    rng = np.random.default_rng(7)
    frames = nearly_alike(600, rng)
    buffer, other = (GoalBuffer(20, frames.shape[1:], frames.dtype) for _ in range(2))
    for frame in frames[:20]:
        buffer.offer(frame, rng)
    by_hand = list(frames[:20].astype(int))
    other.restore(buffer.snapshot())
    changes = 0
    for frame, slot in zip(frames[20:], rng.integers(20, size=580), strict=True):
        others = np.delete(by_hand, slot, axis=0)
        new, old = (((others - one) ** 2).sum((1, 2, 3)).min() for one in (frame, by_hand[slot]))
        if new > old:
            by_hand[slot] = frame.astype(int)
            changes += 1
        for one in (buffer, other):
            one.offer(frame, Picks(slot))
    assert changes
    assert np.array_equal(buffer.frames, by_hand)
    assert np.array_equal(other.frames, by_hand)


def test_distances_do_not_hang_on_what_stands_beside():
    frames = 1e3 + np.random.default_rng(0).random((40, 33)).astype(np.float32)
    away = squared_distances(frames, frames[5])
    assert away[5] == 0.0
    for first in range(4):
        assert np.array_equal(squared_distances(frames[first:], frames[5]), away[first:])


def test_distances_between_bytes_do_not_wrap_around():
    frames = np.array([[[[0, 255]]], [[[255, 0]]], [[[255, 255]]]], np.uint8)
    assert squared_distances(frames, frames[0]).tolist() == [0, 2 * 255**2, 255**2]


def test_a_snapshot_gives_the_same_buffer_back():
    buffer, other = filled(0.0, 1.0, 10.0), GoalBuffer(3, (1,), np.dtype(np.float32))
    other.restore(buffer.snapshot())
    for one in (buffer, other):
        one.offer(np.array([20.0], np.float32), Picks(1))
    assert (other.frames == buffer.frames).all()
    with pytest.raises(ValueError, match=r"goal_buffer_size\) must be at least 3"):
        GoalBuffer(2, (1,), np.dtype(np.float32)).restore(buffer.snapshot())


def test_more_slots_than_there_is_room_for_are_refused_by_name():
    with pytest.raises(ValueError, match=r"goal_buffer_size\) of 1000000000000000 needs"):
        GoalBuffer(10**15, (3,), np.dtype(np.float32))


def test_a_single_slot_takes_every_frame():
    buffer, rng = GoalBuffer(1, (1, 2, 3), np.dtype(np.uint8)), np.random.default_rng(0)
    for value in (1, 2, 3):
        buffer.offer(np.full((1, 2, 3), value, np.uint8), rng)
        assert (buffer.frames == value).all()
