import gymnasium as gym
import numpy as np
import pytest

from glamor_gym.wrappers import DiscretizeActions


class Sum(gym.Env):
    """The state is the sum of the actions, Box (A,); the reward is the number of the step."""

    def __init__(self, low, high, dtype=np.float64):
        self.action_space = gym.spaces.Box(np.array(low, dtype), np.array(high, dtype), dtype=dtype)
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, self.action_space.shape)

    def reset(self, *, seed=None, options=None):
        self.state = np.zeros(self.action_space.shape)
        self.steps = 0
        return self.state.copy(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.state += action
        self.steps += 1
        return self.state.copy(), self.steps, False, False, {"steps": self.steps}


def test_cartesian_counts_with_the_last_dimension_fastest():
    env = DiscretizeActions(Sum([-1, -1], [1, 1]), "cartesian")
    assert env.table.tolist() == [
        [-1, -1], [-1, 0], [-1, 1],
        [0, -1], [0, 0], [0, 1],
        [1, -1], [1, 0], [1, 1],
    ]  # fmt: skip
    assert env.action_space == gym.spaces.Discrete(9)


def test_a_cartesian_table_of_many_dimensions_is_refused_before_it_is_made():
    with pytest.raises(ValueError, match="table must be 'diagonal' for more than 8 dimensions"):
        DiscretizeActions(Sum([-1] * 17, [1] * 17))


def test_diagonal_moves_one_dimension_at_a_time():
    env = DiscretizeActions(Sum([-1] * 5, [1] * 5), "diagonal")
    assert env.action_space == gym.spaces.Discrete(11)
    assert env.table[0].tolist() == [0, 0, 0, 0, 0]
    assert env.table[1:5].tolist() == [
        [-1, 0, 0, 0, 0],
        [1, 0, 0, 0, 0],
        [0, -1, 0, 0, 0],
        [0, 1, 0, 0, 0],
    ]
    assert len(np.unique(env.table, axis=0)) == 11


def test_actions_reach_the_bounds_of_the_box():
    env = DiscretizeActions(Sum([0, -3], [1, 1]), "cartesian")
    env.reset()
    assert env.step(0)[0].tolist() == [0.0, -3.0]
    assert env.step(8)[0].tolist() == [1.0, -2.0]
    assert env.step(4)[0].tolist() == [1.5, -3.0]  # plus the middles 0.5 and −1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_action_is_rounded_out_of_the_box(dtype):
    rng = np.random.default_rng(0)
    low = rng.uniform(-2, 2, 500).astype(dtype)
    high = low + rng.uniform(0.01, 2, 500).astype(dtype)
    env = DiscretizeActions(Sum(low, high, dtype), "diagonal")
    assert env.table.dtype == dtype
    assert all(map(env.env.action_space.contains, env.table))


def test_the_middle_of_the_largest_box_is_finite():
    low, high = np.finfo(np.float32).max * np.array([[0.5], [1.0]])
    env = DiscretizeActions(Sum(low, high, np.float32))
    assert all(map(env.env.action_space.contains, env.table))


def test_actions_are_named_by_their_signs():
    cartesian = DiscretizeActions(Sum([0, -3], [1, 1]), "cartesian").get_action_meanings()
    assert cartesian[::4] == ["-1 -1", "0 0", "+1 +1"]
    diagonal = DiscretizeActions(Sum([0, -3], [1, 1]), "diagonal").get_action_meanings()
    assert diagonal == ["0 0", "-1 0", "+1 0", "0 -1", "0 +1"]


@pytest.mark.parametrize(("action", "error"), [(9, ValueError), (-1, ValueError), (0.5, TypeError)])
def test_an_action_outside_the_table_is_refused(action, error):
    env = DiscretizeActions(Sum([-1, -1], [1, 1]))
    env.reset()
    with pytest.raises(error, match="action must be an integer from 0 to 8"):
        env.step(action)


def test_boxes_without_bounds_and_other_tables_are_refused():
    with pytest.raises(ValueError, match="bounded"):
        DiscretizeActions(Sum([-np.inf], [1]))
    with pytest.raises(
        ValueError, match=r"bounded action space Box \(A,\) of floats, got Box.*int64"
    ):
        DiscretizeActions(Sum([-1], [1], np.int64))
    with pytest.raises(ValueError, match="table must be one of"):
        DiscretizeActions(Sum([-1], [1]), "octagonal")
    with pytest.raises(ValueError, match="bounded"):
        DiscretizeActions(DiscretizeActions(Sum([-1], [1])))
