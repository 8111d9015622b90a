from __future__ import annotations

import dataclasses
import json

import pytest

from glamor_gym.evaluation import RunConfig, RunFolder, evaluate
from tests.evaluation.players import Walker

CONFIG = RunConfig(
    task="glamor/GridWorld-v0",
    agent="GlamorAgent",
    preset="compact",
    settings={"learning_rate": 5e-4},
    policy_kwargs={"encoder": "auto"},
    env_kwargs={},
    seed=3,
    n_envs=2,
    steps=100,
    eval_every=50,
    episodes_per_goal=1,
    commands=["glamor-gym train"],
    versions={"python": "3.12"},
    hardware="2 cores",
)


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path / "run")


def test_nothing_is_made_before_it_is_written(run):
    assert not run.path.exists()
    assert not run.holds_a_run()
    assert not run.holds_a_checkpoint()
    assert run.evaluation() is None
    assert run.metrics().empty


def test_what_was_run_comes_back(run):
    run.write_config(CONFIG)
    assert run.holds_a_run()
    assert run.config() == CONFIG
    assert json.loads((run.path / "config.json").read_text())["seed"] == 3


def test_a_folder_without_a_run_is_told(run):
    with pytest.raises(ValueError, match="holds no run"):
        run.config()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", "many"),
        ("steps", 0),
        ("n_envs", 1.5),
        ("n_envs", 0),
        ("eval_every", 0),
        ("episodes_per_goal", 0),
        ("seed", -1),
        ("task", None),
        ("settings", []),
        ("commands", "x"),
        ("train_seconds", "x"),
        ("unknown", 1),
    ],
)
def test_a_configuration_of_other_kinds_is_told(run, field, value):
    run.write_config(CONFIG)
    told = json.loads(run.config_file.read_text())
    run.config_file.write_text(json.dumps(told | {field: value}))
    with pytest.raises(ValueError, match=rf"config\.json is damaged: .*{field}"):
        run.config()


def test_a_link_that_leads_out_of_the_folder_is_refused(run, tmp_path):
    run.write_config(CONFIG)
    (tmp_path / "elsewhere").mkdir()
    (run.path / "checkpoint").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="a link that leads out of it"):
        run.config()


def test_a_link_that_leads_to_itself_is_no_agent(run):
    run.write_config(CONFIG)
    run.agent_file.parent.mkdir()
    run.agent_file.symlink_to(run.agent_file)
    assert run.config() == CONFIG
    assert not run.agent_file.is_file()


def test_a_folder_that_is_a_link_itself_is_read(run, tmp_path):
    run.write_config(CONFIG)
    (tmp_path / "link").symlink_to(run.path)
    assert RunFolder(tmp_path / "link").config() == CONFIG


@pytest.mark.parametrize("text", ["{", '{"task": "a"}', "[1]", "[" * 10**5, "{}" + " " * 2**20])
def test_a_damaged_configuration_is_told(run, text):
    run.write_config(CONFIG)
    run.config_file.write_text(text)
    with pytest.raises(ValueError, match=r"config\.json is damaged"):
        run.config()


@pytest.mark.parametrize(
    "content", [b"", b'step,"a\n1', b"\xff\xfe\0", b"a,b\n1,2\n", b"step\n1\nx\n"]
)
def test_a_damaged_table_is_told(run, content):
    run.path.mkdir(parents=True, exist_ok=True)
    run.metrics_file.write_bytes(content)
    with pytest.raises(ValueError, match=r"metrics\.csv is damaged"):
        run.metrics()


def test_a_row_cut_short_by_the_end_of_a_process_is_left_out(run):
    run.path.mkdir(parents=True)
    run.metrics_file.write_text("step,a\n10000,1\n2000")
    assert run.metrics()["step"].tolist() == [10_000]
    assert "10000,1" in run.metrics_file.read_text()


def test_the_logger_writes_the_table_and_for_tensorboard(run):
    logger = run.logger()
    logger.record("eval/success_rate", 0.5)
    logger.dump(100)
    logger.close()
    assert run.metrics().to_dict("records") == [{"step": 100, "eval/success_rate": 0.5}]
    assert list(run.path.glob("events.out.tfevents*"))


def test_the_last_evaluation_is_kept(run):
    result = evaluate(Walker(), "GridWorld", goals="all", record=0)
    run.save_evaluation(dataclasses.replace(result, success_rate=0.0))
    run.save_evaluation(result)
    assert run.evaluation() == result


def test_another_librarys_agent_is_not_lost_by_a_write_that_fails(run):
    class Agent:
        content, fails = b"whole", False

        def save(self, stream):
            stream.write(self.content)
            if self.fails:
                raise KeyboardInterrupt

    agent = Agent()
    run.save_agent(agent)
    agent.content, agent.fails = b"ha", True
    with pytest.raises(KeyboardInterrupt):
        run.save_agent(agent)
    assert run.library_agent_file.read_bytes() == b"whole"
