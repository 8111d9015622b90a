"""How long plans may take: the distribution of their durations, and which goals are near.

In: B observations and goals, encoded by a model that predicts durations. Out: for each row the
probability of each duration, and whether the goal is here or one step away.

With `stop_first`, a goal is near if it is at most one step away with at least the probability
`arrival_probability`. The plan is then STOP alone or one action and STOP, whichever of the two
durations is likelier.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from glamor_gym.models.duration import EncodedPairs
from glamor_gym.planners.candidates import check_limits
from glamor_gym.planners.settings import PlannerSettings

RULED_OUT = -1e9
"""Logit of a duration that is not allowed."""


def duration_ratio(
    encoded: EncodedPairs, settings: PlannerSettings
) -> Float[Tensor, "b durations"]:
    """Return log p(k | s, g) − log p(k | s) for k = 0 … T; log p(k | s, g) if not `use_prior`."""
    log_p = encoded.log_duration
    return log_p[0] - log_p[1] if settings.use_prior else log_p[0]


def duration_probabilities(
    duration_z: Float[Tensor, "b durations"],
    max_actions: Int[Tensor, "b"],
    settings: PlannerSettings,
    one_step_away: Bool[Tensor, "b"],
) -> Float[Tensor, "b durations"]:
    """Return the distribution from which the durations of each row's candidates are drawn.

    Args:
        duration_z: (B, T + 1) log p(k | s, g) − log p(k | s) for k = 0 … T.
        max_actions: (B,) largest duration of each row, 1 or more; the smallest is 1.
        settings: with ``stop="end"``, all candidates have the largest duration; without `guided`,
            the distribution is uniform.
        one_step_away: (B,) rows whose only duration is 1.

    Returns:
        softmax(duration_z + k · ln γ) over the allowed durations, 0 for the others.

    Raises:
        ValueError: a row of `max_actions` is below 1.
    """
    check_limits(max_actions)
    max_actions = max_actions.to(duration_z.device, non_blocking=True)
    k = torch.arange(duration_z.shape[1], device=duration_z.device)
    score = duration_z + k * math.log(settings.gamma)
    score = score if settings.guided else torch.zeros_like(score)
    longest = max_actions.masked_fill(one_step_away, 1)
    shortest = longest if settings.stop == "end" else torch.ones_like(longest)
    allowed = (k >= shortest[:, None]) & (k <= longest[:, None])
    return score.masked_fill(~allowed, RULED_OUT).softmax(dim=-1)


def arrival(
    encoded: EncodedPairs, settings: PlannerSettings
) -> tuple[Bool[Tensor, "b"], Bool[Tensor, "b"]]:
    """Return which rows are at their goal, and which one step from it; neither if not near.

    Args:
        encoded: B observations and goals.
        settings: if `may_stop_first`, a goal is near if p(k ≤ 1 | s, g) ≥ `arrival_probability`;
            else no goal is.
    """
    p = encoded.log_duration[0, :, :2].exp()
    near = (p.sum(dim=1) >= settings.arrival_probability) & settings.may_stop_first
    here = p[:, 0] >= p[:, 1]
    return near & here, near & ~here
