"""First actions by value, Σ_k γ^k p(k|s,g)/p(k|s) · p(a|s,g,k)/p(a|s,k), without sampling.

In: B observations and goals, encoded by a model that predicts durations. Out: the first token of
each row's plan, and whether STOP is the second.

By Bayes' rule this value is, up to a factor that all actions share, Σ_k γ^k p(s_{t+k} = g | s, a):
the discounted probability of being at the goal after a. (Without `use_prior`, the denominators are
left out. Pairs of a and k whose log p(a|s,g,k) is below `clip_log_prob` count next to nothing, and
k ends at the steps left.) The score of a single candidate covers all of its actions, so that for a
distant goal the sampling noise of fifty later actions drowns the value of the first.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from glamor_gym.models.duration import EncodedPairs
from glamor_gym.models.glamor import Folded
from glamor_gym.models.recurrence import lstm_cell
from glamor_gym.planners.candidates import heuristic
from glamor_gym.planners.durations import arrival, duration_probabilities, duration_ratio
from glamor_gym.planners.settings import PlannerSettings

NEGLIGIBLE = 1e-5
"""Durations of at most this probability are left out of the sum over k."""


def next_tokens_by_duration(
    encoded: EncodedPairs, max_actions: Int[Tensor, "b"], settings: PlannerSettings
) -> Int[Tensor, "b 2"]:
    """Return the beginnings of the plans that ``plan_by_duration`` would make.

    No candidates are sampled: this takes one step of the decoders instead of T, and no noise.

    Args:
        encoded: the observations and goals.
        max_actions: (B,) int64, maximum number of actions per plan, without STOP: T − t ≥ 1.
        settings: see :class:`PlannerSettings`; `acts_by_value` must be True.

    Returns:
        The first token of each plan, and the second: STOP if the goal is one step away, else
        padding, which means that the plan has ended or that its second token is not known.

    Raises:
        ValueError: a row of `max_actions` is below 1.
    """
    here, one_step_away = arrival(encoded, settings)
    chance = duration_probabilities(
        duration_ratio(encoded, settings), max_actions, settings, one_step_away
    )
    if settings.stop == "end":  # after the last step, then
        one_step_away = (max_actions == 1).to(one_step_away.device, non_blocking=True)
    stop, padding = encoded.model.n_actions, encoded.model.n_actions + 1
    first = best_first_action(encoded, chance, settings).masked_fill(here, stop)
    second = torch.full_like(first, padding).masked_fill(one_step_away, stop)
    return torch.stack((first, second), dim=1)


def best_first_action(
    encoded: EncodedPairs, chance: Float[Tensor, "b durations"], settings: PlannerSettings
) -> Int[Tensor, "b"]:
    """Return the first action of highest value over all durations, see the module's docstring.

    Args:
        encoded: B observations and goals.
        chance: (B, T + 1) probability of each duration, see
            :func:`~glamor_gym.planners.durations.duration_probabilities`.
        settings: see :class:`PlannerSettings`.
    """
    row, k = _pairs_that_count(chance)
    folded = encoded.fold(row, k)
    start = torch.full_like(k, encoded.model.n_actions)
    inputs = encoded.model.token_inputs(folded, k, start)
    z, _, _ = decoder_step(folded, inputs, folded.h, folded.c, settings)
    weighted = chance[row, k][:, None] * z.exp()
    worth = weighted.new_zeros(len(chance), z.shape[1]).index_add_(0, row, weighted)
    return worth.argmax(dim=1)


def _pairs_that_count(
    chance: Float[Tensor, "b durations"],
) -> tuple[Int[Tensor, "c"], Int[Tensor, "c"]]:
    """Return row and duration of all pairs whose chance is not negligible.

    On a GPU all pairs are returned: to leave some out, it would have to be waited for.
    """
    if not chance.is_cuda:
        row, k = (chance > NEGLIGIBLE).nonzero(as_tuple=True)
        return row, k
    n_rows, n_durations = chance.shape
    row = torch.arange(n_rows, device=chance.device).repeat_interleave(n_durations)
    return row, torch.arange(n_durations, device=chance.device).repeat(n_rows)


def decoder_step(
    folded: Folded,
    inputs: Float[Tensor, "2 c 4h"],
    h: Float[Tensor, "2 c h"],
    c: Float[Tensor, "2 c h"],
    settings: PlannerSettings,
) -> tuple[Float[Tensor, "c actions"], Float[Tensor, "2 c h"], Float[Tensor, "2 c h"]]:
    """Advance both decoders by one step, for the first C of the pairs they are folded for.

    Args:
        folded: the decoders.
        inputs: (2, C, 4H), see :meth:`~glamor_gym.models.duration.DurationModel.token_inputs`.
        h: (2, C, H) hidden states.
        c: (2, C, H) cell states.
        settings: see :class:`PlannerSettings`.

    Returns:
        z of every action, and the new hidden and cell states.
    """
    h, c = lstm_cell(torch.baddbmm(inputs, h, folded.recurrent), c)
    return heuristic(torch.baddbmm(folded.head_bias, h, folded.head), settings), h, c
