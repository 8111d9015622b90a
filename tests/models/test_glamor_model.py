"""Folded decoders against the layers they fold, and the probabilities they give."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn
from torch.nn import functional

from glamor_gym.models import ActionDecoder, GlamorModel, Packing, fold, log_probs

N_ACTIONS, STOP = 3, 3


def make_decoders() -> tuple[list[ActionDecoder], list[torch.Tensor]]:
    torch.manual_seed(0)
    decoders = [ActionDecoder(N_ACTIONS, 6, 10, 4).double() for _ in range(2)]
    return decoders, [torch.randn(5, 6, dtype=torch.float64) for _ in range(2)]


def unfolded_log_prob(decoder: ActionDecoder, context: torch.Tensor, tokens: list[int]) -> float:
    """Feed one sequence to the layers one by one, as the paper's Figure 1 shows it."""
    state = tuple(part[None] for part in decoder.first_state(context).chunk(2))
    total, previous = 0.0, torch.zeros(N_ACTIONS, dtype=torch.float64)
    for token in tokens:
        state = decoder.cell(
            (decoder.context_in(context) + decoder.token_in(previous))[None], state
        )
        total += functional.log_softmax(decoder.head(state[0][0]), dim=-1)[token].item()
        if token != STOP:
            previous = functional.one_hot(torch.tensor(token), N_ACTIONS).double()
    return total


def test_folding_changes_no_probability():
    decoders, contexts = make_decoders()
    sequences = [[0, 1, 2, STOP], [2, 2, STOP], [1, STOP], [0, STOP], [STOP]]
    length = torch.tensor([len(sequence) for sequence in sequences])
    tokens = torch.tensor([s + [STOP + 1] * (4 - len(s)) for s in sequences])
    previous = functional.pad(tokens[:, :-1], (1, 0), value=N_ACTIONS)
    packing = Packing.of(length, tokens.shape[1], "cpu")
    packed = log_probs(fold(decoders, contexts), previous, tokens, packing)
    row = (torch.arange(4)[:, None] < length).nonzero()[:, 1]
    for model in range(2):
        for index, sequence in enumerate(sequences):
            expected = unfolded_log_prob(decoders[model], contexts[model][index], sequence)
            assert abs(packed[model][row == index].sum().item() - expected) < 1e-9


def test_sequences_are_packed_by_time():
    packing = Packing.of(torch.tensor([3, 2, 0]), 3, "cpu")
    assert packing.batch_sizes == [2, 2, 1]
    assert packing.n_sequences == 2
    tokens = torch.tensor([[10, 11, 12], [20, 21, 99], [99, 99, 99]])
    assert packing.pack(tokens).tolist() == [10, 20, 11, 21, 12]
    assert Packing.of(torch.tensor([0]), 0, "cpu").n_sequences == 0


def test_decoders_are_folded_in_float32_whatever_encoders_compute_in():
    boxes = {"observation": (4, 40, 40), "achieved_goal": (1, 40, 40)}
    space = spaces.Dict(
        {name: spaces.Box(0, 255, shape, np.uint8) for name, shape in boxes.items()}
    )
    torch.manual_seed(0)
    model = GlamorModel(space, N_ACTIONS, encoder="tiny", embedding_size=16)
    pictures = [torch.randint(0, 256, (2, *shape), dtype=torch.uint8) for shape in boxes.values()]
    with torch.autocast("cpu", torch.bfloat16):
        folded = model.fold(*pictures)
        state, pair = model.encoded(*pictures)
        mixed = model.mix(torch.cat((state, pair), dim=-1))
    assert state.dtype == torch.bfloat16
    exact = fold((model.inverse_dynamics, model.prior), (mixed.float(), state.float()))
    for part, expected in zip(folded, exact, strict=True):
        torch.testing.assert_close(part, expected)


def test_the_probabilities_of_all_sequences_sum_to_one():
    """All that stop within two actions, and all that have not after three."""
    decoders, contexts = make_decoders()
    total = 0.0
    for k in range(4):
        for actions in itertools.product(range(N_ACTIONS), repeat=k):
            sequence = list(actions) if k == 3 else [*actions, STOP]
            total += np.exp(unfolded_log_prob(decoders[0], contexts[0][0], sequence))
    assert abs(total - 1.0) < 1e-9


def small_model(fusion: str = "late") -> GlamorModel:
    torch.manual_seed(0)
    space = spaces.Dict(
        observation=spaces.Box(0, 1, (4,), np.float32),
        achieved_goal=spaces.Box(0, 1, (4,), np.float32),
    )
    return GlamorModel(
        space, N_ACTIONS, fusion=fusion, embedding_size=16, hidden_size=8, token_size=8
    )


@pytest.mark.parametrize("fusion", ["late", "early"])
def test_the_prior_does_not_see_the_goal_and_teaches_the_observation_encoder(fusion):
    model = small_model(fusion)
    observation = torch.rand(3, 4)
    tokens, length = torch.tensor([[0, 1, STOP]] * 3), torch.tensor([3, 3, 3])
    inverse, prior = model.token_log_probs(observation, torch.rand(3, 4), tokens, length)
    other_inverse, other_prior = model.token_log_probs(
        observation, torch.rand(3, 4), tokens, length
    )
    torch.testing.assert_close(prior, other_prior)
    assert (inverse - other_inverse).abs().max() > 1e-6
    prior.sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in model.observation_encoder.parameters())
    assert all(p.grad.abs().sum() == 0 for p in model.goal_encoder.parameters())


@pytest.mark.parametrize("fusion", ["late", "early"])
def test_it_learns_which_actions_lead_to_a_goal(fusion):
    """One action decides the goal: p_inv must come to know it, and the prior must not."""
    model = small_model(fusion)
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    generator = torch.Generator().manual_seed(0)
    length = torch.full((64,), 2)
    for _ in range(250):
        action = torch.randint(N_ACTIONS, (64,), generator=generator)
        goal = functional.one_hot(action, 4).float()
        tokens = torch.stack((action, torch.full_like(action, STOP)), dim=1)
        inverse, prior = model.token_log_probs(torch.zeros(64, 4), goal, tokens, length)
        optimizer.zero_grad()
        (-inverse.mean() - prior.mean()).backward()
        optimizer.step()
    # Two tokens a sequence, the second of which (STOP) is always known.
    assert -inverse[:64].mean().item() < 0.1
    assert abs(-prior[:64].mean().item() - np.log(N_ACTIONS)) < 0.1


def test_early_fusion_stacks_pictures_as_channels():
    space = spaces.Dict(
        observation=spaces.Box(0, 255, (4, 80, 104), np.uint8),
        achieved_goal=spaces.Box(0, 255, (1, 80, 104), np.uint8),
    )
    model = GlamorModel(space, N_ACTIONS, encoder="compact", fusion="early")
    first = next(layer for layer in model.goal_encoder.modules() if isinstance(layer, nn.Conv2d))
    assert first.in_channels == 5
    pixels = {key: torch.from_numpy(box.sample())[None] for key, box in space.spaces.items()}
    token, length = torch.tensor([[1, STOP]]), torch.tensor([2])
    inverse, _ = model.token_log_probs(
        pixels["observation"], pixels["achieved_goal"], token, length
    )
    assert torch.isfinite(inverse).all()


def test_an_unknown_fusion_is_named():
    with pytest.raises(ValueError, match="middle"):
        small_model("middle")
