"""DISCERN's replay: transitions worked out by hand, and priorities."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium import spaces

from glamor_gym.replay.discern_replay import DiscernReplay
from glamor_gym.types import Trajectory

HORIZON, GOAL = 6, 200
SPACE = spaces.Dict(
    observation=spaces.Box(0, 255, (2, 2, 2), np.uint8),
    achieved_goal=spaces.Box(0, 255, (1, 2, 2), np.uint8),
)


def frames(*values: int) -> np.ndarray:
    return np.array(values, np.uint8)[:, None, None, None] * np.ones((1, 2, 2), np.uint8)


def make(**kwargs) -> DiscernReplay:
    arguments = {"horizon": HORIZON, "n_steps": 3, "relabelled_share": 0.0, "seed": 0, **kwargs}
    capacity = arguments.pop("capacity", 100)
    return DiscernReplay(capacity, SPACE, 4, **arguments)


def episode(first: int, length: int, goal: int = GOAL) -> Trajectory:
    achieved = frames(*range(first, first + length + 1))
    return Trajectory(achieved, np.arange(length) % 4, goal=frames(goal)[0])


def by_frame(batch) -> dict[int, int]:
    """Return, for each newest frame that was drawn, one row of the batch."""
    return {int(value): row for row, value in enumerate(batch.observation[:, 1, 0, 0])}


def test_n_step_transitions_of_an_episode_by_hand():
    replay = make()
    replay.add(episode(10, 5))
    batch = replay.sample(200)
    rows = by_frame(batch)
    assert sorted(rows) == [10, 11, 12, 13, 14]
    expected = {  # frame: action, steps left, frame after, steps left then, steps to the end
        10: (0, 6, 13, 3, 5),
        11: (1, 5, 14, 2, 4),
        12: (2, 4, 15, 1, 3),
        13: (3, 3, 15, 1, 2),
        14: (0, 2, 15, 1, 1),
    }
    for frame, row in rows.items():
        found = (
            batch.action[row],
            batch.steps_left[row],
            batch.next_observation[row, 1, 0, 0],
            batch.next_steps_left[row],
            batch.steps_to_end[row],
        )
        assert tuple(map(int, found)) == expected[frame]
    assert (batch.achieved == 15).all()
    assert (batch.goal == GOAL).all()
    assert batch.observation[rows[10], 0].max() == 0, "nothing before the first frame"
    assert batch.probability.numpy() == pytest.approx(np.full(200, 0.2))
    pairs = replay.sample_pairs(20)
    assert (pairs.achieved == 15).all()
    assert (pairs.goal == GOAL).all()


def test_goals_count_among_the_bytes():
    replay = make()
    for length in (5, 3):
        replay.add(episode(10, length))
    slots = (5 + 1 + 1) + (3 + 1 + 1)  # steps, the last frame, the goal
    assert replay.nbytes == slots * (4 + 8)  # a frame and an action each


def test_a_share_aims_at_where_its_own_trajectory_came():
    replay = make(relabelled_share=0.25)
    for first in (10, 30, 50):
        replay.add(episode(first, 5))
    batch = replay.sample(4_000)
    relabelled = batch.relabelled.numpy()
    assert relabelled.mean() == pytest.approx(0.25, abs=0.03)
    assert (batch.goal[relabelled] == batch.achieved[relabelled]).all()
    assert (batch.goal[~relabelled] == GOAL).all()
    assert (replay.sample_pairs(200).goal == GOAL).all()


def test_steps_are_drawn_in_proportion_to_their_errors():
    replay = make(priority_exponent=0.5)
    replay.add(episode(10, 4))
    first = replay.sample(50)
    rows = by_frame(first)
    slots = np.array([first.slots[rows[frame]] for frame in (10, 11, 12, 13)])
    replay.set_errors(slots, np.array([0.0, 1.0, 4.0, 9.0]))
    batch = replay.sample(6_000)
    shares = np.bincount(batch.observation[:, 1, 0, 0].numpy(), minlength=14)[10:] / 6_000
    assert shares == pytest.approx([0, 1 / 6, 2 / 6, 3 / 6], abs=0.01)
    assert sorted(set(batch.probability.numpy().round(3)))[-1] == 0.5
    replay.add(episode(50, 4))  # as likely as the most surprising step so far
    newest = replay.sample(6_000).observation[:, 1, 0, 0].numpy() >= 50
    assert newest.mean() == pytest.approx(12 / 18, abs=0.01)


def test_a_new_step_is_as_likely_as_the_most_surprising_one_ever_was():
    replay = make(priority_exponent=1.0)
    replay.add(episode(10, 2))
    slots = np.unique(replay.sample(50).slots)
    replay.set_errors(slots, np.array([9.0, 9.0]))
    replay.set_errors(slots, np.array([1.0, 1.0]))  # learned since
    replay.add(episode(50, 2))
    newest = replay.sample(2_000).observation[:, 1, 0, 0].numpy() >= 50
    assert newest.mean() == pytest.approx(18 / 20, abs=0.03)


def test_what_was_overwritten_is_never_drawn():
    replay = make(capacity=17)  # two episodes of 5 actions and their goals, and a rest
    rng = np.random.default_rng(0)
    kept: list[int] = []
    for value in range(10, 250, 10):
        replay.add(episode(value, int(rng.integers(2, 6)), goal=value + 9))
        kept.append(value)
        batch = replay.sample(300)
        drawn = batch.observation[:, 1, 0, 0].numpy().astype(int) // 10 * 10
        assert set(drawn) == set(kept[-replay.n_trajectories :])
        assert (batch.goal[:, 0, 0, 0].numpy() == drawn + 9).all()
        assert replay._tree.total == pytest.approx(len(replay))


def test_goals_survive_files_and_checkpoints(tmp_path):
    replay, loaded, restored = make(), make(), make()
    for value in (10, 30):
        replay.add(episode(value, 4, goal=value + 9))
    replay.save(tmp_path / "replay.npz")
    loaded.load(tmp_path / "replay.npz")
    replay.set_errors(np.array([1, 2]), np.array([3.0, 5.0]))
    replay.goals.offer(frames(7)[0], replay.rng)
    snapshot = replay.snapshot()
    assert len(snapshot["priorities"]) == 11  # up to the last step, of 100
    restored.restore(snapshot)
    assert restored.goals.frames.tolist() == frames(7).tolist()
    for name, array in restored.slot_arrays().items():
        array[:] = replay.slot_arrays()[name]
    assert {int(value) for value in loaded.sample(50).goal[:, 0, 0, 0]} == {19, 39}
    one, two = replay.sample(50), restored.sample(50)
    assert (one.slots == two.slots).all()
    assert (one.goal == two.goal).all()
    restored = make(seed=1)
    restored.restore(replay.snapshot())  # together with where its generator stands
    assert replay.rng.random() == restored.rng.random()


def test_a_replay_that_is_full_goes_on_in_one_of_its_size():
    replay, other = make(capacity=6), make(capacity=6)
    replay.add(episode(10, 4))
    other.restore(replay.snapshot())
    assert len(other) == 4


def test_only_the_slots_of_later_runs_are_to_be_saved_anew():
    replay = make(capacity=15)
    for value in (10, 20, 30):
        replay.add(episode(value, 3))
    assert replay.slots_since(3) == []
    assert replay.slots_since(1) == [(2, range(5, 15))]
    replay.add(episode(40, 3))  # in place of the first
    assert replay.slots_since(0) == replay.slots_since(1) == [(2, range(5, 15)), (3, range(5))]
    assert replay.slots_since(2) == [(2, range(10, 15)), (3, range(5))]
    assert replay.slots_since(3) == [(3, range(5))]


def test_a_larger_replay_goes_on_from_a_smaller_one():
    replay, larger = make(capacity=20), make(capacity=40)
    replay.add(episode(10, 4))
    replay.set_errors(np.array([1, 2]), np.array([3.0, 5.0]))
    larger.restore(replay.snapshot())
    for name, array in larger.slot_arrays().items():
        array[: replay.capacity] = replay.slot_arrays()[name]
    assert (replay.sample(50).slots == larger.sample(50).slots).all()


def test_what_was_there_before_a_snapshot_is_not_drawn_after_it():
    replay, used = make(capacity=20), make(capacity=40)
    replay.add(episode(10, 4))
    for value in range(20, 80, 10):
        used.add(episode(value, 4))
    used.restore(replay.snapshot())
    assert used._tree.total == len(used) == 4


def test_what_does_not_fit_is_refused():
    replay = make()
    with pytest.raises(ValueError, match="goal must be given"):
        replay.add(Trajectory(frames(1, 2), np.array([0])))
    with pytest.raises(ValueError, match="horizon"):
        replay.add(episode(10, HORIZON + 1))
    with pytest.raises(ValueError, match="nothing to sample"):
        replay.sample(3)
    with pytest.raises(ValueError, match="2 frames and a goal"):
        make(capacity=2).add(episode(10, 1))
    with pytest.raises(ValueError, match="horizon"):
        make(horizon=0)
    with pytest.raises(TypeError, match="horizon must be an integer"):
        make(horizon=2.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_steps", 0),
        ("relabelled_share", 5),
        ("priority_exponent", float("nan")),
        ("goal_buffer_size", -3),
    ],
)
def test_arguments_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"{name} must be .* got {value}"):
        make(**{name: value})


def test_numbers_of_numpy_are_taken():
    replay = make(capacity=np.int64(20), n_steps=np.int64(2), goal_buffer_size=np.int64(0))
    replay.add(episode(10, 4))
    assert replay.sample(3).steps_to_end.max() <= 4
