"""What a path means to the commands that take an agent."""

from __future__ import annotations

import pytest

from glamor_gym.commands.options import OfSavedAgent
from glamor_gym.commands.saved_agent import find_agent
from glamor_gym.evaluation import RunFolder
from glamor_gym.experiments import RunSpec
from glamor_gym.experiments.run_config import new_config
from tests.agents.small_agents import GRID, make_agent
from tests.experiments.own_agents import Variant


@pytest.fixture(scope="module")
def agent():
    return make_agent()


def found(path, **options):
    return find_agent(path, OfSavedAgent(**options))


def test_a_name_without_its_suffix_means_the_file_also_once_its_folder_is_there(agent, tmp_path):
    agent.save(tmp_path / "mine")
    for _ in range(2):
        saved = found(tmp_path / "mine")
        assert saved.file == tmp_path / "mine.safetensors"
        assert saved.home == tmp_path / "mine"
        assert saved.task == GRID
        saved.home.mkdir(exist_ok=True)


def test_what_comes_of_agents_in_one_folder_is_kept_apart(agent, tmp_path):
    for name in ("mine", "mine.v2"):
        agent.save(tmp_path / name)
    (tmp_path / "bare").write_bytes((tmp_path / "mine.safetensors").read_bytes())
    homes = [found(tmp_path / name).home for name in ("mine", "mine.v2", "bare")]
    assert homes == [tmp_path / "mine", tmp_path / "mine.v2", tmp_path / "bare-results"]


def test_a_run_comes_before_a_file_of_its_name(agent, tmp_path):
    agent.save(tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    run.write_config(new_config(RunSpec(task="GridWorld", steps=200)))
    run.save_agent(agent)
    assert found(run.path).file == run.agent_file


def test_an_environment_that_is_not_registered_here_is_asked_for(tmp_path):
    agent = make_agent()
    agent.task_id = "own/Room-v0"
    agent.save(tmp_path / "mine")
    with pytest.raises(ValueError, match=r"--task is needed: .* trained in 'own/Room-v0', but .*"):
        found(tmp_path / "mine")
    assert find_agent(tmp_path / "mine", OfSavedAgent(), acts=False).task == "own/Room-v0"
    assert find_agent(tmp_path / "mine", OfSavedAgent(task="GridWorld")).task == GRID


def test_the_module_of_a_class_of_ones_own_is_asked_for(tmp_path):
    Variant(GRID, buffer_size=50).save(tmp_path / "mine")
    with pytest.raises(ValueError, match=r"class 'Variant'; name one of your own as MODULE:CLASS"):
        found(tmp_path / "mine")
    name = "tests.experiments.own_agents:Variant"
    agent = found(tmp_path / "mine", algorithm=name).load("cpu", trust=False)
    assert isinstance(agent, Variant)


def test_figures_without_an_agent_are_told(tmp_path):
    run = RunFolder(tmp_path)
    run.write_config(new_config(RunSpec(task="GridWorld", steps=200)))
    with pytest.raises(ValueError, match=r"a run without its agent: .*agent\.safetensors"):
        found(tmp_path)


@pytest.mark.parametrize("algorithm", ["random", "noop"])
def test_a_run_of_an_agent_that_does_not_learn_has_none_to_load(tmp_path, algorithm):
    RunFolder(tmp_path).write_config(new_config(RunSpec(task="GridWorld", algorithm=algorithm)))
    with pytest.raises(ValueError, match=f"a run of {algorithm}, which does not learn"):
        found(tmp_path)


def test_a_folder_of_neither_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path, tmp_path.relative_to(tmp_path)):
        with pytest.raises(ValueError, match="holds no run"):
            found(path)
