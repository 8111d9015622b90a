"""DISCERN: rewards, targets, importance and goals, each on its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from glamor_gym.agents import DiscernAgent, DiscernSettings
from glamor_gym.models.categorical import expectation
from glamor_gym.types import Trajectory
from tests.agents.small_agents import make_grid, observations


def make(**changes) -> DiscernAgent:
    arguments = {
        "learning_starts": 60,
        "batch_size": 16,
        "replay_ratio": 4.0,
        "buffer_size": 2_000,
        "goal_buffer_size": 8,
        "exploration_steps": 100,
        "policy_kwargs": {"embedding_size": 32},
        "seed": 0,
        "device": "cpu",
    }
    return DiscernAgent(make_grid(), **{**arguments, **changes})


@pytest.fixture(scope="module")
def trained() -> DiscernAgent:
    return make().learn(400)


def test_the_defaults_are_those_of_rainbow_as_the_paper_built_on_it():
    published = {
        "learning_rate": 6.25e-5,
        "batch_size": 128,
        "gamma": 0.99,
        "max_grad_norm": 10,
        "target_update_interval": 312,
        "replay_ratio": 8,
        "buffer_size": 1_000_000,
        "learning_starts": 50_000,
        "exploration_final_eps": 0.01,
        "exploration_steps": 1_000_000,
        "evaluation_eps": 0.001,
        "n_steps": 3,
        "priority_exponent": 0.6,
        "importance_exponent": 0.4,
        "weight_decay": 0.0,
    }
    settings = DiscernSettings().as_dict()
    assert {name: settings[name] for name in published} == published
    agent = make()
    assert agent.policy.optimizer.defaults["eps"] == 0.01 / 128
    assert agent.policy.model.q.n_atoms == 51


def embedded(agent: DiscernAgent, frames: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return agent.policy.model.q.embed_goal(frames)


def test_it_is_paid_for_likeness_at_the_end_and_fully_where_relabelled(trained):
    batch = trained.replay_buffer.sample(64)
    reward = trained.rewards(batch, embedded(trained, batch.goal))
    with torch.no_grad():
        xi_achieved, xi_goal = (trained.policy.model.xi(x) for x in (batch.achieved, batch.goal))
    likeness = torch.nn.functional.cosine_similarity(xi_achieved, xi_goal).clamp(min=0)
    ends, own = batch.steps_to_end <= 3, ~batch.relabelled
    assert all(rows.any() for rows in (ends & own, ends & ~own, ~ends & own, ~ends & ~own))
    torch.testing.assert_close(reward[ends & own], likeness[ends & own])
    assert (reward[ends & ~own] == 1).all()
    assert (reward[~ends] == 0).all()
    there = replace(batch, achieved=batch.goal, relabelled=torch.zeros_like(batch.relabelled))
    paid = trained.rewards(there, embedded(trained, batch.goal))[ends]
    assert paid.numpy() == pytest.approx(np.ones(len(paid)), abs=1e-5)


def test_where_no_episode_ends_soon_nothing_is_paid(trained):
    batch = trained.replay_buffer.sample(16)
    before = replace(batch, steps_to_end=torch.full((16,), 4))
    assert not trained.rewards(before, embedded(trained, batch.goal)).any()


def test_targets_discount_the_one_reward_or_the_value_to_come(trained):
    batch = trained.replay_buffer.sample(64)
    gamma = trained.settings.gamma
    ends = batch.steps_to_end <= 3
    reward = torch.where(ends, 0.8, 0.0)
    mean = expectation(trained.targets(batch, embedded(trained, batch.goal), reward).log())
    assert ends.any()
    assert (~ends).any()
    paid = 0.8 * gamma ** (batch.steps_to_end - 1)
    torch.testing.assert_close(mean[ends], paid[ends].float(), atol=1e-5, rtol=0)
    with torch.no_grad():
        following = (batch.next_observation, batch.goal, batch.next_steps_left)
        best = expectation(trained.policy.model.q(*following)).argmax(-1)
        values = expectation(trained.policy.model.target(*following))
    bootstrapped = gamma**3 * values[torch.arange(64), best]
    torch.testing.assert_close(mean[~ends], bootstrapped[~ends], atol=1e-4, rtol=0)


def test_the_action_that_a_target_is_of_is_not_chosen_in_bfloat16(monkeypatch):
    agent = make(precision="bfloat16").learn(80)
    batch = agent.replay_buffer.sample(16)
    seen = []

    def spy(log_probs):
        seen.append(expectation(log_probs).dtype)
        return expectation(log_probs)

    monkeypatch.setattr("glamor_gym.agents.discern.expectation", spy)
    agent.targets(batch, embedded(agent, batch.goal), torch.ones(16))
    assert seen == [torch.float32]


def test_a_loss_that_is_no_number_is_told_of():
    agent = make().learn(80)
    with torch.no_grad():
        next(agent.policy.model.q.parameters()).fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="q_loss is nan"):
        agent.learn(20, reset_num_timesteps=False)


def test_rare_steps_weigh_as_much_as_common_ones_in_the_end():
    agent = make().learn(80)
    probability = torch.tensor([0.1, 0.2, 0.4], dtype=torch.float64)
    agent._current_progress_remaining = 1.0
    assert agent._importance(probability).numpy() == pytest.approx([1, 2**-0.4, 4**-0.4])
    agent._current_progress_remaining = 0.0
    assert agent._importance(probability).numpy() == pytest.approx([1, 1 / 2, 1 / 4])


def test_rare_steps_weigh_more_in_the_loss(monkeypatch):
    agent = make().learn(80)
    monkeypatch.setattr(agent, "_descend", torch.Tensor.detach)  # it stays as it is
    agent._current_progress_remaining = 0.0
    batch = agent.replay_buffer.sample(4)

    def loss(*probability):
        probability = torch.tensor(probability, dtype=torch.float64)
        return float(agent.update(replace(batch, probability=probability))["q_loss"])

    # Beside one step that is very rare, the others hardly count.
    alone = [loss(*(1e-9 if row == rare else 1.0 for row in range(4))) for rare in range(4)]
    assert sum(alone) == pytest.approx(loss(0.5, 0.5, 0.5, 0.5), rel=1e-4)


def test_a_step_that_is_predicted_as_it_is_has_no_priority_left(monkeypatch):
    agent = make().learn(80)
    batch = agent.replay_buffer.sample(16)
    with torch.no_grad():
        log_probs = agent.policy.model.q(batch.observation, batch.goal, batch.steps_left)
    predicted = log_probs[torch.arange(16), batch.action].exp()
    certain = torch.eye(51)[[0] * 16]
    errors = []
    monkeypatch.setattr(agent.replay_buffer, "set_errors", lambda _, each: errors.append(each))
    monkeypatch.setattr(agent, "_descend", torch.Tensor.detach)
    for target in (predicted, certain):
        monkeypatch.setattr(agent, "targets", lambda *_, target=target: target)
        agent.update(batch)
    assert errors[0] == pytest.approx(np.zeros(16), abs=1e-5)
    assert errors[1] == pytest.approx(-predicted[:, 0].log().numpy(), rel=1e-4)


def test_the_reward_that_is_logged_is_that_of_goals_that_were_pursued():
    agent = make().learn(80)
    batch = agent.replay_buffer.sample(64)
    reward = agent.rewards(batch, embedded(agent, batch.goal))
    judged = (batch.steps_to_end <= 3) & ~batch.relabelled
    assert judged.any()
    assert float(agent.update(batch)["reward"]) == pytest.approx(float(reward[judged].mean()))


def test_the_discriminator_learns_to_tell_goals_apart():
    agent = make(learning_rate=1e-2, relabelled_share=1.0)
    agent.learn(60)
    cells = torch.eye(49)
    before = agent.discriminator_loss(_pairs(cells))
    for _ in range(60):
        agent._descend(agent.discriminator_loss(_pairs(cells)))
    assert agent.discriminator_loss(_pairs(cells)) < 0.5 * before


def _pairs(frames):
    from glamor_gym.replay.discern_replay import GoalPairs

    return GoalPairs(achieved=frames, goal=frames)


def test_it_sets_itself_goals_among_the_frames_it_achieved(trained):
    state = trained.replay_buffer.state()
    achieved = {int(cell) for cell in state["achieved"].argmax(-1)}
    goals = state["goals"].argmax(-1)
    assert len(trained.replay_buffer.goals) == 8
    assert set(goals[1:].tolist()) <= achieved
    theirs = make(goal_buffer_size=0).learn(120)
    assert not len(theirs.replay_buffer.goals)
    assert len(theirs.replay_buffer.state()["goals"]) == 12


def test_goals_are_frames_that_were_reached_not_where_an_episode_began(monkeypatch):
    agent = make()
    agent._setup_learn(100)
    offered = []
    monkeypatch.setattr(
        agent.replay_buffer.goals, "offer", lambda frame, rng: offered.append(int(frame.argmax()))
    )
    frames = np.eye(49, dtype=np.float32)[[7, 8, 9]]
    for _ in range(40):
        agent._store_episode(0, Trajectory(frames, np.array([0, 1]), observations=frames))
    assert set(offered) == {8, 9}


def test_a_pair_is_learned_from_as_often_as_a_transition():
    """An episode of T = 10 steps has ten transitions but one pair of a goal and an outcome."""
    agent = make()
    drawn = []
    sample_pairs = agent.replay_buffer.sample_pairs
    agent.replay_buffer.sample_pairs = lambda n, *a: drawn.append(n) or sample_pairs(n, *a)
    agent.learn(400)
    assert agent.horizon == 10
    assert agent._n_updates == 85
    assert drawn == [16] * 9  # the first update's, and every tenth's after it
    agent._n_updates = 90
    agent.update(agent.replay_buffer.sample(5))
    assert drawn[-1] == 5  # as many as the batch has transitions


def test_no_decoy_is_the_rows_own_goal(monkeypatch):
    agent = make(n_decoys=3)
    seen = []
    monkeypatch.setattr(
        "glamor_gym.agents.discern.decoy_loss",
        lambda achieved, goals, decoys: seen.append(decoys) or torch.zeros(()),
    )
    for n_pairs in (2, 4, 16):
        agent.discriminator_loss(_pairs(torch.eye(49)[:n_pairs]))
        assert seen[-1].shape == (n_pairs, min(3, n_pairs - 1))
        for row, decoys in enumerate(seen[-1].tolist()):
            assert len({row, *decoys}) == 1 + len(decoys)


def test_while_collecting_it_acts_towards_its_own_goal(trained):
    asked = []
    own_act = trained.act
    trained.act = lambda batch, *a, **k: (
        asked.append(batch["desired_goal"].copy()) or own_act(batch, *a, **k)
    )
    try:
        trained.learn(20, reset_num_timesteps=False)
    finally:
        del trained.act
    goals = trained.replay_buffer.state()["goals"][-2:]
    assert (asked[-1][0] == goals[-1]).all()


def test_now_and_then_it_acts_at_random_unless_deterministic():
    agent = make(evaluation_eps=0.4)
    batch = {key: np.repeat(value, 400, axis=0) for key, value in observations(1).items()}
    (best,) = set(agent.predict(batch, deterministic=True)[0])
    actions = agent.predict(batch)[0]
    assert set(actions) == {0, 1, 2, 3}
    # Three in four of the random actions are others than the best; each row draws for itself.
    assert (actions != best).mean() == pytest.approx(0.3, abs=0.1)


def test_the_target_is_copied_at_its_interval():
    agent = make(target_update_interval=5)
    agent.learn(60 + 5 * 4 - 4)  # four updates
    q, target = agent.policy.model.q, agent.policy.model.target
    assert agent._n_updates == 4
    assert not torch.equal(q.value.bias, target.value.bias)
    agent.learn(4, reset_num_timesteps=False)
    assert agent._n_updates == 5
    assert torch.equal(q.value.bias, target.value.bias)


def test_a_replay_has_room_for_an_episode_and_its_goal():
    assert make(buffer_size=12).learn(30).replay_buffer.n_trajectories == 1
    with pytest.raises(ValueError, match=r"buffer_size must be at least 12, .* and its goal"):
        make(buffer_size=11)


def test_a_value_of_a_single_atom_is_refused():
    with pytest.raises(ValueError, match="n_atoms must be an integer from 2 to 8192, got 1"):
        make(policy_kwargs={"embedding_size": 32, "n_atoms": 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gamma", 0.0),
        ("evaluation_eps", 1.5),
        ("n_steps", 0),
        ("target_update_interval", 0),
        ("priority_exponent", -0.1),
        ("importance_exponent", 2.0),
        ("n_decoys", 0),
        ("relabelled_share", -0.5),
        ("goal_buffer_size", -1),
    ],
)
def test_what_is_out_of_range_is_named_with_what_is_allowed(name, value):
    with pytest.raises(ValueError, match=f"{name} must be") as caught:
        DiscernSettings(**{name: value})
    assert repr(value) in str(caught.value)
