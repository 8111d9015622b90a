"""Goal sets of a few random pictures, states or vectors, for the tests beside."""

import numpy as np

from glamor_gym.goals import GoalList, GoalSet

NAMES = ("x", "y")
SHAPES = {"screen": (6, 5), "state": (7,), "frame": (4,)}
DTYPES = {"screen": np.uint8, "state": np.float64, "frame": np.float32}


def goal_list(kind="screen", count=3, seed=0):
    rng = np.random.default_rng(seed)
    content = (rng.random((count, *SHAPES[kind])) * 255).astype(DTYPES[kind])
    labels = rng.random((count, 2)) * 10
    return GoalList(kind, NAMES, content, labels, labels + 1)


def with_content(content):
    labels = np.zeros((len(content), 2))
    return GoalList("screen", NAMES, content, labels, labels)


def goal_set(kind="screen", **changes):
    arguments = {
        "evaluation": goal_list(kind, 3, seed=1),
        "training": goal_list(kind, 8, seed=2),
        "bounds": {"x": (0.0, 10.0), "y": (-2.0, -2.0)},
        "provenance": {"seed": 4, "shape": (1, 2)},
        "version": 3,
    }
    return GoalSet("Toy", **(arguments | changes))


def assert_same(one, other):
    assert one.hash == other.hash
    assert (one.task, one.version, one.kind) == (other.task, other.version, other.kind)
    assert one.bounds == other.bounds
    assert one.provenance == other.provenance
    for split in ("evaluation", "training"):
        for part in ("content", "labels", "lagged_labels"):
            first, second = (getattr(getattr(each, split), part) for each in (one, other))
            assert first.dtype == second.dtype
            np.testing.assert_array_equal(first, second)
