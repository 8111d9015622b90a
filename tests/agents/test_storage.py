"""Agent files: what goes in comes out, and nothing else gets in."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from gymnasium import spaces

from glamor_gym.agents.storage import (
    AgentFileError,
    load_tensors,
    save_tensors,
    space_from_json,
    space_to_json,
)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(5),
        spaces.Discrete(3, start=2),
        spaces.Box(0, 255, (4, 8, 9), np.uint8),
        spaces.Box(-np.inf, np.inf, (3,), np.float32),
        spaces.Box(np.array([-1, -2.5]), np.array([1, 2]), dtype=np.float64),
        spaces.Dict(a=spaces.Box(0, 1, (2,), np.float32), b=spaces.Dict(c=spaces.Discrete(2))),
    ],
)
def test_spaces_survive_json(space):
    assert space_from_json(space_to_json(space)) == space


def test_tensors_and_header_survive(tmp_path):
    tensors = {"a": torch.arange(3), "b.c": torch.rand(2, 2).t()}
    save_tensors(tmp_path / "agent", tensors, {"x": [1, None, "é"]})
    loaded, header = load_tensors(tmp_path / "agent")
    assert header == {"x": [1, None, "é"]}
    for name, tensor in tensors.items():
        torch.testing.assert_close(loaded[name], tensor)


class Explosive:
    def __reduce__(self):
        return (pytest.fail, ("a loaded file was executed",))


@pytest.mark.parametrize(
    "content",
    [pickle.dumps(Explosive()), b"", b"\xff" * 64, b"PK\x03\x04" + b"\0" * 60],
    ids=["pickle", "empty", "huge header", "zip"],
)
def test_foreign_files_are_refused_and_not_executed(tmp_path, content):
    path = tmp_path / "agent.safetensors"
    path.write_bytes(content)
    with pytest.raises(AgentFileError, match=r"agent\.safetensors"):
        load_tensors(path)


def test_a_cut_file_is_refused(tmp_path):
    save_tensors(tmp_path / "agent", {"a": torch.rand(1000)}, {})
    path = tmp_path / "agent.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(AgentFileError, match="damaged"):
        load_tensors(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing_here"):
        load_tensors(tmp_path / "nothing_here")


@pytest.mark.parametrize("description", [None, 3, {}, {"box": [2]}, {"discrete": "many"}])
def test_damaged_spaces_are_refused(description):
    with pytest.raises(AgentFileError, match="description of a space"):
        space_from_json(description)
