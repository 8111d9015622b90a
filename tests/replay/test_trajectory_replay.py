"""The replay against a written-out history, and against a plain list of trajectories."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

from glamor_gym.replay import TrajectoryReplay
from glamor_gym.replay.frame_ring import to_device
from glamor_gym.replay.trajectory_store import TrajectoryStore
from glamor_gym.types import Trajectory

N_ACTIONS = 3
STOP, PADDING = 3, 4


def picture_space(stack: int = 4) -> spaces.Dict:
    return spaces.Dict(
        observation=spaces.Box(0, 255, (stack, 2, 3), np.uint8),
        achieved_goal=spaces.Box(0, 255, (1, 2, 3), np.uint8),
        desired_goal=spaces.Box(0, 255, (1, 2, 3), np.uint8),
    )


def vector_space() -> spaces.Dict:
    return spaces.Dict(
        observation=spaces.Box(-1, 1, (5,), np.float32),
        achieved_goal=spaces.Box(-1, 1, (2,), np.float32),
        desired_goal=spaces.Box(-1, 1, (2,), np.float32),
    )


def picture_trajectory(first_frame: int, actions: list[int]) -> Trajectory:
    """Every pixel of frame t is first_frame + t, so that a frame tells where it is from."""
    numbers = np.arange(first_frame, first_frame + len(actions) + 1, dtype=np.uint8)
    frames = np.broadcast_to(numbers[:, None, None, None], (len(numbers), 1, 2, 3)).copy()
    return Trajectory(frames, np.array(actions, dtype=np.int64))


def as_tuples(replay: TrajectoryReplay, n_samples: int) -> set[tuple]:
    """Return the distinct (stack, goal, tokens) of a large sample, frames named by their pixel."""
    batch = replay.sample(n_samples)
    assert (np.diff(batch.length.numpy()) <= 0).all(), "the longest must come first"
    for row in range(n_samples):
        assert (batch.tokens[row, batch.length[row] :] == PADDING).all()
    return {
        (
            tuple(batch.observation[row, :, 0, 0].tolist()),
            int(batch.goal[row, 0, 0, 0]),
            tuple(batch.tokens[row, : batch.length[row]].tolist()),
        )
        for row in range(n_samples)
    }


def test_too_little_memory_is_not_taken_for_a_device_that_is_not_there(monkeypatch):
    def fill_up(*_args, **_kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.Tensor, "to", fill_up)
    with pytest.raises(torch.OutOfMemoryError):
        to_device("cuda", np.zeros(3))


def test_a_written_out_history_gives_exactly_these_tuples():
    replay = TrajectoryReplay(100, picture_space(), N_ACTIONS, seed=0)
    replay.add(picture_trajectory(11, [0, 1, 2]))
    replay.add(picture_trajectory(21, [2]))
    assert len(replay) == 4
    assert as_tuples(replay, 500) == {
        ((0, 0, 0, 11), 12, (0, STOP)),
        ((0, 0, 0, 11), 13, (0, 1, STOP)),
        ((0, 0, 0, 11), 14, (0, 1, 2, STOP)),
        ((0, 0, 11, 12), 13, (1, STOP)),
        ((0, 0, 11, 12), 14, (1, 2, STOP)),
        ((0, 11, 12, 13), 14, (2, STOP)),
        ((0, 0, 0, 21), 22, (2, STOP)),
    }


def test_staying_shows_the_present_frame_as_the_goal_and_nothing_but_stop():
    replay = TrajectoryReplay(100, picture_space(), N_ACTIONS, stay_fraction=0.5, seed=0)
    replay.add(picture_trajectory(11, [1, 2]))
    stays = {row for row in as_tuples(replay, 500) if row[2] == (STOP,)}
    assert stays == {((0, 0, 0, 11), 11, (STOP,)), ((0, 0, 11, 12), 12, (STOP,))}


def test_the_share_that_stays_and_the_spread_of_k_are_as_asked():
    replay = TrajectoryReplay(100, picture_space(), N_ACTIONS, stay_fraction=0.25, seed=0)
    replay.add(picture_trajectory(0, [0] * 4))
    lengths = replay.sample(40_000).length.numpy() - 1
    # From step t of 4, k is uniform over 1 … 4 − t.
    expected = {0: 0.25}
    for k in range(1, 5):
        expected[k] = 0.75 * np.mean([1 / (4 - t) if k <= 4 - t else 0.0 for t in range(4)])
    for k, share in expected.items():
        assert abs((lengths == k).mean() - share) < 0.01


def test_only_what_is_in_the_way_is_dropped():
    replay = TrajectoryReplay(8, picture_space(), N_ACTIONS, seed=0)
    for first in (10, 20, 30):  # four frames each: two fill the ring
        replay.add(picture_trajectory(first, [0, 1, 2]))
    assert {goal // 10 for _, goal, _ in as_tuples(replay, 200)} == {2, 3}


def test_wrapping_drops_the_oldest_and_never_mixes_trajectories():
    replay = TrajectoryReplay(10, picture_space(), N_ACTIONS, seed=0)
    replay.add(picture_trajectory(10, [0, 0, 0]))  # slots 0–3
    replay.add(picture_trajectory(20, [1, 1]))  # slots 4–6
    replay.add(picture_trajectory(30, [2]))  # slots 7–8
    replay.add(picture_trajectory(40, [0, 1]))  # needs 3 slots: begins again at 0
    assert {goal // 10 for _, goal, _ in as_tuples(replay, 500)} == {2, 3, 4}
    replay.add(picture_trajectory(50, [1]))  # slots 3–4, over the first of 20's
    assert {goal // 10 for _, goal, _ in as_tuples(replay, 500)} == {3, 4, 5}
    assert replay.n_trajectories == 3
    assert len(replay) == 1 + 2 + 1


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 7), min_size=1, max_size=40),
    capacity=st.integers(8, 30),
    seed=st.integers(0, 1000),
)
def test_whatever_is_sampled_stands_in_one_of_the_latest_trajectories(lengths, capacity, seed):
    rng = np.random.default_rng(seed)
    replay = TrajectoryReplay(capacity, picture_space(), N_ACTIONS, stay_fraction=0.2, seed=seed)
    history = []
    for number, length in enumerate(lengths):
        trajectory = picture_trajectory((number * 9) % 247, rng.integers(0, 3, length).tolist())
        history.append(trajectory)
        replay.add(trajectory)
        kept = history[-replay.n_trajectories :]
        assert len(replay) == sum(map(len, kept))
        assert len(replay) + replay.n_trajectories <= capacity
        # What was dropped had to go: with one more, the ring would be over-full or cut.
        if len(kept) < len(history):
            assert sum(len(t) + 1 for t in history[-replay.n_trajectories - 1 :]) > capacity - 7
        possible = set()
        for trajectory in kept:
            pixels = [0, 0, 0, *trajectory.achieved[:, 0, 0, 0].tolist()]
            for t in range(len(trajectory)):
                for k in range(len(trajectory) - t + 1):
                    tokens = (*trajectory.actions[t : t + k].tolist(), STOP)
                    possible.add((tuple(pixels[t : t + 4]), pixels[t + 3 + k], tokens))
        assert as_tuples(replay, 50) <= possible


def test_every_step_is_drawn_equally_often_however_long_its_trajectory():
    replay = TrajectoryReplay(100, picture_space(), N_ACTIONS, seed=1)
    replay.add(picture_trajectory(0, [0] * 9))
    replay.add(picture_trajectory(50, [0]))
    newest = replay.sample(20_000).observation[:, -1, 0, 0].numpy()
    assert abs((newest == 50).mean() - 0.1) < 0.01


def test_vectors_keep_observations_beside_goals():
    replay = TrajectoryReplay(20, vector_space(), N_ACTIONS, seed=0)
    observations = np.linspace(-1, 1, 15, dtype=np.float32).reshape(3, 5)
    achieved = np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2)
    replay.add(Trajectory(achieved, np.array([0, 2]), observations))
    batch = replay.sample(50)
    for row in range(50):
        first = int(np.flatnonzero((observations == batch.observation[row].numpy()).all(1))[0])
        k = int(batch.length[row]) - 1
        np.testing.assert_array_equal(batch.goal[row].numpy(), achieved[first + k])


def test_numbers_are_stored_as_their_space_has_them():
    replay = TrajectoryReplay(10, vector_space(), N_ACTIONS)
    observations = np.linspace(-1, 1, 15).reshape(3, 5).astype(np.float16)
    achieved = observations[:, :2]
    replay.add(Trajectory(achieved, np.array([0, 2]), observations))
    batch = replay.sample(50)
    assert batch.observation.dtype == batch.goal.dtype == torch.float32
    assert {*batch.goal[:, 0].tolist()} == {*achieved[1:, 0].tolist()}
    with pytest.raises(ValueError, match="achieved must be float32 of shape"):
        replay.add(Trajectory(achieved.astype(np.float64), np.array([0, 2]), observations))


def test_a_frame_takes_its_pixels_and_little_more():
    space = spaces.Dict(
        observation=spaces.Box(0, 255, (4, 80, 104), np.uint8),
        achieved_goal=spaces.Box(0, 255, (1, 80, 104), np.uint8),
    )
    replay = TrajectoryReplay(1000, space, N_ACTIONS)
    replay.add(Trajectory(np.zeros((51, 1, 80, 104), np.uint8), np.zeros(50, np.int64)))
    assert 8_320 < replay.nbytes / len(replay) < 8_600


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_memory_is_taken_as_it_fills():
    space = spaces.Dict(
        observation=spaces.Box(0, 255, (4, 80, 104), np.uint8),
        achieved_goal=spaces.Box(0, 255, (1, 80, 104), np.uint8),
    )
    before = resident_bytes()
    replay = TrajectoryReplay(1_000_000, space, N_ACTIONS)
    made = resident_bytes()
    assert made - before < 50e6
    for _ in range(40):
        replay.add(Trajectory(np.ones((51, 1, 80, 104), np.uint8), np.zeros(50, np.int64)))
    assert 16e6 < resident_bytes() - made < 40e6


def test_the_same_seed_gives_the_same_samples():
    batches = []
    for _ in range(2):
        replay = TrajectoryReplay(100, picture_space(), N_ACTIONS, seed=3)
        replay.add(picture_trajectory(1, [0, 1, 2, 1]))
        batches.append(replay.sample(30))
    assert (batches[0].tokens == batches[1].tokens).all()
    assert (batches[0].observation == batches[1].observation).all()


@pytest.mark.parametrize("space", [picture_space(), vector_space()])
def test_saved_and_loaded_it_holds_the_same(tmp_path, space):
    replay = TrajectoryReplay(12, space, N_ACTIONS, seed=0)
    rng = np.random.default_rng(0)
    for length in (3, 4, 2, 3):
        if space["observation"].dtype == np.uint8:
            replay.add(picture_trajectory(length * 10, rng.integers(0, 3, length).tolist()))
        else:
            achieved = rng.random((length + 1, 2), dtype=np.float32)
            observations = rng.random((length + 1, 5), dtype=np.float32)
            replay.add(Trajectory(achieved, rng.integers(0, 3, length), observations))
    replay.save(tmp_path / "replay.npz")
    other = TrajectoryReplay(12, space, N_ACTIONS, seed=0)
    other.load(tmp_path / "replay.npz")
    for name, array in replay.state().items():
        np.testing.assert_array_equal(other.state()[name], array)


def test_a_stream_holds_what_a_file_does():
    replay = TrajectoryReplay(12, picture_space(), N_ACTIONS)
    replay.add(Trajectory(np.arange(18, dtype=np.uint8).reshape(3, 1, 2, 3), np.array([1, 2])))
    stream = io.BytesIO()
    replay.save(stream)
    stream.seek(0)
    other = TrajectoryReplay(12, picture_space(), N_ACTIONS)
    other.load(stream)
    for name, array in replay.state().items():
        np.testing.assert_array_equal(other.state()[name], array)
    with pytest.raises(ValueError, match="not a saved replay"):
        other.load(io.BytesIO(b"PK"))
    assert len(other) == len(replay)


def test_a_foreign_file_is_refused_by_name(tmp_path):
    replay = TrajectoryReplay(12, picture_space(), N_ACTIONS)
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 not an archive")
    with pytest.raises(ValueError, match=r"a\.npz"):
        replay.load(tmp_path / "a.npz")
    buffer = io.BytesIO()
    np.savez(buffer, lengths=np.array([object()], dtype=object))
    (tmp_path / "b.npz").write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match=r"b\.npz"):
        replay.load(tmp_path / "b.npz")
    assert len(replay) == 0


def arrays_of(lengths, moments, /, **changes):
    state = {
        "lengths": np.array(lengths),
        "achieved": np.zeros((moments, 1, 2, 3), np.uint8),
        "actions": np.zeros(moments, np.int64),
    }
    return {name: array for name, array in (state | changes).items() if array is not None}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (arrays_of([2], 3, lengths=None), "lengths"),
        (arrays_of([2], 3, actions=None), "actions"),
        (arrays_of([2.0], 3), "lengths must be int64"),
        (arrays_of([[2]], 3), "lengths must be int64"),
        (arrays_of([0, 1], 3), "lengths must be from 1"),
        (arrays_of([-1, 3], 3), "lengths must be from 1"),
        (arrays_of([2**62, 2**62], 3), "lengths must be from 1"),
        (arrays_of([1], 3), "do not fit"),
        (arrays_of([2], 3, actions=np.zeros(4, np.int64)), "do not fit"),
        (arrays_of([2], 3, achieved=np.uint8(1)), "do not fit"),
        (arrays_of([2], 3, observations=np.zeros((3, 5), np.float32)), "observations"),
        (arrays_of([2], 3, achieved=np.zeros((3, 1, 3, 5), np.uint8)), "achieved"),
        (arrays_of([1, 1], 4, goals=np.zeros((1, 1, 2, 3), np.uint8)), "goals must have 2 rows"),
        (arrays_of([1, 1], 4, actions=np.array([0, 0, 9, 0])), "actions must lie in"),
        (arrays_of([9], 10, achieved=np.zeros((10**6, 1, 2, 3), np.uint8)), "more than"),
    ],
)
def test_a_file_of_which_a_part_is_bad_changes_nothing(tmp_path, arrays, message):
    replay = TrajectoryReplay(12, picture_space(), N_ACTIONS)
    replay.add(picture_trajectory(1, [0, 1]))
    np.savez(tmp_path / "replay.npz", **arrays)
    before = replay.state()
    with pytest.raises(ValueError, match=message):
        replay.load(tmp_path / "replay.npz")
    for name, array in before.items():
        np.testing.assert_array_equal(replay.state()[name], array)


@pytest.mark.parametrize(
    ("trajectory", "message"),
    [
        (picture_trajectory(0, []), "at least one action"),
        (picture_trajectory(0, [0] * 12), "does not fit"),
        (picture_trajectory(0, [0] * 9), "9 actions is longer than the horizon 8"),
        (picture_trajectory(0, [0, STOP]), "actions must lie in"),
        (replace(picture_trajectory(0, [0, 0]), actions=np.array([[0], [0]])), "actions must be"),
        (replace(picture_trajectory(0, [0, 0]), actions=np.array([0.9, 1])), "actions must be int"),
        (Trajectory(np.zeros((2, 1, 2, 2), np.uint8), np.array([0])), "achieved must be uint8"),
        (Trajectory(np.zeros((2, 1, 2, 3), np.float32), np.array([0])), "achieved must be uint8"),
        (
            Trajectory(np.zeros((2, 1, 2, 3), np.uint8), np.array([0]), np.zeros((2, 4, 2, 3))),
            "observations must be uint8 of shape",
        ),
    ],
)
def test_what_cannot_be_stored_is_refused(trajectory, message):
    replay = TrajectoryReplay(10, picture_space(), N_ACTIONS, horizon=8)
    kept = picture_trajectory(1, [0] * 8)
    replay.add(kept)
    with pytest.raises(ValueError, match=message):
        replay.add(trajectory)
    assert replay.n_trajectories == 1
    np.testing.assert_array_equal(replay.state()["achieved"], kept.achieved)


@pytest.mark.parametrize("name", ["achieved", "observations"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_vectors_that_are_not_finite_are_refused(name, value):
    replay = TrajectoryReplay(10, vector_space(), N_ACTIONS)
    arrays = {
        "achieved": np.zeros((3, 2), np.float32),
        "observations": np.zeros((3, 5), np.float32),
    }
    arrays[name][1, 0] = value
    with pytest.raises(ValueError, match=f"{name} must be finite"):
        replay.add(Trajectory(actions=np.array([0, 1]), **arrays))
    assert len(replay) == 0


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="capacity"):
        TrajectoryReplay(1, picture_space(), N_ACTIONS)
    with pytest.raises(ValueError, match="stay_fraction"):
        TrajectoryReplay(10, picture_space(), N_ACTIONS, stay_fraction=1.1)
    with pytest.raises(ValueError, match="n_actions"):
        TrajectoryReplay(10, picture_space(), 0)
    with pytest.raises(ValueError, match="observation_space"):
        TrajectoryReplay(10, spaces.Dict(observation=spaces.Box(0, 1, (2,))), N_ACTIONS)
    replay = TrajectoryReplay(10, picture_space(), N_ACTIONS)
    with pytest.raises(ValueError, match="nothing to sample"):
        replay.sample(3)
    replay.add(picture_trajectory(0, [0]))
    with pytest.raises(ValueError, match="batch_size"):
        replay.sample(0)


def stacks_of(trajectory: Trajectory, stack: int = 4) -> np.ndarray:
    """Return (moments, stack, 2, 3): at each moment the last frames, zeros before the first."""
    frames = np.concatenate((np.zeros((stack - 1, 2, 3), np.uint8), trajectory.achieved[:, 0]))
    return np.stack([frames[now : now + stack] for now in range(len(trajectory) + 1)])


def test_observations_that_are_stacks_are_not_kept():
    trajectory = picture_trajectory(11, [0, 1, 2, 0, 1])
    replay = TrajectoryReplay(100, picture_space(), N_ACTIONS, seed=0)
    assert replay.wants_observations
    replay.add(replace(trajectory, observations=stacks_of(trajectory)))
    assert not replay.wants_observations
    assert "observations" not in replay.state()
    plain = TrajectoryReplay(100, picture_space(), N_ACTIONS, seed=0)
    plain.add(trajectory)
    assert as_tuples(replay, 200) == as_tuples(plain, 200)


def test_stacks_of_colour_frames_are_not_kept_either():
    space = spaces.Dict(
        observation=spaces.Box(0, 255, (6, 2, 3), np.uint8),
        achieved_goal=spaces.Box(0, 255, (3, 2, 3), np.uint8),
        desired_goal=spaces.Box(0, 255, (3, 2, 3), np.uint8),
    )
    frames = np.random.default_rng(0).integers(1, 256, (4, 3, 2, 3), np.uint8)
    before = np.concatenate((np.zeros((1, 3, 2, 3), np.uint8), frames[:-1]))
    shown = np.concatenate((before, frames), axis=1)
    replay = TrajectoryReplay(100, space, N_ACTIONS, seed=0)
    replay.add(Trajectory(frames, np.zeros(3, np.int64), shown))
    assert not replay.wants_observations
    assert "observations" not in replay.state()
    sampled = replay.sample(100).observation
    assert {row.numpy().tobytes() for row in sampled} == {row.tobytes() for row in shown[:-1]}
    with pytest.raises(ValueError, match="must be stacks of the last 2 frames"):
        replay.add(Trajectory(frames, np.zeros(3, np.int64), shown[:, [0, 2, 1, 3, 4, 5]]))


@pytest.mark.parametrize("kind", ["colours", "padded with the first frame"])
def test_observations_that_only_look_like_stacks_are_kept(tmp_path, kind):
    trajectory = picture_trajectory(11, [0, 1, 2])
    shown = np.random.default_rng(0).integers(0, 256, (4, 4, 2, 3), np.uint8)
    if kind != "colours":
        shown = np.maximum(stacks_of(trajectory), trajectory.achieved[0])
    replay = TrajectoryReplay(100, picture_space(), N_ACTIONS, seed=0)
    replay.add(replace(trajectory, observations=shown))
    known = {array.tobytes() for array in shown}
    assert {row.numpy().tobytes() for row in replay.sample(100).observation} == known - {
        shown[-1].tobytes()
    }
    with pytest.raises(ValueError, match="observations must be given"):
        replay.add(trajectory)

    other = TrajectoryReplay(100, picture_space(), N_ACTIONS, seed=0)
    replay.save(tmp_path / "replay.npz")
    other.load(tmp_path / "replay.npz")
    again = TrajectoryReplay(100, picture_space(), N_ACTIONS, seed=0)
    again.restore(replay.snapshot())
    for name, array in replay.slot_arrays().items():
        again.slot_arrays()[name][:] = array
    for copy in (other, again):
        assert not np.any(copy.state()["observations"] != shown)


def test_a_part_of_a_frame_more_is_no_stack():
    space = picture_space()
    space.spaces["achieved_goal"] = spaces.Box(0, 255, (3, 2, 3), np.uint8)
    replay, achieved = TrajectoryReplay(10, space, N_ACTIONS), np.ones((2, 3, 2, 3), np.uint8)
    shown = np.arange(2 * 4 * 6, dtype=np.uint8).reshape(2, 4, 2, 3)
    replay.add(Trajectory(achieved, np.array([0]), shown))
    assert np.array_equal(replay.state()["observations"], shown)


def test_a_file_whose_first_observations_happen_to_be_stacks_is_loaded_whole(tmp_path):
    """The run that told that they are none may be gone by the time the rest is saved."""
    trajectory = picture_trajectory(11, [0, 1])
    shown = replace(trajectory, observations=stacks_of(trajectory) + 1)
    replay = TrajectoryReplay(6, picture_space(), N_ACTIONS)
    for one in (shown, replace(trajectory, observations=stacks_of(trajectory)), shown):
        replay.add(one)
    replay.save(tmp_path / "replay.npz")
    other = TrajectoryReplay(6, picture_space(), N_ACTIONS)
    other.load(tmp_path / "replay.npz")
    for name, array in replay.state().items():
        np.testing.assert_array_equal(other.state()[name], array)


def test_a_file_with_observations_may_be_larger_than_frames_alone():
    """A replay that keeps no observations yet must not take such a file for too large."""
    space = spaces.Dict(
        observation=spaces.Box(0, 255, (4, 40, 52), np.uint8),
        achieved_goal=spaces.Box(0, 255, (1, 40, 52), np.uint8),
    )
    rng = np.random.default_rng(0)
    frames, shown = (rng.integers(0, 256, (4, n, 40, 52), np.uint8) for n in (1, 4))
    stream, replay = io.BytesIO(), TrajectoryReplay(4, space, N_ACTIONS)
    replay.add(Trajectory(frames, np.array([0, 1, 2]), shown))
    replay.save(stream)
    stream.seek(0)
    other = TrajectoryReplay(4, space, N_ACTIONS)
    other.load(stream)
    np.testing.assert_array_equal(other.state()["observations"], shown)


def test_a_file_with_more_than_fits_is_refused():
    stream, replay = io.BytesIO(), TrajectoryReplay(12, picture_space(), N_ACTIONS)
    for _ in range(4):
        replay.add(picture_trajectory(1, [0, 1]))
    replay.save(stream)
    stream.seek(0)
    smaller = TrajectoryReplay(11, picture_space(), N_ACTIONS)
    with pytest.raises(ValueError, match="needs 12 slots, but there are 11"):
        smaller.load(stream)
    assert len(smaller) == 0


def test_stacks_have_to_go_on_being_stacks():
    trajectory = picture_trajectory(11, [0, 1, 2])
    replay = TrajectoryReplay(100, picture_space(), N_ACTIONS)
    replay.add(trajectory)
    replay.add(replace(trajectory, observations=stacks_of(trajectory)))
    with pytest.raises(ValueError, match="must be stacks of the last 4 frames"):
        replay.add(replace(trajectory, observations=stacks_of(trajectory) + 1))
    assert replay.n_trajectories == 2


def recorded(actions: list[int]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return observations and actions of an episode of stacked pictures, as they are recorded."""
    frames = picture_trajectory(1, actions).achieved
    padded = np.concatenate([np.zeros((3, *frames.shape[1:]), np.uint8), frames])
    stacks = np.concatenate([padded[age : age + len(frames)] for age in range(4)], axis=1)
    goals = np.full_like(frames, 77)
    return {"observation": stacks, "achieved_goal": frames, "desired_goal": goals}, np.array(
        actions
    )


