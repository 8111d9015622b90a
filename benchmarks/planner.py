"""Planning against the textbook loop: one candidate and one token at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from benchmarks.timing import Comparison, compare
from glamor_gym.models import ActionDecoder, fold
from glamor_gym.planners import PlannerSettings, plan
from glamor_gym.planners.textbook import plan_textbook
from glamor_gym.types import Plan

N_ACTIONS, HORIZON, EMBEDDING = 18, 50, 512


def make_decoders(stop_bias: float) -> list[ActionDecoder]:
    """Make decoders of the paper's size; a low bias of STOP makes plans fill the horizon."""
    torch.manual_seed(0)
    decoders = [ActionDecoder(N_ACTIONS, EMBEDDING, EMBEDDING, 64) for _ in range(2)]
    with torch.no_grad():
        for decoder in decoders:
            decoder.head.bias[N_ACTIONS] = stop_bias
    return decoders


@torch.inference_mode()
def run() -> Iterator[Comparison]:
    """Compare plans of one observation and of 32, that fill the horizon or are short."""
    filling = PlannerSettings(clip_log_prob=-100.0)
    yield compare_plans("plans that fill the horizon", 1, -30.0, filling, 15.0)
    yield compare_plans("plans that fill the horizon, each", 32, -30.0, filling, 60.0)
    yield compare_plans("short plans", 1, 0.0, PlannerSettings(), 15.0)


def compare_plans(
    text: str, n_rows: int, stop_bias: float, settings: PlannerSettings, target: float
) -> Comparison:
    """Compare the time of one plan in a batch of `n_rows` with the textbook loop's."""
    decoders = make_decoders(stop_bias)
    contexts = [torch.randn(n_rows, EMBEDDING) for _ in range(2)]
    horizon = torch.full((n_rows,), HORIZON)

    def fast(rows: int = n_rows) -> Plan:
        folded = fold(decoders, [context[:rows] for context in contexts])
        return plan(folded, horizon[:rows], settings, torch.Generator().manual_seed(0))

    def plain() -> Plan:
        own = [context[:1] for context in contexts]
        noise = torch.Generator().manual_seed(0)
        return plan_textbook(*decoders, *own, horizon[:1], settings, noise)

    difference = (fast(1).log_score - plain().log_score).abs().item()
    return compare(
        f"plan, {n_rows} observation(s), 50 trials, T = {HORIZON}: {text}",
        "textbook loop",
        fast,
        plain,
        target=target,
        per=n_rows,
        note=f"mean length {fast().length.float().mean():.1f}; "
        f"scores from the same noise differ by {difference:.1e}",
    )
