"""Durations and the actions given them: probabilities that sum to one, and who learns from what."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from gymnasium import spaces

from glamor_gym.models import DurationModel

N_ACTIONS, STOP, HORIZON = 2, 2, 3


def make_model(duration_gradient: float = 0.0, first_action_weight: float = 0.0) -> DurationModel:
    torch.manual_seed(0)
    box = spaces.Box(0, 1, (4,), np.float32)
    return DurationModel(
        spaces.Dict(observation=box, achieved_goal=box),
        N_ACTIONS,
        HORIZON,
        embedding_size=16,
        hidden_size=8,
        token_size=8,
        duration_gradient=duration_gradient,
        first_action_weight=first_action_weight,
    )


@torch.no_grad()
def test_the_probabilities_of_all_plans_sum_to_one():
    model = make_model()
    observation, goal = torch.rand(1, 4), torch.rand(1, 4)
    total = torch.zeros(2)
    for k in range(HORIZON + 1):
        for actions in itertools.product(range(N_ACTIONS), repeat=k):
            tokens, length = torch.tensor([[*actions, STOP]]), torch.tensor([k + 1])
            of_actions, of_duration = model.plan_log_probs(observation, goal, tokens, length)
            assert of_actions.shape == (2, k)
            total += (of_actions.sum(dim=1) + of_duration[:, 0]).exp()
    torch.testing.assert_close(total, torch.ones(2))


def test_a_batch_gives_what_its_sequences_give_alone():
    model = make_model()
    observation, goal = torch.rand(4, 4), torch.rand(4, 4)
    tokens = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 3], [1, 2, 3, 3], [2, 3, 3, 3]])
    length = torch.tensor([4, 3, 2, 1])
    of_actions, of_durations = model.plan_log_probs(observation, goal, tokens, length)
    row = (torch.arange(3)[:, None] < length - 1).nonzero()[:, 1]
    for index in range(4):
        here = slice(index, index + 1)
        alone = model.plan_log_probs(
            observation[here], goal[here], tokens[here, : length[index]], length[here]
        )
        torch.testing.assert_close(of_actions[:, row == index], alone[0])
        torch.testing.assert_close(of_durations[:, here], alone[1])


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_only_a_share_of_the_durations_gradient_reaches_the_encoders(share):
    """With k = 0 throughout, durations are all there is to learn."""
    tokens, length = torch.full((3, 1), STOP), torch.ones(3, dtype=torch.long)
    torch.manual_seed(1)
    observation, goal = torch.rand(3, 4), torch.rand(3, 4)

    def gradient(of: float) -> torch.Tensor:
        model = make_model(of)
        sum(model.losses(observation, goal, tokens, length)).backward()
        assert model.duration[0].weight.grad.abs().sum() > 0
        return model.goal_encoder[2][0].weight.grad

    torch.testing.assert_close(gradient(share), share * gradient(1.0))


def test_the_prior_sees_neither_goal_nor_its_effects():
    model = make_model()
    observation = torch.rand(2, 4)
    tokens, length = torch.tensor([[0, 1, STOP]] * 2), torch.tensor([3, 3])
    first = model.plan_log_probs(observation, torch.rand(2, 4), tokens, length)
    second = model.plan_log_probs(observation, torch.rand(2, 4), tokens, length)
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one[1], other[1])
        assert not torch.allclose(one[0], other[0])


def test_losses_are_means_over_actions_and_over_durations():
    model = make_model()
    observation, goal = torch.rand(2, 4), torch.rand(2, 4)
    tokens, length = torch.tensor([[0, 1, STOP], [STOP, 3, 3]]), torch.tensor([3, 1])
    of_actions, of_durations = model.plan_log_probs(observation, goal, tokens, length)
    losses = model.losses(observation, goal, tokens, length)
    expected = -(of_actions.sum(dim=1) / 2 + of_durations.sum(dim=1) / 2)
    torch.testing.assert_close(torch.stack(losses), expected)


def test_the_loss_of_a_single_action_is_its_own():
    model = make_model()
    observation, goal = torch.rand(2, 4), torch.rand(2, 4)
    tokens, length = torch.tensor([[1, STOP], [STOP, 3]]), torch.tensor([2, 1])
    of_actions, of_durations = model.plan_log_probs(observation, goal, tokens, length)
    losses = torch.stack(model.losses(observation, goal, tokens, length))
    torch.testing.assert_close(losses, -(of_actions[:, 0] + of_durations.mean(dim=1)))


def test_first_actions_count_once_more_by_their_weight():
    plain, weighted = make_model(), make_model(first_action_weight=0.5)  # the same first weights
    observation, goal = torch.rand(3, 4), torch.rand(3, 4)
    tokens = torch.tensor([[0, 1, STOP], [1, STOP, 3], [STOP, 3, 3]])
    length = torch.tensor([3, 2, 1])
    of_actions, _ = plain.plan_log_probs(observation, goal, tokens, length)
    first = -of_actions[:, :2].mean(dim=1)  # of the two plans that have one
    without = torch.stack(plain.losses(observation, goal, tokens, length))
    with_it = torch.stack(weighted.losses(observation, goal, tokens, length))
    torch.testing.assert_close(with_it, without + 0.5 * first)


def test_a_batch_without_actions_has_a_loss_of_durations_alone():
    tokens, length = torch.full((2, 1), STOP), torch.ones(2, dtype=torch.long)
    observation, goal = torch.rand(2, 4), torch.rand(2, 4)
    for weight in (0.0, 1.0):
        model = make_model(first_action_weight=weight)
        _, of_durations = model.plan_log_probs(observation, goal, tokens, length)
        losses = torch.stack(model.losses(observation, goal, tokens, length))
        torch.testing.assert_close(losses, -of_durations.mean(dim=1))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("horizon", 0),
        ("duration_gradient", -0.1),
        ("duration_gradient", 2.0),
        ("first_action_weight", -1.0),
        ("first_action_weight", float("nan")),
    ],
)
def test_settings_out_of_range_are_named(name, value):
    box = spaces.Box(0, 1, (4,), np.float32)
    space = spaces.Dict(observation=box, achieved_goal=box)
    with pytest.raises(ValueError, match=name):
        DurationModel(space, N_ACTIONS, **{"horizon": HORIZON, name: value})
