"""``glamor-gym export``: an agent in, one small file out that acts as the agent does."""

from __future__ import annotations

import copy
import shutil
import zipfile

import numpy as np
import pytest
import torch
from safetensors import safe_open

from glamor_gym.agents import DiscernAgent, GCSLAgent, GlamorAgent
from glamor_gym.agents.saving.agent_file import AgentFileError, load_tensors, save_tensors
from tests.agents.small_agents import GRID, make_agent, observations
from tests.command_line import run


def stored(path):
    """The tensors of a file, as they lie there."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("agents")
    agent = make_agent().learn(200)
    agent.save(folder / "room")
    return folder / "room.safetensors", agent


def test_the_weights_come_in_half_precision_and_nothing_else_does(saved, capsys, tmp_path):
    source, agent = saved
    code, out, err = run(capsys, "export", source, "--out", tmp_path / "small")
    assert (code, err) == (0, "")
    path = tmp_path / "small.safetensors"
    assert str(path) in out
    assert GRID in out
    tensors = stored(path)
    assert {name.removeprefix("policy.") for name in tensors} == set(agent.policy.state_dict())
    for name, weight in agent.policy.state_dict().items():
        there = tensors[f"policy.{name}"]
        assert there.dtype == (torch.float16 if weight.is_floating_point() else weight.dtype)
        assert torch.equal(there.to(weight.dtype), weight.half().to(weight.dtype))


def test_it_plans_as_the_agent_does(saved, capsys, tmp_path):
    source, agent = saved
    run(capsys, "export", source, "--out", tmp_path / "small")
    small = GlamorAgent.load(tmp_path / "small")
    assert all(weight.dtype == torch.float32 for weight in small.policy.parameters())
    plans = [each.plan(observations(3), deterministic=True) for each in (agent, small)]
    assert torch.equal(plans[0].tokens, plans[1].tokens)
    np.testing.assert_allclose(plans[0].log_score, plans[1].log_score, atol=0.02)


def test_full_keeps_every_bit_and_the_usual_name_is_beside_the_agent(saved, capsys):
    source, agent = saved
    code, out, _ = run(capsys, "export", source, "--full")
    assert code == 0
    path = source.parent / "GridWorld-glamor.safetensors"
    assert str(path) in out
    for name, weight in agent.policy.state_dict().items():
        assert torch.equal(stored(path)[f"policy.{name}"], weight)


def test_it_is_beside_the_agent_though_there_is_a_folder_of_its_results(saved, capsys, tmp_path):
    shutil.copy(saved[0], tmp_path / "room.safetensors")
    (tmp_path / "room").mkdir()
    code, out, _ = run(capsys, "export", tmp_path / "room")
    assert code == 0
    assert f"{tmp_path / 'GridWorld-glamor.safetensors'}, " in out


def test_the_agent_that_is_exported_stays_as_it_is(saved, capsys, tmp_path):
    _, agent = saved
    agent.save(tmp_path / "GridWorld-glamor")  # the usual name of what is exported from it
    path = tmp_path / "GridWorld-glamor.safetensors"
    before = path.read_bytes()
    for given in (path, path.with_suffix("")):
        code, _, err = run(capsys, "export", given)
        assert code == 2
        assert "--out must differ from the agent's own file" in err
    assert path.read_bytes() == before


def test_a_link_that_leads_nowhere_is_replaced(saved, capsys, tmp_path):
    path = tmp_path / "loop.safetensors"
    path.symlink_to(path)
    code, _, err = run(capsys, "export", saved[0], "--out", path)
    assert (code, err) == (0, "")
    assert GlamorAgent.load(path).task_id == saved[1].task_id


def test_packed_it_is_smaller_and_acts_by_the_packed_weights(saved, capsys, tmp_path):
    source, agent = saved
    run(capsys, "export", source, "--out", tmp_path / "half")
    code, _, err = run(capsys, "export", source, "--out", tmp_path / "packed", "--packed")
    assert (code, err) == (0, "")
    half, packed = (tmp_path / f"{name}.safetensors" for name in ("half", "packed"))
    assert packed.stat().st_size < 0.5 * half.stat().st_size
    loaded = GlamorAgent.load(packed)
    for name, weight in agent.policy.state_dict().items():
        there = loaded.policy.state_dict()[name].float()
        assert (there - weight.float()).abs().max() <= weight.abs().max() / 13
    again = GlamorAgent.load(source)
    again.set_parameters(packed)
    for name, weight in again.policy.state_dict().items():
        assert torch.equal(weight, loaded.policy.state_dict()[name])


def test_an_archive_of_another_library_is_refused_without_options_that_export_lacks(
    capsys, tmp_path
):
    with zipfile.ZipFile(tmp_path / "agent.zip", "w") as archive:
        archive.writestr("data", "{}")
    code, _, err = run(capsys, "export", tmp_path / "agent.zip")
    assert code == 2
    assert "cannot be exported" in err
    assert "--" not in err


def test_full_and_packed_exclude_each_other(saved, capsys, tmp_path):
    code, _, err = run(capsys, "export", saved[0], "--out", tmp_path / "x", "--full", "--packed")
    assert code == 2
    assert "--full and --packed are mutually exclusive" in err
    assert not (tmp_path / "x.safetensors").exists()


def test_damaged_packed_weights_are_refused(saved, capsys, tmp_path):
    source, agent = saved
    run(capsys, "export", source, "--out", tmp_path / "packed", "--packed")
    path = tmp_path / "packed.safetensors"
    tensors, header = load_tensors(path)
    scales = next(name for name in tensors if name.endswith(".scales"))
    save_tensors(path, tensors | {scales: tensors[scales][:, :-1]}, header)
    told = rf"does not fit: .* do not form {scales.removesuffix('.scales')} of shape \("
    with pytest.raises(AgentFileError, match=told):
        GlamorAgent.load(path)
    with pytest.raises(AgentFileError, match=told):
        agent.set_parameters(path)


@pytest.mark.parametrize("kind", [GCSLAgent, DiscernAgent])
def test_every_agent_of_the_library_can_be_exported(kind, capsys, tmp_path):
    kind(GRID, buffer_size=60, device="cpu", seed=0).save(tmp_path / "agent")
    code, _, err = run(
        capsys, "export", tmp_path / "agent.safetensors", "--out", tmp_path / "small"
    )
    assert (code, err) == (0, "")
    action, _ = kind.load(tmp_path / "small").predict(observations(2))
    assert action.shape == (2,)


def test_what_does_not_fit_half_precision_is_said_and_nothing_is_written(saved, capsys, tmp_path):
    source, _ = saved
    agent = GlamorAgent.load(source)
    with torch.no_grad():
        next(agent.policy.model.parameters())[0] = 1e6
    agent.save(tmp_path / "large")
    words = (tmp_path / "large.safetensors", "--out", tmp_path / "small")
    code, _, err = run(capsys, "export", *words)
    assert code == 2
    assert "half and packed must be False" in err
    assert "1e+06" in err
    assert not (tmp_path / "small.safetensors").exists()
    assert run(capsys, "export", *words, "--full")[0] == 0


def test_what_is_no_agent_is_refused(capsys, tmp_path):
    code, _, err = run(capsys, "export", tmp_path / "nothing")
    assert code == 2
    assert f"there is no such file, nor {tmp_path}/nothing.safetensors" in err
    _, _, err = run(capsys, "export", tmp_path / "nothing.safetensors")
    assert err.endswith("there is no such file\n")


@pytest.mark.parametrize(
    ("task", "name"), [("own/Room-v0", "own-Room-v0-glamor"), (None, "mine-glamor")]
)
def test_it_is_not_needed_to_know_where_an_agent_was_trained(saved, capsys, tmp_path, task, name):
    _, agent = saved
    agent = copy.deepcopy(agent)
    agent.task_id = task
    agent.save(tmp_path / "mine")
    code, _, err = run(capsys, "export", tmp_path / "mine.safetensors")
    assert (code, err) == (0, "")
    assert (tmp_path / f"{name}.safetensors").is_file()


def test_a_folder_gets_a_file_of_the_usual_name(saved, capsys, tmp_path):
    code, out, _ = run(capsys, "export", saved[0], "--out", tmp_path)
    assert code == 0
    assert [file.name for file in tmp_path.iterdir()] == ["GridWorld-glamor.safetensors"]
    assert str(tmp_path / "GridWorld-glamor.safetensors") in out
