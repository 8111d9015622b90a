"""Snapshots as files: what comes back is what went in, and nothing else is accepted."""

import math

import numpy as np
import pytest
import torch

from glamor_gym.agents.saving.snapshot_file import decode, encode
from glamor_gym.snapshots import random_state
from glamor_gym.untrusted import DamagedFileError


def assert_equal(one, other):
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, list):
        for left, right in zip(one, other, strict=True):
            assert_equal(left, right)
    elif isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)
    elif isinstance(one, np.ndarray | np.generic):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        np.testing.assert_array_equal(one, other)
    else:
        assert one == other or (math.isnan(one) and math.isnan(other))


def test_there_and_back():
    shared = np.arange(6.0).reshape(2, 3)
    snapshot = {
        "numbers": [1, -2.5, 0.1, math.nan, -math.inf, 2**127, True, None, "a string"],
        "arrays": {
            str(dtype): np.array([0, 1, 2]).astype(dtype)
            for dtype in ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "?")
        },
        "empty": {"dict": {}, "list": [], "array": np.zeros((0, 3), np.float32)},
        "views": [shared, shared.T, shared[:, 1]],
        "scalars": [np.float32(0.1), np.int64(3), np.bool_(True)],
        "tensors": [torch.ones(2, 2, dtype=torch.bfloat16), torch.tensor(7)],
        "generators": [random_state(np.random.default_rng(1)),
                       random_state(np.random.RandomState(1))],
    }  # fmt: skip
    assert_equal(decode(encode(snapshot)), snapshot)


def test_what_comes_back_is_in_memory_of_its_own():
    array, tensor = np.zeros(3), torch.zeros(3)
    data = encode({"array": array, "tensor": tensor})
    array += 1
    tensor += 1
    back = decode(data)
    back["array"] += 2  # and can be written to
    assert back["array"].tolist() == [2, 2, 2]
    assert back["tensor"].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("snapshot", "place"),
    [
        (
            {"a": {"b": [1, object()]}},
            r"snapshot\['a'\]\['b'\]\[1\] must be plain data, got object",
        ),
        ({"a": {1: 2}}, r"snapshot\['a'\] must have string keys without a leading \$, got 1"),
        ({"$array": 2}, "must have string keys"),
        ({"a": np.array([object()])}, "object"),
    ],
)
def test_what_is_no_plain_data(snapshot, place):
    with pytest.raises(TypeError, match=place):
        encode(snapshot)


def test_damage():
    data = encode({"array": np.arange(100), "number": 1})
    for broken in (b"", data[:20], data[:-1], b"\xff" * 200, data.replace(b"outline", b"0utline")):
        with pytest.raises(DamagedFileError, match="not a snapshot"):
            decode(broken)
