import gymnasium as gym
import numpy as np
import pytest

from glamor_gym.wrappers import EntityLabels


def test_labels_are_read_at_the_moment_of_the_observation():
    env = gym.make("FrozenLake-v1", is_slippery=False)
    labelled = EntityLabels(env, lambda lake: {"cell": np.int64(lake.s)})
    observation, info = labelled.reset(seed=0)
    assert info["labels"] == {"cell": 0.0}
    for _ in range(2):
        observation, *_, info = labelled.step(1)
        assert info["labels"] == {"cell": float(observation)}
    assert info["labels"] == {"cell": 8.0}
    assert type(info["labels"]["cell"]) is float
    assert "prob" in info  # what the environment says of itself stays


def test_labels_that_are_no_mapping_are_named():
    env = EntityLabels(gym.make("FrozenLake-v1"), lambda lake: None)
    with pytest.raises(
        TypeError, match="what label_fn returns must map names to numbers, got None"
    ):
        env.reset()


def test_labels_instead_of_a_function_that_reads_them_are_refused():
    with pytest.raises(TypeError, match=r"label_fn must be a Callable, got \{'cell': 0\} \(dict\)"):
        EntityLabels(gym.make("FrozenLake-v1"), {"cell": 0})
