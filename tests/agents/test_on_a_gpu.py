"""Agents on a pretended GPU: nothing meets what is on another device, and little waits for it."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from glamor_gym.agents import DiscernAgent, GCSLAgent, GlamorAgent
from glamor_gym.experiments.paper.appendix_a1 import ratio_at_one
from glamor_gym.models import recurrence
from tests.agents.pretended_gpu import pretend
from tests.agents.small_agents import GRID

FEW = {"learning_starts": 20, "batch_size": 6, "replay_ratio": 2, "buffer_size": 200}


@pytest.fixture
def gpu(monkeypatch):
    gpu = pretend(monkeypatch)
    with gpu.in_use():
        yield gpu


def make(cls, preset, env=GRID, **changes):
    settings = cls.preset(preset) | FEW | changes
    if "n_trials" in settings:
        settings["n_trials"] = 5
    settings["policy_kwargs"] = settings.get("policy_kwargs", {}) | {"embedding_size": 16}
    return cls(env, **settings, seed=0, device="cuda")


@pytest.mark.parametrize(
    ("cls", "preset"),
    [
        (GlamorAgent, "paper"),
        (GlamorAgent, "compact"),
        (GlamorAgent, "compact-control"),
        (GCSLAgent, "paper"),
        (DiscernAgent, "paper"),
    ],
)
def test_agents_learn_act_and_are_kept_there(gpu, tmp_path, cls, preset):
    agent = make(cls, preset, exploration_final_eps=0.1)
    assert {p.device.type for p in agent.policy.parameters()} == {"cuda"}
    agent.learn(30, log_interval=1)
    agent.finish_updates()
    assert agent._n_updates > 0

    agent.save(tmp_path / "agent")
    observation = agent.env.reset()
    loaded = cls.load(tmp_path / "agent", device="cpu")
    mine, its = (each.predict(observation, deterministic=True)[0] for each in (agent, loaded))
    assert mine.tolist() == its.tolist()
    agent.save_checkpoint(tmp_path / "checkpoint")
    cls.load_checkpoint(tmp_path / "checkpoint", GRID, device="cuda").learn(
        2, reset_num_timesteps=False
    )


@pytest.mark.parametrize("preset", ["paper", "compact", "compact-control"])
def test_updates_wait_for_it_once_all_together(gpu, preset):
    agent = make(GlamorAgent, preset)
    assert agent.overlap
    agent.learn(30)
    agent.finish_updates()
    gpu.waits.clear()
    batches = [agent.replay_buffer.sample(6, agent.device) for _ in range(3)]
    assert not gpu.waits
    agent._make_updates([1, 2, 3], batches)
    assert gpu.waits == Counter(tolist=1)


@pytest.mark.parametrize(("preset", "looks"), [("paper", {"nonzero": 1}), ("compact", {})])
def test_it_is_waited_for_only_to_read_an_action(gpu, preset, looks):
    """And, by the planner that does without kernels, once in 16 slots to drop what has ended."""
    agent = make(GlamorAgent, preset)
    agent.learn(30)
    agent.finish_updates()
    observation = agent.env.reset()
    gpu.waits.clear()
    agent.predict(observation)
    assert gpu.waits.pop("cpu") <= 2  # tokens and score: the second is there when the first is
    assert gpu.waits == Counter(looks)


def test_what_is_computed_for_the_papers_proof_is_computed_there(gpu):
    agent = make(GlamorAgent, "small", env="glamor/Dice-v0")
    with torch.backends.mkldnn.flags(enabled=False):  # of real CPUs
        assert ratio_at_one(agent) > 0


def test_the_recurrence_is_that_of_the_library(gpu, monkeypatch):
    agent = make(GlamorAgent, "paper")
    monkeypatch.setattr(recurrence, "lstm_packed", None)
    agent.learn(30)
    agent.finish_updates()
    assert agent._n_updates > 0
