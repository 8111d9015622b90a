"""Agent files: what goes in comes out, and nothing else gets in."""

from __future__ import annotations

import inspect
import io
import json
import math
import pickle
import resource
import zipfile

import numpy as np
import pytest
import torch
from gymnasium import spaces
from safetensors.torch import save

from glamor_gym.agents import DiscernAgent, GCSLAgent, GlamorAgent
from glamor_gym.agents.saving import agent_file
from glamor_gym.agents.saving.agent_file import (
    AgentFileError,
    load_tensors,
    save_tensors,
    space_from_json,
    space_to_json,
)
from tests.agents.small_agents import make_grid


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(5),
        spaces.Discrete(3, start=2),
        spaces.Box(0, 255, (4, 8, 9), np.uint8),
        spaces.Box(0, 255, (1, 2**12, 2**12), np.uint8),
        spaces.Box(-np.inf, np.inf, (3,), np.float32),
        spaces.Box(np.array([-np.inf, -2.5]), np.array([1, np.inf]), dtype=np.float64),
        spaces.Box(np.array([-1, -2.5]), np.array([1, 2]), dtype=np.float64),
        spaces.Dict(a=spaces.Box(0, 1, (2,), np.float32), b=spaces.Dict(c=spaces.Discrete(2))),
    ],
)
def test_spaces_survive_json(space):
    text = json.dumps(space_to_json(space), allow_nan=False)
    assert space_from_json(json.loads(text)) == space


def test_tensors_and_header_survive(tmp_path):
    tensors = {"a": torch.arange(3), "b.c": torch.rand(2, 2).t()}
    save_tensors(tmp_path / "agent", tensors, {"x": [1, None, "é"]})
    loaded, header = load_tensors(tmp_path / "agent")
    assert header == {"x": [1, None, "é"]}
    for name, tensor in tensors.items():
        torch.testing.assert_close(loaded[name], tensor)


def test_a_stream_is_read_from_where_it_stands_and_holds_what_a_file_does(tmp_path):
    tensors = {"a": torch.arange(3)}
    stream = io.BytesIO()
    stream.write(b"before")
    save_tensors(stream, tensors, {"x": 1})
    (tmp_path / "agent.safetensors").write_bytes(stream.getvalue()[len(b"before") :])
    stream.seek(len(b"before"))
    for source in (stream, tmp_path / "agent"):
        loaded, header = load_tensors(source)
        assert header == {"x": 1}
        torch.testing.assert_close(loaded, tensors)


def test_streams_that_hold_no_agent_are_refused(tmp_path, monkeypatch):
    for content in (b"", pickle.dumps(Explosive()), b"\xff" * 64):
        with pytest.raises(AgentFileError, match="BytesIO"):
            load_tensors(io.BytesIO(content))
    monkeypatch.setattr(agent_file, "MAX_FILE_BYTES", 63)
    with pytest.raises(AgentFileError, match="larger than 63 bytes"):
        load_tensors(io.BytesIO(b"\0" * 64))
    with (tmp_path / "agent").open("wb") as file, pytest.raises(AgentFileError, match="readable"):
        load_tensors(file)


@pytest.mark.parametrize("path", [3, io.StringIO(), None])
def test_what_is_neither_path_nor_stream_is_refused(path):
    with pytest.raises(TypeError, match="path must be a path"):
        save_tensors(path, {"a": torch.zeros(1)}, {})
    with pytest.raises(TypeError, match="path must be a path"):
        load_tensors(path)


class Explosive:
    def __reduce__(self):
        return (pytest.fail, ("a loaded file was executed",))


def refusal_of(path, content):
    """Return what is told of a file of this content."""
    path.write_bytes(content)
    with pytest.raises(AgentFileError) as refused:
        load_tensors(path)
    return str(refused.value)


@pytest.mark.parametrize(
    "content",
    [pickle.dumps(Explosive()), b"", b"\xff" * 64, b"PK\x03\x04" + b"\0" * 60],
    ids=["pickle", "empty", "huge header", "damaged zip"],
)
def test_foreign_files_are_refused_and_not_executed(tmp_path, content):
    assert "agent.safetensors" in refusal_of(tmp_path / "agent.safetensors", content)


