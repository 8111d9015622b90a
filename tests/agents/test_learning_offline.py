"""Learning from recorded episodes alone."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from stable_baselines3.common.logger import configure

from glamor_gym.agents import DiscernAgent, GCSLAgent, GlamorAgent
from tests.agents.small_agents import SMALL, make_agent, make_grid

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
