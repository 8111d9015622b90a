"""Whatever happens to an agent while it is isolated, afterwards everything is where it was."""

from __future__ import annotations

import contextlib

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import DQN

from glamor_gym import GlamorAgent, evaluate
from glamor_gym.evaluation.isolation import isolated

ROOM = "glamor/GridWorld-v0"


class Drawing:
    """Has networks, and random numbers of its own."""

    def __init__(self):
        self.policy = torch.nn.Linear(2, 2)
        self.device = torch.device("cpu")
        self.generator = torch.Generator().manual_seed(7)

    def draw(self):
        return torch.rand(3, generator=self.generator, device=self.device).tolist()


def test_its_own_random_numbers_are_untouched_and_those_within_follow_the_seed():
    agent, other = Drawing(), Drawing()
    own = agent.generator
    drawn = []
    for seed in (1, 2**64 + 1, 2):
        with isolated(agent, None, seed):
            drawn.append(agent.draw())
    assert drawn[0] == drawn[1] != drawn[2]
    assert agent.generator is own
    assert agent.draw() == other.draw()


@pytest.mark.parametrize("training", [True, False])
def test_it_comes_back_in_the_mode_in_which_it_went(training):
    agent = Drawing()
    agent.policy.train(training)
    with isolated(agent, "cpu", 0):
        agent.policy.train(not training)
    assert agent.policy.training is training


def test_networks_device_and_generator_come_back_also_from_an_error():
    agent = Drawing()
    own, weights = agent.generator, agent.policy.weight.tolist()
    with contextlib.suppress(KeyError), isolated(agent, "cpu", 0):
        agent.device, agent.generator = torch.device("meta"), None
        raise KeyError
    assert (agent.device, agent.policy.weight.device) == (torch.device("cpu"),) * 2
    assert agent.generator is own
    assert agent.policy.weight.tolist() == weights


@pytest.mark.gpu
def test_networks_on_another_device_come_back():
    agent = Drawing()
    own = agent.generator
    with isolated(agent, "cuda", 0):
        kinds = agent.policy.weight.device, agent.device, agent.generator.device
        assert {device.type for device in kinds} == {"cuda"}
        agent.draw()
    assert {agent.policy.weight.device.type, agent.device.type} == {"cpu"}
    assert agent.generator is own


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_an_evaluation_that_samples_repeats_itself_and_disturbs_nothing(device):
    agent = GlamorAgent(ROOM, seed=0, device="cpu", n_trials=5)
    before = agent.generator.get_state()
    first, again = (
        evaluate(agent, ROOM, device=device, deterministic=False, baselines=False) for _ in range(2)
    )
    assert first.mean_length == again.mean_length
    assert torch.equal(agent.generator.get_state(), before)
    assert agent.device.type == agent.policy.device.type == "cpu"
    agent.predict(gym.make(ROOM).reset(seed=0)[0])  # it can still draw


def random_states(agent):
    everyones = np.random.get_state()[1].tolist()  # noqa: NPY002
    return everyones, agent.action_space.np_random.bit_generator.state


def test_an_agent_of_another_library_that_explores_repeats_itself_and_disturbs_nothing():
    agent = DQN("MultiInputPolicy", gym.make(ROOM), buffer_size=10, seed=0)
    agent.exploration_rate = 0.5
    before = random_states(agent)
    first, again = (
        evaluate(agent, ROOM, deterministic=False, baselines=False, n_envs=1) for _ in range(2)
    )
    assert first.mean_length == again.mean_length
    assert random_states(agent) == before


def test_an_action_space_that_cannot_be_assigned_is_seeded_and_set_back():
    class Fixed(Drawing):
        space = gym.spaces.Discrete(1000, seed=1)
        action_space = property(lambda self: self.space)

    agent, drawn = Fixed(), []
    state = agent.space.np_random.bit_generator.state
    for seed in (3, 3, 4):
        with isolated(agent, None, seed=seed):
            drawn.append(agent.action_space.sample())
    assert drawn[0] == drawn[1] != drawn[2]
    assert agent.space.np_random.bit_generator.state == state


def test_numpy_numbers_of_its_own_are_untouched_too():
    agent = Drawing()
    agent.rng = np.random.default_rng(7)
    state = agent.rng.bit_generator.state
    drawn = []
    for _ in range(2):
        with isolated(agent, None, seed=3):
            drawn.append(agent.rng.random())
    assert drawn[0] == drawn[1]
    assert agent.rng.bit_generator.state == state


def test_every_part_comes_back_in_its_own_mode():
    agent = Drawing()
    agent.policy = torch.nn.ModuleList([torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)])
    agent.policy[1].train(mode=False)  # a target beside its network, as DQN of SB3 has it
    with isolated(agent, "cpu", 0):
        agent.policy.train(mode=False)
    assert [part.training for part in agent.policy] == [True, False]
