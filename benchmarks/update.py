"""One update, compared with a plain one: float32, without folding or packing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from benchmarks.textbook import next_log_probs
from benchmarks.timing import Comparison, compare
from glamor_gym.agents.model_policy import multiplies_bfloat16
from glamor_gym.models import ActionDecoder, GlamorModel
from glamor_gym.models.encoders import EncoderName, Normalise
from glamor_gym.types import SegmentBatch

N_ACTIONS, HORIZON, BATCH = 18, 50, 200
SPACE = spaces.Dict(
    observation=spaces.Box(0, 255, (4, 80, 104), np.uint8),
    achieved_goal=spaces.Box(0, 255, (1, 80, 104), np.uint8),
)


def make_batch(batch_size: int, device: str = "cpu") -> SegmentBatch:
    """Make a batch whose lengths are distributed as in samples from the replay."""
    rng = np.random.default_rng(0)
    remaining = HORIZON - rng.integers(0, HORIZON, batch_size)
    length = torch.from_numpy(np.sort(rng.integers(1, remaining + 1))[::-1].copy()) + 1
    tokens = torch.from_numpy(rng.integers(0, N_ACTIONS, (batch_size, int(length.max()))))
    tokens[torch.arange(batch_size), length - 1] = N_ACTIONS
    observation, goal = (
        torch.from_numpy(rng.integers(0, 256, (batch_size, channels, 80, 104), dtype=np.uint8))
        for channels in (4, 1)
    )
    return SegmentBatch(observation.to(device), goal.to(device), tokens.to(device), length)


def plain_log_probs(
    decoder: ActionDecoder, context: Tensor, tokens: Tensor, length: Tensor
) -> Tensor:
    """Return log p of the real tokens, with the full context at every step and with padding."""
    token, state = None, None
    kept = []
    for step in range(tokens.shape[1]):
        log_p, state = next_log_probs(decoder, context, token, state)
        # Padding is processed like any other token, and then discarded.
        token = tokens[:, step].clamp(max=log_p.shape[1] - 1)
        kept.append(log_p.gather(1, token[:, None])[step < length, 0])
    return torch.cat(kept)


def plain_layers(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply an encoder with PyTorch's own layers, which do not change the memory layout."""
    if isinstance(layer, nn.Sequential):
        for part in layer:
            x = plain_layers(part, x)
        return x
    if isinstance(layer, Normalise):
        return x.float() / 256
    if isinstance(layer, nn.Conv2d):
        x = nn.Conv2d.forward(layer, x)
    elif isinstance(layer, nn.MaxPool2d):
        x = nn.MaxPool2d.forward(layer, x)
    else:
        x = layer(x)
    return x


def plain_contexts(model: GlamorModel, observation: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
    """Return the contexts of the inverse dynamics model and of the prior (late fusion)."""
    state = plain_layers(model.observation_encoder, observation)
    mixed = model.mix(torch.cat((state, plain_layers(model.goal_encoder, goal)), dim=-1))
    return mixed, state


def plain_loss(model: GlamorModel, batch: SegmentBatch) -> Tensor:
    """Return the loss of Equation 9 with α = 1 in float32, without folding or packing."""
    mixed, state = plain_contexts(model, batch.observation, batch.goal)
    tokens, length = batch.tokens, batch.length
    inverse = plain_log_probs(model.inverse_dynamics, mixed, tokens, length)
    return -inverse.mean() - plain_log_probs(model.prior, state, tokens, length).mean()


def precision_of(device: str) -> torch.dtype:
    """Return the precision that an agent chooses by itself for pictures."""
    return torch.bfloat16 if multiplies_bfloat16(torch.device(device)) else torch.float32


def mixed_precision(device: str) -> torch.autocast:
    """Return the autocast context of an agent's update."""
    uses_bfloat16 = precision_of(device) == torch.bfloat16
    return torch.autocast(device, torch.bfloat16, enabled=uses_bfloat16)


def fast_loss(model: GlamorModel, batch: SegmentBatch) -> Tensor:
    """Return the same loss as the agent computes it."""
    with mixed_precision(batch.observation.device.type):
        losses = model.losses(batch.observation, batch.goal, batch.tokens, batch.length)
    return losses.inverse + losses.prior


def plain_optimizer(model: GlamorModel, learning_rate: float) -> torch.optim.Optimizer:
    """Return AdamW implemented as a loop over parameters."""
    return torch.optim.AdamW(model.parameters(), learning_rate, foreach=False, fused=False)


def descend(model: GlamorModel, optimizer: torch.optim.Optimizer, loss: Tensor) -> float:
    """Take an optimiser step with the gradient's norm clipped to 1; return the loss."""
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def steps(
    model: GlamorModel, batch: SegmentBatch
) -> tuple[Callable[[], float], Callable[[], float]]:
    """Return functions for the project's update and the plain one; each returns its loss."""
    fused = torch.optim.AdamW(model.parameters(), 1e-9, fused=True)
    looped = plain_optimizer(model, 1e-9)
    return (
        lambda: descend(model, fused, fast_loss(model, batch)),
        lambda: descend(model, looped, plain_loss(model, batch)),
    )


def run(batch_size: int = BATCH, device: str = "cpu") -> Iterator[Comparison]:
    """Compare updates with the paper's encoder and the compact one."""
    batch = make_batch(batch_size, device)
    precision = str(precision_of(device)).removeprefix("torch.")
    encoders: tuple[tuple[EncoderName, float, int], ...] = (
        ("residual", 3.0, 3),
        ("compact", 2.0, 7),
    )
    for encoder, target, turns in encoders:
        torch.manual_seed(0)
        model = GlamorModel(SPACE, N_ACTIONS, encoder=encoder).to(device)
        fast, plain = steps(model, batch)
        loss, reference_loss = fast(), plain()
        yield compare(
            f"update, {encoder} encoder, batch {batch_size}, T = {HORIZON}",
            "the same loss in plain float32",
            fast,
            plain,
            target=target,
            turns=turns,
            fast_repeats=1,
            note=f"losses {loss:.4f} ({precision}) and {reference_loss:.4f}",
            device=device,
        )
