"""Updates: from recorded episodes alone, as many as are asked for, and beside the steps."""

from __future__ import annotations

import copy
import threading
import time

import numpy as np
import pytest
import torch
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import configure

from glamor_gym.agents import DiscernAgent, GCSLAgent, GlamorAgent
from tests.agents.sameness import assert_same_agents
from tests.agents.small_agents import GRID, SMALL, make_agent, make_grid

SMALLER = {name: SMALL[name] for name in ("batch_size", "buffer_size", "device", "seed")}


def record(replay, n_episodes=12):
    """Store episodes of random play, without STOP."""
    env = make_grid()
    rng = np.random.default_rng(0)
    for number in range(n_episodes):
        moments, actions, over = [env.reset(seed=number)[0]], [], False
        while not over:
            actions.append(int(rng.integers(env.unwrapped.stop_action)))
            observation, _, terminated, truncated, _ = env.step(actions[-1])
            moments.append(observation)
            over = terminated or truncated
        stacked = {key: np.stack([moment[key] for moment in moments]) for key in moments[0]}
        replay.add_episode(stacked, np.array(actions))


def weights(agent):
    return copy.deepcopy(agent.policy.state_dict())


@pytest.mark.parametrize("agent_class", [GlamorAgent, GCSLAgent, DiscernAgent])
def test_every_agent_learns_from_recorded_episodes(agent_class):
    agent = agent_class(make_grid(), **SMALLER)
    record(agent.replay_buffer)
    before = weights(agent)
    assert agent.learn_offline(3) is agent
    assert (agent._n_updates, agent.num_timesteps) == (3, 0)
    assert any(not torch.equal(value, before[name]) for name, value in weights(agent).items())


def test_the_actions_that_lead_to_a_goal_are_learnt_without_playing():
    agent = make_agent(learning_rate=3e-3, batch_size=100)
    record(agent.replay_buffer, 100)
    agent.learn_offline(250, log_interval=None)
    with torch.no_grad():
        inverse, prior = agent._losses(agent.replay_buffer.sample(500))
    assert inverse < prior - 0.1  # the goal tells of the actions


def test_the_learning_rate_takes_its_schedule_and_updates_are_logged(tmp_path):
    agent = make_agent(lr_schedule="cosine", learning_rate=0.01)
    record(agent.replay_buffer)
    agent.set_logger(configure(str(tmp_path), ["csv"]))
    agent.learn_offline(10, log_interval=4)
    names, *rows = (tmp_path / "progress.csv").read_text().splitlines()
    rates = [float(row.split(",")[names.split(",").index("train/learning_rate")]) for row in rows]
    assert rates == pytest.approx(
        [agent.settings.scheduled_learning_rate(left) for left in (0.7, 0.3)]
    )
    counts = [row.split(",")[names.split(",").index("train/n_updates")] for row in rows]
    assert counts == ["4", "8"]


def test_train_makes_as_many_updates_as_it_is_asked_for():
    one, other = make_agent(), make_agent()
    for agent in (one, other):
        record(agent.replay_buffer)
    one.train(5, 16)
    other.train(2, 16)
    other.train(3, 16)
    assert one._n_updates == other._n_updates == 5
    for name, value in weights(one).items():
        torch.testing.assert_close(value, other.policy.state_dict()[name])


def test_updates_on_a_thread_of_their_own_come_to_the_same():
    plain, threaded = make_agent(), make_agent()
    threaded.overlap = True
    for agent in (plain, threaded):
        record(agent.replay_buffer)
        agent.learn_offline(5, log_interval=2)
    for name, value in weights(plain).items():
        torch.testing.assert_close(value, threaded.policy.state_dict()[name], rtol=0, atol=0)


@pytest.mark.parametrize("reset", [True, False])
def test_updates_of_ones_own_are_not_among_those_that_fall_due_later(reset):
    agent = make_agent()  # one update falls due every 4 steps, after the first 60
    record(agent.replay_buffer)
    agent.learn_offline(7)
    agent.learn(100, reset_num_timesteps=reset)
    assert agent._n_updates == 7 + 10
    agent.train(2, 32)
    agent.learn(20, reset_num_timesteps=False)
    assert agent._n_updates == 7 + 10 + 2 + 5


def test_what_cannot_be_learnt_from_is_refused():
    agent = make_agent()
    with pytest.raises(ValueError, match="replay_buffer is empty: fill it by load_replay_buffer"):
        agent.learn_offline(10)
    with pytest.raises(ValueError, match="n_updates must be an integer ≥ 1, got 0"):
        agent.learn_offline(0)
    with pytest.raises(ValueError, match="gradient_steps must be an integer ≥ 1, got 0"):
        agent.train(0, 32)
    with pytest.raises(ValueError, match="nothing to sample"):
        agent.train(1, 32)
    assert agent._n_updates == 0


def train(overlap, image_shift=0):
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
    return train(True)


def test_updates_beside_the_steps_come_to_the_same_agent(overlapped):
    plain, twin, overlapping = train(False), train(True), overlapped
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
