"""The goal buffer: who stays and who goes, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from glamor_gym.replay.goal_buffer import GoalBuffer


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


def test_a_snapshot_gives_the_same_buffer_back():
    buffer, other = filled(0.0, 1.0, 10.0), GoalBuffer(3, (1,), np.dtype(np.float32))
    other.restore(buffer.snapshot())
    for one in (buffer, other):
        one.offer(np.array([20.0], np.float32), Picks(1))
    assert (other.frames == buffer.frames).all()
    with pytest.raises(ValueError, match="frames must be"):
        GoalBuffer(2, (1,), np.dtype(np.float32)).restore(buffer.snapshot())
    with pytest.raises(ValueError, match="capacity"):
        GoalBuffer(0, (1,), np.dtype(np.float32))
