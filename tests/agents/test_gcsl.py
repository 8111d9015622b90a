"""GCSL: what is its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glamor_gym.agents import GCSLAgent, GCSLSettings
from glamor_gym.models.timed import time_features
from glamor_gym.types import SegmentBatch
from tests.agents.small_agents import make_grid, observations


def make(**changes) -> GCSLAgent:
    arguments = {
        "learning_starts": 50,
        "batch_size": 16,
        "buffer_size": 2_000,
        "policy_kwargs": {"embedding_size": 32},
        "seed": 0,
        "device": "cpu",
    }
    return GCSLAgent(make_grid(), **{**arguments, **changes})


def test_the_time_left_is_a_point_on_a_circle():
    features = time_features(torch.tensor([0, 1, 2, 4]), 4)
    expected = [[0, 1], [1, 0], [0, -1], [0, 1]]
    assert features.numpy() == pytest.approx(np.array(expected), abs=1e-6)


def test_it_clones_the_first_action_towards_the_goal_in_the_time_it_took():
    agent = make()
    batch = SegmentBatch(
        observation=torch.rand(2, 49),
        goal=torch.rand(2, 49),
        tokens=torch.tensor([[3, 1, 0, 4], [2, 4, 5, 5]]),  # three actions and STOP; one and STOP
        length=torch.tensor([4, 2]),
    )
    with torch.no_grad():
        logits = agent.policy.model(batch.observation, batch.goal, torch.tensor([3, 1]))
    by_hand = -logits.log_softmax(-1)[[0, 1], [3, 2]].mean()
    assert agent.update(batch)["cloning_loss"] == pytest.approx(float(by_hand), rel=1e-5)


def test_it_never_stops_and_needs_no_stop_to_be_judged():
    agent = make().learn(200)
    env = make_grid()
    for _ in range(3):
        observation, _ = env.reset()
        state, steps, over = None, 0, False
        while not over:
            action, state = agent.predict(observation, state)
            observation, _, terminated, truncated, _ = env.step(action)
            steps, over = steps + 1, terminated or truncated
        assert (steps, terminated, truncated) == (10, False, True)


def test_actions_are_drawn_from_the_policy_or_the_most_likely_is_taken():
    agent = make()
    batch = {key: np.repeat(value, 2_000, axis=0) for key, value in observations(1).items()}
    probs = agent.policy.logits(batch, np.full(2_000, 10))[0].softmax(-1).numpy()
    actions, _ = agent.predict(batch)
    shares = np.bincount(actions, minlength=4) / len(actions)
    assert shares == pytest.approx(probs, abs=0.05)
    assert set(agent.predict(batch, deterministic=True)[0]) == {probs.argmax()}


def test_where_no_clock_is_shown_the_steps_are_counted():
    agent = make()
    del agent.observation_space.spaces["steps_left"]
    seen = []
    agent.act = lambda batch, steps_left, deterministic: seen.append(steps_left) or np.zeros(2, int)
    state, batch = None, observations(2)
    for start in ([True, True], [False, False], [True, False]):
        _, state = agent.predict(batch, state, np.array(start))
    assert [left.tolist() for left in seen] == [[10, 10], [9, 9], [10, 8]]


def test_with_random_data_nothing_is_asked_of_the_policy():
    agent = make(data_policy="random")
    agent.act = lambda *args, **kwargs: pytest.fail("asked")
    agent.learn(100)
    assert agent._n_updates > 0


def test_pictures_are_shifted_as_far_as_asked(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "glamor_gym.agents.gcsl.shift_together",
        lambda observation, goal, pixels, _: seen.append(pixels) or (observation, goal),
    )
    make(image_shift=3).learn(100)
    assert set(seen) == {3}


def test_what_is_out_of_range_is_named():
    with pytest.raises(ValueError, match="data_policy must be one of"):
        GCSLSettings(data_policy="open_loop")
