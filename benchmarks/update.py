"""One update against the same loss computed plainly: float32, nothing folded, nothing packed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor
from torch.nn import functional

from benchmarks.timing import Comparison, compare
from glamor_gym.models import ActionDecoder, GlamorModel, log_probs

N_ACTIONS, HORIZON, BATCH = 18, 50, 200
SPACE = spaces.Dict(
    observation=spaces.Box(0, 255, (4, 80, 104), np.uint8),
    achieved_goal=spaces.Box(0, 255, (1, 80, 104), np.uint8),
)


def make_batch() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Make a batch whose lengths are spread as the replay spreads them."""
    rng = np.random.default_rng(0)
    remaining = HORIZON - rng.integers(0, HORIZON, BATCH)
    length = torch.from_numpy(np.sort(rng.integers(1, remaining + 1))[::-1].copy()) + 1
    tokens = torch.randint(0, N_ACTIONS, (BATCH, int(length.max())))
    tokens[torch.arange(BATCH), length - 1] = N_ACTIONS
    pixels = [torch.randint(0, 256, (BATCH, c, 80, 104), dtype=torch.uint8) for c in (4, 1)]
    return pixels[0], pixels[1], tokens, length


def plain_log_probs(
    decoder: ActionDecoder, context: Tensor, tokens: Tensor, length: Tensor
) -> Tensor:
    """Return log p of the tokens that count: the whole context at every step, padding too."""
    h, c = decoder.first_state(context).chunk(2, dim=-1)
    previous = torch.zeros(len(context), N_ACTIONS)
    kept = []
    for step in range(tokens.shape[1]):
        h, c = decoder.cell(decoder.context_in(context) + decoder.token_in(previous), (h, c))
        log_p = functional.log_softmax(decoder.head(h), dim=-1)
        kept.append(log_p.gather(1, tokens[:, step : step + 1])[step < length, 0])
        previous = functional.one_hot(tokens[:, step], N_ACTIONS + 1)[:, :N_ACTIONS].float()
    return torch.cat(kept)


def steps(
    model: GlamorModel, batch: tuple[Tensor, ...]
) -> tuple[Callable[[], float], Callable[[], float]]:
    """Return one update the project's way and one plain update; each returns its loss."""
    observation, goal, tokens, length = batch
    fused = torch.optim.AdamW(model.parameters(), 1e-9, fused=True)
    looped = torch.optim.AdamW(model.parameters(), 1e-9, foreach=False, fused=False)

    def fast() -> float:
        with torch.autocast("cpu", torch.bfloat16):
            folded = model.fold(observation, goal)
        inverse, prior = log_probs(folded, tokens, length)
        return finish(fused, -inverse.mean() - prior.mean())

    def plain() -> float:
        state = model.observation_encoder(observation)
        mixed = model.mix(torch.cat((state, model.goal_encoder(goal)), dim=-1))
        inverse = plain_log_probs(model.inverse_dynamics, mixed, tokens, length)
        prior = plain_log_probs(model.prior, state, tokens, length)
        return finish(looped, -inverse.mean() - prior.mean())

    def finish(optimizer: torch.optim.Optimizer, loss: Tensor) -> float:
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return fast, plain


def run() -> Iterator[Comparison]:
    """Compare updates with the paper's encoder and with the compact one."""
    batch = make_batch()
    for encoder, target, turns in (("residual", 3.0, 3), ("compact", 2.0, 7)):
        torch.manual_seed(0)
        fast, plain = steps(GlamorModel(SPACE, N_ACTIONS, encoder=encoder), batch)
        loss, plain_loss = fast(), plain()
        yield compare(
            f"update, {encoder} encoder, batch {BATCH}, T = {HORIZON}",
            "the same loss in plain float32",
            fast,
            plain,
            target=target,
            turns=turns,
            fast_repeats=1,
            note=f"losses {loss:.4f} (bfloat16) and {plain_loss:.4f}",
        )