def test_an_agent_of_stable_baselines3_is_told_to_be_one(tmp_path):
    path = tmp_path / "agent.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", "{}")
    with pytest.raises(AgentFileError, match="zip archive, as Stable-Baselines3 saves its agents"):
        load_tensors(path)


@pytest.mark.parametrize(
    "content", [save({"a": torch.zeros(1)}), b"\x15\0\0\0\0\0\0\0" + b'{"__metadata__":null}']
)
def test_tensors_of_others_are_told_to_be_no_agent(tmp_path, content):
    told = refusal_of(tmp_path / "agent.safetensors", content)
    assert "it was not written by this library" in told


@pytest.mark.parametrize("text", ["# glamor_gym\n\nA README.", "{ is no header"])
def test_a_text_is_told_to_be_no_agent(tmp_path, text):
    told = refusal_of(tmp_path / "README.md", text.encode())
    assert "README.md' is not a saved agent, or is damaged" in told


def test_a_cut_file_is_refused(tmp_path):
    save_tensors(tmp_path / "agent", {"a": torch.rand(1000)}, {})
    path = tmp_path / "agent.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(AgentFileError, match="damaged"):
        load_tensors(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing_here"):
        load_tensors(tmp_path / "nothing_here")


def test_a_header_that_claims_gigabytes_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "agent.safetensors"
    for claimed, told in ((90 * 2**20, "invalid header length"), (2**40, "header too large")):
        path.write_bytes(claimed.to_bytes(8, "little") + b"{" + b" " * 100)
        with pytest.raises(AgentFileError, match=told):
            load_tensors(path)


@pytest.mark.parametrize(
    ("shape", "n_bytes"),
    [
        ([2**40], 2**42),
        ([2**40], 4),
        ([2**40, 2**40], 4),
        ([0, 2**63], 0),
        ([0, 2**62, 2**62], 0),
        ([1] * 100, 4),
    ],
)
def test_a_tensor_that_claims_another_size_than_the_file_has_is_refused(tmp_path, shape, n_bytes):
    tensor = {"dtype": "F32", "shape": shape, "data_offsets": [0, n_bytes]}
    metadata = {"format": agent_file.FORMAT, "header": "{}"}
    header = json.dumps({"__metadata__": metadata, "a": tensor}).encode()
    data = bytes(4 if n_bytes else 0)
    (tmp_path / "agent.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + data)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(AgentFileError, match="is damaged"):
        load_tensors(tmp_path / "agent")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 2**16  # in KiB


def test_an_oversize_file_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "agent.safetensors"
    with path.open("wb") as file:
        file.truncate(2**40)  # a hole, which takes no disk
    with pytest.raises(AgentFileError, match="larger than"):
        load_tensors(path)


def test_the_same_agent_gives_the_same_bytes():
    written = set()
    for _ in range(20):  # safetensors has the metadata in any order
        file = io.BytesIO()
        save_tensors(file, {"b": torch.ones(3), "a": torch.zeros(2)}, {"é": "\n\x7f"})
        written.add(file.getvalue())
        file.seek(0)
        tensors, header = load_tensors(file)
        assert tensors["b"].tolist() == [1, 1, 1]
        assert header == {"é": "\n\x7f"}
    assert len(written) == 1


def test_a_header_that_is_no_object_is_refused(tmp_path):
    save_tensors(tmp_path / "agent", {"a": torch.zeros(1)}, [])
    with pytest.raises(AgentFileError, match="its header is not a JSON object"):
        load_tensors(tmp_path / "agent")


@pytest.mark.parametrize(
    ("agent_class", "name"),
    [(GlamorAgent, "first_action_weight"), (DiscernAgent, "adam_eps")],
)
def test_a_large_number_that_is_no_width_is_written_and_read(tmp_path, agent_class, name):
    policy_kwargs = {"embedding_size": 8, name: 10_000}
    agent_class(make_grid(), buffer_size=50, policy_kwargs=policy_kwargs).save(tmp_path / "agent")
    assert agent_class.load(tmp_path / "agent").policy_kwargs == policy_kwargs


@pytest.mark.parametrize("agent_class", [GlamorAgent, GCSLAgent, DiscernAgent])
def test_a_header_that_asks_for_too_much_is_refused(tmp_path, agent_class):
    agent_class(make_grid(), buffer_size=50, policy_kwargs={"embedding_size": 8}).save(
        tmp_path / "agent"
    )
    tensors, header = load_tensors(tmp_path / "agent")
    (policy,) = agent_class.policy_aliases.values()
    arguments = inspect.signature(policy).parameters.values()
    widths = {argument.name for argument in arguments if type(argument.default) is int}
    changes = [{"policy_kwargs": {width: 10**9}} for width in widths - {"horizon"}]
    changes += [{"policy_kwargs": [1]}, {"action_space": {"discrete": 10**5, "start": 0}}]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for change in changes:
        save_tensors(tmp_path / "agent", tensors, header | change)
        for given in ({}, {"env": make_grid(), "verbose": 1}):
            with pytest.raises(AgentFileError, match=r"does not fit: .* must"):
                agent_class.load(tmp_path / "agent", **given)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 2**18  # in KiB


def test_a_header_with_numbers_that_json_lacks_is_neither_written_nor_read(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        save_tensors(tmp_path / "agent", {"a": torch.zeros(1)}, {"a": math.nan})
    assert list(tmp_path.iterdir()) == []
    metadata = {"format": agent_file.FORMAT, "header": '{"a": NaN}'}
    (tmp_path / "agent.safetensors").write_bytes(save({"a": torch.zeros(1)}, metadata=metadata))
    with pytest.raises(AgentFileError, match="NaN"):
        load_tensors(tmp_path / "agent")


def test_a_header_that_could_not_be_read_is_not_written(tmp_path, monkeypatch):
    header = {"b": 1, "a": "x" * 20, "c": 2}
    monkeypatch.setattr(agent_file, "MAX_HEADER_BYTES", len(json.dumps(header)))
    save_tensors(tmp_path / "agent", {"a": torch.zeros(1)}, header)
    assert load_tensors(tmp_path / "agent")[1] == header
    with pytest.raises(ValueError, match="at most 45 bytes; its a is too large"):
        save_tensors(tmp_path / "other", {"a": torch.zeros(1)}, header | {"a": "x" * 21})
    assert [path.stem for path in tmp_path.iterdir()] == ["agent"]


def test_a_header_that_would_take_gigabytes_when_parsed_is_not_parsed(tmp_path):
    header = json.dumps({"a": [[]] * 5_000_000})
    metadata = {"format": agent_file.FORMAT, "header": header}
    (tmp_path / "agent.safetensors").write_bytes(save({"a": torch.zeros(1)}, metadata=metadata))
    with pytest.raises(AgentFileError, match="its header is larger than"):
        load_tensors(tmp_path / "agent")


def test_a_deep_header_is_refused(tmp_path):
    metadata = {"format": agent_file.FORMAT, "header": "[" * 10**6}
    (tmp_path / "agent.safetensors").write_bytes(save({"a": torch.zeros(1)}, metadata=metadata))
    with pytest.raises(AgentFileError, match="no readable JSON"):
        load_tensors(tmp_path / "agent")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    save_tensors(tmp_path / "agent", {"w": torch.tensor([1.0, value])}, {})
    with pytest.raises(AgentFileError, match="w is not finite"):
        load_tensors(tmp_path / "agent")


@pytest.mark.parametrize(
    "description",
    [
        None,
        3,
        {},
        {"box": [2]},
        {"discrete": "many"},
        {"discrete": 10**12, "start": 0},
        {"discrete": -1, "start": 0},
        {"box": [10**6, 10**6], "dtype": "float32", "low": 0, "high": 1},
        {"box": [-1, -1], "dtype": "float32", "low": 0, "high": 1},
        {"box": [1], "dtype": "object", "low": 0, "high": 1},
        {"box": [1], "dtype": "U9", "low": 0, "high": 1},
        {"dict": {"a": {"box": [2]}}},
        {"dict": [1]},
    ],
)
def test_damaged_spaces_are_refused(description):
    with pytest.raises(AgentFileError, match="description of a space"):
        space_from_json(description)
