"""Updates beside the steps: the same learning, on another thread."""

import copy
import threading
import time
from concurrent.futures import Future
from unittest.mock import Mock

import pytest
import torch
from stable_baselines3.common.env_util import make_vec_env

from glamor_gym.agents import GCSLAgent, GlamorAgent
from glamor_gym.agents.background import Background
from tests.agents.sameness import assert_same_agents
from tests.agents.small_agents import GRID, make_agent, make_grid


def test_a_job_is_done_elsewhere_and_its_result_is_there_once():
    background = Background()
    assert background.take() is None
    background.begin(threading.get_ident)
    assert background.take() != threading.get_ident()
    assert background.take() is None


def test_what_a_job_raised_is_raised_where_its_result_is_taken():
    background = Background()
    background.begin(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        background.take()


def test_a_job_outlives_the_interruption_of_its_waiting(monkeypatch):
    background, go_on = Background(), threading.Event()
    background.begin(lambda: go_on.wait(10) and "done")
    with monkeypatch.context() as patch:
        patch.setattr(Future, "result", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            background.take()
    assert background.pending
    go_on.set()
    assert background.take() == "done"
    assert not background.pending


def trained(overlap, image_shift=0):
    env = make_vec_env(GRID, 3, env_kwargs={"goals": "all"})
    agent = make_agent(env, image_shift=image_shift)
    agent.overlap = overlap
    threads = set()
    update = agent.update

    def spied(batch):
        threads.add(threading.get_ident())
        return update(batch)

    agent.update = spied
    agent.learn(280)
    assert threads
    assert (threading.get_ident() in threads) is not overlap
    return agent


@pytest.fixture(scope="module")
def overlapped():
    """An agent whose updates were made beside the steps, for tests that do not train it."""
    return trained(True)


def test_updates_beside_the_steps_come_to_the_same_agent(overlapped):
    plain, twin, overlapping = trained(False), trained(True), overlapped
    assert plain._n_updates == overlapping._n_updates > 50
    for other in (twin, overlapping):
        assert other.policy.state_dict().keys() == plain.policy.state_dict().keys()
        for name, weight in plain.policy.state_dict().items():
            assert torch.equal(weight, other.policy.state_dict()[name]), name
        assert torch.equal(plain.generator.get_state(), other.generator.get_state())


def test_whoever_looks_at_an_agent_or_changes_it_waits_for_the_update_that_is_going_on(overlapped):
    agent = copy.deepcopy(overlapped)
    for look in (
        agent.get_parameters,
        lambda: agent.set_parameters(agent.get_parameters()),
        lambda: agent.set_random_seed(1),
        lambda: copy.deepcopy(agent),
    ):
        done = threading.Event()

        def job(done=done):
            time.sleep(0.2)
            done.set()
            return []

        agent._updates.begin(job)
        look()
        assert done.is_set()


def test_on_a_cpu_they_overlap_only_where_that_is_asked_for():
    assert make_agent().overlap is False


@pytest.mark.gpu
def test_on_a_gpu_they_overlap_unasked_and_come_to_the_same_agent():
    # Sums on a GPU are in no certain order: only a few updates from the same data come out alike.
    agents = [make_agent(device="cuda", data_policy="random") for _ in range(2)]
    assert all(agent.overlap for agent in agents)
    agents[1].overlap = False
    weights = [agent.learn(80).policy.state_dict() for agent in agents]
    assert agents[0]._n_updates == agents[1]._n_updates == 5
    for name, weight in weights[0].items():
        torch.testing.assert_close(weight, weights[1][name], rtol=1e-3, atol=1e-4)


def test_saving_waits_for_the_updates(tmp_path):
    agent = make_agent()
    weight = next(agent.policy.parameters())

    def late():
        time.sleep(0.2)
        with torch.no_grad():
            weight.fill_(7.0)
        return []

    agent._updates.begin(late)
    agent.save(tmp_path / "agent")
    kept = GlamorAgent.load(tmp_path / "agent")
    assert (next(kept.policy.parameters()) == 7.0).all()


def test_a_loss_that_is_no_number_ends_the_run(monkeypatch):
    agent = make_agent()
    agent.overlap = True
    monkeypatch.setattr(agent, "update", lambda batch: {"loss": torch.tensor(float("nan"))})
    with pytest.raises(FloatingPointError, match="loss is nan at update 1 "):
        agent.learn(200)


def test_an_agent_that_looks_at_its_policy_at_every_step_cannot_overlap():
    agent = GCSLAgent(make_grid(), device="cpu")
    agent.overlap = True
    with pytest.raises(ValueError, match="overlap must be False for a GCSLAgent"):
        agent.learn(10)


def test_an_agent_whose_updates_overlapped_can_be_copied():
    agent = make_agent(seed=3)
    agent.overlap = True
    agent.learn(150)
    twin = copy.deepcopy(agent)
    agent.learn(60, reset_num_timesteps=False)
    twin.learn(60, reset_num_timesteps=False)
    assert_same_agents(agent, twin)


def test_a_job_is_not_copied():
    background: Background[int] = Background()
    background.begin(lambda: 3)
    assert copy.copy(background).take() is None
    assert background.take() == 3
