"""The planner in its simplest form: one candidate, one token at a time.

In and out as :func:`glamor_gym.planners.plan`, but with the decoders and contexts not folded; both
must make the same plans from the same noise. It is the reference of that function's tests and
benchmarks: nothing is batched or shared, and each step feeds the whole context to the LSTM again.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from glamor_gym.models.glamor import ActionDecoder
from glamor_gym.planners.candidates import CLIPPED_Z
from glamor_gym.planners.random_shooting import sampling_noise
from glamor_gym.planners.settings import PlannerSettings
from glamor_gym.types import Plan


def plan_textbook(
    inverse_dynamics: ActionDecoder,
    prior: ActionDecoder,
    inverse_context: Float[Tensor, "b d"],
    prior_context: Float[Tensor, "b d"],
    max_actions: Int[Tensor, "b"],
    settings: PlannerSettings,
    generator: torch.Generator,
) -> Plan:
    """Find the best of N candidate plans for each of B observations, by loops.

    Args:
        inverse_dynamics: p(a | s, g).
        prior: p(a | s).
        inverse_context: (B, d) what `inverse_dynamics` is conditioned on.
        prior_context: (B, d) what `prior` is conditioned on.
        max_actions: (B,) maximum number of actions per plan, without STOP.
        settings: see :class:`~glamor_gym.planners.PlannerSettings`.
        generator: source of the sampling noise.
    """
    n_rows, n_trials = len(inverse_context), settings.n_trials
    stop = prior.head.out_features - 1
    longest = int(max_actions.max())
    noise = sampling_noise(longest + 1, n_rows * n_trials, generator)
    tokens = torch.full((n_rows, longest + 1), stop + 1)
    token_scores = torch.zeros(n_rows, longest + 1)
    best_scores = [-math.inf] * n_rows
    for row in range(n_rows):
        for trial in range(n_trials):
            candidate: list[int] = []
            scores: list[float] = []
            inverse_state = prior_state = None
            while stop not in candidate:
                slot = len(candidate)
                last_token = torch.tensor(candidate[-1:]) if candidate else None
                (inverse_log_p,), inverse_state = next_log_probs(
                    inverse_dynamics, inverse_context[[row]], last_token, inverse_state
                )
                (prior_log_p,), prior_state = next_log_probs(
                    prior, prior_context[[row]], last_token, prior_state
                )
                must_stop = slot == max_actions[row]
                may_stop = settings.stop != "end" and (slot > 0 or settings.may_stop_first)
                if not (must_stop or may_stop):
                    inverse_log_p = inverse_log_p[:stop].log_softmax(dim=0)
                    prior_log_p = prior_log_p[:stop].log_softmax(dim=0)
                z = inverse_log_p - prior_log_p if settings.use_prior else inverse_log_p
                z = z.masked_fill(inverse_log_p < settings.clip_log_prob, CLIPPED_Z)
                noise_here = noise[slot, row * n_trials + trial].item()
                token = stop if must_stop else _sample(z, settings.guided, noise_here)
                candidate.append(token)
                scores.append(z[token].item())
            score = sum(scores) + len(candidate) * math.log(settings.gamma)
            if score > best_scores[row]:
                best_scores[row] = score
                tokens[row] = stop + 1
                tokens[row, : len(candidate)] = torch.tensor(candidate)
                token_scores[row] = 0.0
                token_scores[row, : len(candidate)] = torch.tensor(scores)
    length = (tokens != stop + 1).sum(dim=1)
    return Plan(tokens, length, torch.tensor(best_scores), token_scores)


def next_log_probs(
    decoder: ActionDecoder,
    context: Float[Tensor, "b d"],
    last_token: Int[Tensor, "b"] | None,
    state: tuple[Tensor, Tensor] | None,
) -> tuple[Float[Tensor, "b tokens"], tuple[Tensor, Tensor]]:
    """Return log p of every next token, and the LSTM's state; None in both begins a sequence."""
    if state is None:
        h, c = decoder.first_state(context).chunk(2, dim=-1)
        state = (h, c)
    n_actions = decoder.token_in.in_features
    one_hot = context.new_zeros(len(context), n_actions)
    if last_token is not None:
        one_hot = functional.one_hot(last_token, n_actions + 1)[:, :n_actions].float()
    h, c = decoder.cell(decoder.context_in(context) + decoder.token_in(one_hot), state)
    return functional.log_softmax(decoder.head(h), dim=-1), (h, c)


def _sample(z: Float[Tensor, "tokens"], guided: bool, noise: float) -> int:
    """Sample a token from softmax(z), or uniformly if not `guided`."""
    weights = z if guided else torch.zeros_like(z)
    sum_so_far = 0.0
    for token, probability in enumerate(weights.softmax(dim=0).tolist()):
        sum_so_far += probability
        if noise < sum_so_far:
            return token
    return len(weights) - 1
