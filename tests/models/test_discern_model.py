"""DISCERN's networks: shapes, who gets gradients, and the decoy loss by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from gymnasium import spaces

from glamor_gym.models.cloning import CloningModel
from glamor_gym.models.discern import DiscernModel, QNetwork, decoy_loss

BOX = spaces.Box(0, 1, (6,), np.float32)
SPACE = spaces.Dict(observation=BOX, achieved_goal=BOX, desired_goal=BOX)


def make_model() -> DiscernModel:
    torch.manual_seed(0)
    return DiscernModel(SPACE, 3, 10, n_atoms=5, embedding_size=16, discriminator_size=8)


def test_values_are_distributions_for_each_action():
    log_probs = make_model().q(torch.rand(4, 6), torch.rand(4, 6), torch.tensor([1, 2, 9, 10]))
    assert log_probs.shape == (4, 3, 5)
    assert log_probs.exp().sum(-1).detach().numpy() == pytest.approx(np.ones((4, 3)), abs=1e-5)


def test_a_dueling_network_does_not_see_an_advantage_that_all_actions_share():
    q = QNetwork(SPACE, 3, 10, n_atoms=5, embedding_size=16)
    inputs = (torch.rand(4, 6), torch.rand(4, 6), torch.tensor([1, 2, 9, 10]))
    before = q(*inputs)
    with torch.no_grad():
        # One for each atom, and not the same for all atoms: a softmax would hide that in any case.
        q.advantage.bias += torch.arange(5.0).repeat(3)
    torch.testing.assert_close(q(*inputs), before)


def test_actions_that_differ_by_little_do_not_tie_where_encoders_run_in_bfloat16():
    q = QNetwork(SPACE, 3, 10, n_atoms=2, embedding_size=16)
    cloning = CloningModel(SPACE, 3, 10, embedding_size=16)
    close = torch.tensor([8.001, 8.002, 8.003])  # one number in bfloat16
    with torch.no_grad():
        for head in (q.value, q.advantage, cloning.head):
            head.weight.zero_()
        q.value.bias.zero_()
        q.advantage.bias.copy_(torch.stack((close, torch.zeros(3)), dim=1).flatten())
        cloning.head.bias.copy_(close)
        inputs = (torch.rand(1, 6), torch.rand(1, 6), torch.tensor([5]))
        with torch.autocast("cpu", torch.bfloat16):
            log_probs, logits = q(*inputs), cloning(*inputs)
    assert logits.dtype == log_probs.dtype == torch.float32
    torch.testing.assert_close(logits[0], close)
    gaps = log_probs[0, :, 0] - log_probs[0, :, 1]
    torch.testing.assert_close(gaps - gaps.mean(), close - close.mean(), atol=1e-5, rtol=0)


def test_the_discriminator_leaves_the_encoder_and_the_target_alone():
    model = make_model()
    xi = model.xi(torch.rand(4, 6))
    assert xi.norm(dim=-1).detach().numpy() == pytest.approx(np.ones(4), abs=1e-5)
    decoy_loss(xi, xi, torch.tensor([[1], [2], [3], [0]])).backward()
    touched = {name for name, weight in model.named_parameters() if weight.grad is not None}
    assert touched == {"discriminator.layer.weight", "discriminator.layer.bias"}
    assert not any(weight.requires_grad for weight in model.target.parameters())


def test_the_target_follows_only_when_it_is_copied():
    model = make_model()
    with torch.no_grad():
        model.q.value.bias += 1
    assert not torch.equal(model.q.value.bias, model.target.value.bias)
    model.copy_to_target()
    assert torch.equal(model.q.value.bias, model.target.value.bias)


def test_the_decoy_loss_by_hand():
    achieved = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    goals = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    # K = 1, so β = 2. Row 0: own goal 1, decoy 1; row 1: own 0, decoy 0: both even.
    assert decoy_loss(achieved, goals, torch.tensor([[1], [0]])).item() == pytest.approx(
        math.log(2)
    )
    apart = decoy_loss(achieved, achieved, torch.tensor([[1], [0]]))
    assert apart.item() == pytest.approx(-math.log(math.exp(2) / (math.exp(2) + 1)))


@pytest.mark.parametrize(("name", "value"), [("n_actions", 0), ("horizon", 0), ("horizon", -3)])
@pytest.mark.parametrize("model", [QNetwork, CloningModel])
def test_numbers_out_of_range_are_refused_by_name(model, name, value):
    with pytest.raises(ValueError, match=f"{name} must be an integer"):
        model(SPACE, **{"n_actions": 3, "horizon": 10, name: value})


@pytest.mark.parametrize(("name", "value"), [("n_atoms", 9_000), ("discriminator_size", 0)])
def test_sizes_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"{name} must be an integer"):
        DiscernModel(SPACE, 3, 10, **{name: value})


@pytest.mark.parametrize(("name", "value"), [("fusion", "early"), ("prior_encoder", "mlp")])
def test_goals_are_always_encoded_by_themselves(name, value):
    with pytest.raises(TypeError, match=f"'{name}'"):
        DiscernModel(SPACE, 3, 10, **{name: value})


@pytest.mark.parametrize("fusion", ["early", "late"])
def test_an_unknown_encoder_of_the_prior_is_named(fusion):
    with pytest.raises(ValueError, match="prior_encoder must be one of None, 'residual'"):
        CloningModel(SPACE, 3, 10, fusion=fusion, prior_encoder="foo")
