"""Planning, compared with the textbook loop over single candidates and tokens.

On a GPU, where that loop would take minutes, planning in one launch is compared with launching each
kernel, at the size that has a target time: 32 observations, 50 trials and T = 100 in
2 ms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.textbook import plan_textbook
from benchmarks.timing import Comparison, compare
from glamor_gym.models import ActionDecoder, fold
from glamor_gym.planners import Planner, PlannerSettings, plan, planner_for
from glamor_gym.types import Plan

N_ACTIONS, HORIZON, EMBEDDING = 18, 50, 512
GPU_HORIZON, GPU_ROWS, GPU_MS = 100, 32, 2.0

FILLING_BIAS, FILLING_CLIP = -30.0, -100.0
"""Bias of STOP, and clip of log-probabilities, with which every plan fills the horizon."""


def make_decoders(stop_bias: float) -> tuple[ActionDecoder, ActionDecoder]:
    """Make decoders of the paper's size.

    A low bias of STOP makes plans fill the horizon. It is applied to the inverse dynamics model
    only, because the prior's log-probabilities are subtracted.
    """
    torch.manual_seed(0)
    inverse_dynamics, prior = (ActionDecoder(N_ACTIONS, EMBEDDING, EMBEDDING, 64) for _ in range(2))
    with torch.no_grad():
        inverse_dynamics.head.bias[N_ACTIONS] += stop_bias
    return inverse_dynamics, prior


def make_contexts(n_rows: int) -> tuple[Tensor, Tensor]:
    """Make the contexts of the two decoders for `n_rows` observations."""
    torch.manual_seed(1)
    return torch.randn(n_rows, EMBEDDING), torch.randn(n_rows, EMBEDDING)


def plan_fast(
    decoders: tuple[ActionDecoder, ActionDecoder],
    contexts: tuple[Tensor, Tensor],
    horizon: int,
    settings: PlannerSettings,
) -> Plan:
    """Plan for all contexts with the project's planner, including folding."""
    max_actions = torch.full((len(contexts[0]),), horizon)
    return plan(fold(decoders, contexts), max_actions, settings, torch.Generator().manual_seed(0))


def plan_plain(
    decoders: tuple[ActionDecoder, ActionDecoder],
    contexts: tuple[Tensor, Tensor],
    horizon: int,
    settings: PlannerSettings,
) -> Plan:
    """Plan for all contexts with the textbook loop, from the same noise."""
    (inverse_dynamics, prior), (mixed, state) = decoders, contexts
    max_actions = torch.full((len(mixed),), horizon)
    noise = torch.Generator().manual_seed(0)
    return plan_textbook(inverse_dynamics, prior, mixed, state, max_actions, settings, noise)


@torch.inference_mode()
def run(horizon: int = HORIZON, device: str = "cpu") -> Iterator[Comparison]:
    """Compare plans for 1 and 32 observations that fill the horizon, and short plans."""
    if device != "cpu":
        yield compare_on_device(planner_for(torch.device(device)), device)
        return
    filling = PlannerSettings(clip_log_prob=FILLING_CLIP)
    for text, n_rows, stop_bias, settings, target in (
        ("plans that fill the horizon", 1, FILLING_BIAS, filling, 15.0),
        ("plans that fill the horizon, each", 32, FILLING_BIAS, filling, 60.0),
        ("short plans", 1, 0.0, PlannerSettings(), 15.0),
    ):
        yield compare_plans(text, n_rows, horizon, stop_bias, settings, target)


def compare_plans(
    text: str,
    n_rows: int,
    horizon: int,
    stop_bias: float,
    settings: PlannerSettings,
    target: float,
) -> Comparison:
    """Compare the time per plan in a batch of `n_rows` with that of the textbook loop."""
    decoders = make_decoders(stop_bias)
    contexts = make_contexts(n_rows)
    one = (contexts[0][:1], contexts[1][:1])
    plans = plan_fast(decoders, contexts, horizon, settings)
    by_loop = plan_plain(decoders, one, horizon, settings)
    alone = plan_fast(decoders, one, horizon, settings)
    difference = (alone.log_score - by_loop.log_score).abs().item()
    return compare(
        f"plan, {n_rows} observation(s), 50 trials, T = {horizon}: {text}",
        "textbook loop",
        lambda: plan_fast(decoders, contexts, horizon, settings),
        lambda: plan_plain(decoders, one, horizon, settings),
        target=target,
        per=n_rows,
        note=f"mean length {plans.length.float().mean():.1f}; "
        f"scores from the same noise differ by {difference:.1e}",
    )


def compare_on_device(
    planner: Planner, device: str, n_rows: int = GPU_ROWS, horizon: int = GPU_HORIZON
) -> Comparison:
    """Compare a device's own planner with the plain one, at the size that has a target time.

    Args:
        planner: the device's own planner.
        device: device of both planners.
        n_rows: number of observations.
        horizon: horizon, which all plans fill.
    """
    decoders, contexts = make_decoders(FILLING_BIAS), make_contexts(n_rows)
    folded = fold(
        [decoder.to(device) for decoder in decoders], [part.to(device) for part in contexts]
    )
    settings = PlannerSettings(clip_log_prob=FILLING_CLIP)
    max_actions = torch.full((n_rows,), horizon)
    noise = torch.Generator(device)
    own = planner(folded, max_actions, settings, noise.manual_seed(0))
    plain = plan(folded, max_actions, settings, noise.manual_seed(0))
    difference = (own.log_score - plain.log_score).abs().max().item()
    result = compare(
        f"plan, {n_rows} observations, 50 trials, T = {horizon}, on {device}: all of them",
        "the same, kernel by kernel",
        lambda: planner(folded, max_actions, settings, noise),
        lambda: plan(folded, max_actions, settings, noise),
        target=1.0,
        device=device,
    )
    verdict = "met" if result.fast_ms < GPU_MS else "missed"
    used = type(planner).__name__ if getattr(planner, "works", True) else "the kernel failed"
    wanted = f"{used}; wanted: {GPU_MS:g} ms, {verdict}"
    return replace(result, note=f"{wanted}; scores from the same noise differ by {difference:.1e}")
