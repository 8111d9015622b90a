"""Stretches of a ring as bytes, and the ring's own account of what lies where."""

import numpy as np
import pytest
from gymnasium import spaces

from glamor_gym.agents.saving.segments import compress, decompress, size_of
from glamor_gym.replay import TrajectoryReplay
from glamor_gym.types import Trajectory

SPACE = spaces.Dict(
    {
        "observation": spaces.Box(0, 255, (4, 3, 5), np.uint8),
        "achieved_goal": spaces.Box(0, 255, (1, 3, 5), np.uint8),
    }
)


def arrays(rng, capacity=20):
    return {
        "achieved": rng.integers(256, size=(capacity, 1, 3, 5)).astype(np.uint8),
        "actions": rng.integers(4, size=capacity),
        "heat": rng.random((capacity, 2), np.float32),
    }


def test_there_and_back():
    source, target = arrays(np.random.default_rng(0)), arrays(np.random.default_rng(1))
    before = {name: array.copy() for name, array in target.items()}
    slots = range(3, 11)
    decompress(compress(source, slots), target, slots)
    for name in source:
        np.testing.assert_array_equal(target[name][3:11], source[name][3:11])
        np.testing.assert_array_equal(target[name][:3], before[name][:3])
        np.testing.assert_array_equal(target[name][11:], before[name][11:])


def test_size():
    assert size_of(arrays(np.random.default_rng(0)), range(3, 5)) == 2 * (15 + 8 + 8)


def test_pictures_alike_take_little():
    frames = np.repeat(np.random.default_rng(0).integers(256, size=(1, 80 * 104)), 100, axis=0)
    assert len(compress({"achieved": frames.astype(np.uint8)}, range(100))) < 1.2 * 80 * 104


@pytest.mark.parametrize("slots", [range(3, 10), range(3, 12)])
def test_of_another_length(slots):
    source = arrays(np.random.default_rng(0))
    with pytest.raises(ValueError, match="not a chunk of slots 3 to"):
        decompress(compress(source, range(3, 11)), source, slots)


def test_damage():
    source = arrays(np.random.default_rng(0))
    data = compress(source, range(3, 11))
    for broken in (b"", data[:-5], b"nonsense" + data):
        with pytest.raises(ValueError, match="not a chunk"):
            decompress(broken, source, range(3, 11))


# -------------------------------------------------------------------------------------- the ring


def add(replay, rng, n_actions):
    frames = rng.integers(256, size=(n_actions + 1, 1, 3, 5)).astype(np.uint8)
    replay.add(Trajectory(frames, rng.integers(4, size=n_actions)))


def copy_through_segments(replay, copy, run):
    """Do what a checkpoint does with the runs from number `run` on."""
    for _, slots in replay.slots_since(run):
        decompress(compress(replay.slot_arrays(), slots), copy.slot_arrays(), slots)
    copy.restore(replay.snapshot())


def test_where_runs_lie():
    replay, rng = TrajectoryReplay(10, SPACE, 4, seed=0), np.random.default_rng(0)
    assert replay.slots_since(0) == []
    add(replay, rng, 2)  # slots 0 to 2
    add(replay, rng, 3)  # slots 3 to 6
    assert replay.slots_since(0) == [(1, range(7))]
    assert replay.slots_since(1) == [(1, range(3, 7))]
    assert replay.slots_since(2) == []
    add(replay, rng, 3)  # does not fit: slots 0 to 3, over runs 0 and 1
    assert (replay.oldest_run, replay.runs_written) == (2, 3)
    assert replay.slots_since(0) == [(2, range(4))]
    add(replay, rng, 1)  # slots 4 and 5
    add(replay, rng, 2)  # slots 6 to 8
    add(replay, rng, 1)  # slots 0 and 1, over run 2
    assert replay.slots_since(0) == [(4, range(4, 10)), (5, range(2))]
    assert replay.slots_since(4) == [(4, range(6, 10)), (5, range(2))]
    assert replay.slots_since(5) == [(5, range(2))]


@pytest.mark.parametrize("every", [1, 3, 11])
def test_a_copy_that_follows_in_segments_is_equal(every):
    rng = np.random.default_rng(every)
    replay, copy = (TrajectoryReplay(40, SPACE, 4, seed=seed) for seed in (1, 2))
    saved = 0
    for count in range(1, 60):
        add(replay, rng, int(rng.integers(1, 9)))
        if count % every == 0:
            copy_through_segments(replay, copy, saved)
            saved = replay.runs_written
            for name, array in replay.state().items():
                np.testing.assert_array_equal(copy.state()[name], array)
            one, other = replay.sample(8), copy.sample(8)
            assert all((a == b).all() for a, b in zip(vars(one).values(), vars(other).values()))  # noqa: B905


def test_a_copy_goes_on_alike():
    replay, copy = (TrajectoryReplay(40, SPACE, 4, seed=seed) for seed in (1, 2))
    rng = np.random.default_rng(0)
    for _ in range(20):
        add(replay, rng, int(rng.integers(1, 9)))
    copy_through_segments(replay, copy, 0)
    for ring in (replay, copy):
        rng = np.random.default_rng(1)
        for _ in range(20):
            add(ring, rng, int(rng.integers(1, 9)))
    np.testing.assert_array_equal(replay.snapshot()["starts"], copy.snapshot()["starts"])
    for name, array in replay.state().items():
        np.testing.assert_array_equal(copy.state()[name], array)


def test_snapshot_of_a_larger_ring():
    replay = TrajectoryReplay(40, SPACE, 4)
    for _ in range(5):
        add(replay, np.random.default_rng(0), 5)
    with pytest.raises(ValueError, match=r"buffer_size\) must be at least .*, got 10"):
        TrajectoryReplay(10, SPACE, 4).restore(replay.snapshot())
    one_frame_too_many = {**replay.snapshot(), "starts": np.array([0]), "lengths": np.array([10])}
    with pytest.raises(ValueError, match=r"buffer_size\) must be at least .*, got 10"):
        TrajectoryReplay(10, SPACE, 4).restore(one_frame_too_many)