@pytest.mark.parametrize("keep_goals", [False, True])
def test_a_recorded_episode_is_stored_without_its_stop(keep_goals):
    class Replay(TrajectoryStore):
        sample = None

    replay = Replay(50, picture_space(), N_ACTIONS, keep_goals=keep_goals)
    replay.add_episode(*recorded([1, 0, 2, STOP]))
    replay.add_episode(*recorded([STOP]))  # nothing happened in it
    replay.add_episode(*recorded([2]))
    state = replay.state()
    assert state["lengths"].tolist() == [3, 1]
    assert state["actions"][[0, 1, 2, 4]].tolist() == [1, 0, 2, 2]
    assert state["achieved"][:, 0, 0, 0].tolist() == [1, 2, 3, 4, 1, 2]
    assert "observations" not in state  # stacks are rebuilt
    if keep_goals:
        assert state["goals"][:, 0, 0, 0].tolist() == [77, 77]


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        (
            {"achieved_goal": None},
            ValueError,
            "must have the entries achieved_goal, observation, got observation",
        ),
        (
            {"observation": slice(1, None)},
            ValueError,
            "must have 4 rows for 3 actions, got 4 of achieved_goal and 3",
        ),
        ({"achieved_goal": slice(0, 3)}, ValueError, "must have 4 rows for 3 actions, got 3 of"),
    ],
)
def test_a_recorded_episode_that_does_not_fit_is_refused(change, error, told):
    replay = TrajectoryReplay(50, picture_space(), N_ACTIONS)
    observations, actions = recorded([1, 0, STOP])
    ((key, rows),) = change.items()
    if rows is None:
        del observations[key]
    else:
        observations[key] = observations[key][rows]
    with pytest.raises(error, match=told):
        replay.add_episode(observations, actions)
    with pytest.raises(TypeError, match="observations must be a dict, got ndarray"):
        replay.add_episode(np.zeros((3, 4)), actions)
    for wrong in ([0, STOP, 1], [], [0.5, 1.0, 2.0]):
        observations, _ = recorded([0] * len(wrong))
        with pytest.raises(ValueError, match=r"actions must|at least one action"):
            replay.add_episode(observations, np.array(wrong))
    assert len(replay) == 0
