"""The planner against exhaustive search, a hand computation, its textbook form, and chance."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from benchmarks.textbook import plan_textbook
from glamor_gym.models import ActionDecoder, fold
from glamor_gym.planners import PlannerSettings, plan
from glamor_gym.planners.candidates import LSTMPair, sample
from glamor_gym.planners.random_shooting import best_of

N_ACTIONS, STOP, PADDING = 3, 3, 4
GAMMA = 0.9
FREE = PlannerSettings(n_trials=20, clip_log_prob=-50.0, gamma=GAMMA)


def make_models(n_rows: int, sharpness: float = 6.0):
    """Two decoders whose weights are large enough for z to differ much between tokens."""
    torch.manual_seed(1)
    decoders = [ActionDecoder(N_ACTIONS, 6, 10, 8) for _ in range(2)]
    with torch.no_grad():
        for decoder in decoders:
            decoder.head.weight.mul_(sharpness)
    return decoders, [torch.randn(n_rows, 6) for _ in range(2)]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@torch.no_grad()
def z_of_sequence(decoders, contexts, tokens, settings) -> list[float]:
    """z of each token of one sequence, layer by layer, for row 0.

    Where STOP may not come, actions are among themselves; where it comes, it is among all tokens.
    """
    states, scores, previous = [None, None], [], torch.zeros(N_ACTIONS)
    for slot, token in enumerate(tokens):
        stop_may_come = settings.stop != "end" and (slot > 0 or settings.stop_first)
        n_open = N_ACTIONS + (stop_may_come or token == STOP)
        log_p = []
        for m, (decoder, context) in enumerate(zip(decoders, contexts, strict=True)):
            if states[m] is None:
                states[m] = tuple(part[None] for part in decoder.first_state(context[0]).chunk(2))
            x = decoder.context_in(context[0]) + decoder.token_in(previous)
            states[m] = decoder.cell(x[None], states[m])
            log_p.append(decoder.head(states[m][0][0])[:n_open].log_softmax(-1)[token].item())
        z = log_p[0] - log_p[1] * settings.use_prior
        scores.append(-20.0 if log_p[0] < settings.clip_log_prob else z)
        if token != STOP:
            previous = torch.eye(N_ACTIONS)[token]
    return scores


def all_plans(horizon: int, settings: PlannerSettings):
    """Every token sequence the planner may return."""
    lengths = [horizon] if settings.stop == "end" else range(not settings.stop_first, horizon + 1)
    for k in lengths:
        for actions in itertools.product(range(N_ACTIONS), repeat=k):
            yield [*actions, STOP]


VARIANTS = [
    FREE,
    replace(FREE, stop_first=True),
    replace(FREE, stop="end"),
    replace(FREE, stop="end", clip_log_prob=-1.5),
    replace(FREE, use_prior=False),
    replace(FREE, clip_log_prob=-2.0),
    replace(FREE, guided=False),
    replace(FREE, gamma=1.0),
]


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
def test_with_many_trials_it_finds_the_best_plan_of_all(settings):
    horizon = 3
    decoders, contexts = make_models(1)
    settings = replace(settings, n_trials=3000)

    def score(tokens):
        z = z_of_sequence(decoders, contexts, tokens, settings)
        return sum(z) + len(tokens) * math.log(settings.gamma)

    best = max(all_plans(horizon, settings), key=score)
    with torch.no_grad():
        found = plan(fold(decoders, contexts), torch.tensor([horizon]), settings, generator())
    assert found.tokens[0, : found.length[0]].tolist() == best
    assert abs(found.log_score[0].item() - score(best)) < 1e-4


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
def test_from_the_same_noise_it_returns_the_plans_of_the_textbook_loop(settings):
    decoders, contexts = make_models(4)
    max_actions = torch.tensor([5, 1, 3, 5])
    with torch.no_grad():
        fast = plan(fold(decoders, contexts), max_actions, settings, generator(3))
        slow = plan_textbook(*decoders, *contexts, max_actions, settings, generator(3))
    torch.testing.assert_close(fast.log_score, slow.log_score, atol=1e-4, rtol=0)
    torch.testing.assert_close(fast.token_scores, slow.token_scores, atol=1e-4, rtol=0)
    assert (fast.tokens == slow.tokens).all()
    assert (fast.length == slow.length).all()


def test_scores_are_a_hand_computation():
    decoders, contexts = make_models(1)
    with torch.no_grad():
        found = plan(fold(decoders, contexts), torch.tensor([4]), FREE, generator())
    tokens = found.tokens[0, : found.length[0]].tolist()
    expected = z_of_sequence(decoders, contexts, tokens, FREE)
    assert tokens[-1] == STOP
    np.testing.assert_allclose(found.token_scores[0, : len(tokens)], expected, atol=1e-4)
    total = sum(expected) + len(tokens) * math.log(GAMMA)
    assert abs(found.log_score[0].item() - total) < 1e-4


@pytest.mark.parametrize("guided", [True, False])
def test_candidates_are_drawn_from_softmax_z(guided):
    """With one trial the plan is the candidate: its frequencies are the distribution."""
    horizon, n_rows = 2, 40_000
    decoders, contexts = make_models(1, sharpness=2.0)
    settings = replace(FREE, n_trials=1, guided=guided)
    expanded = [context.expand(n_rows, -1) for context in contexts]
    with torch.no_grad():
        drawn = plan(
            fold(decoders, expanded), torch.full((n_rows,), horizon), settings, generator()
        )
    counts: dict[tuple, int] = {}
    for row, length in zip(drawn.tokens.tolist(), drawn.length.tolist(), strict=True):
        counts[tuple(row[:length])] = counts.get(tuple(row[:length]), 0) + 1

    def weights(prefix, allowed):
        z = [z_of_sequence(decoders, contexts, [*prefix, t], settings)[-1] for t in allowed]
        p = np.exp(z) if guided else np.ones(len(allowed))
        return dict(zip(allowed, p / p.sum(), strict=True))

    expected = {}
    for a, p_a in weights([], [0, 1, 2]).items():
        for b, p_b in weights([a], [0, 1, 2, STOP]).items():
            expected[(a, STOP) if b == STOP else (a, b, STOP)] = p_a * p_b
    assert set(counts) <= set(expected)
    observed = [counts.get(tokens, 0) for tokens in expected]
    p_value = chisquare(observed, [p * n_rows for p in expected.values()]).pvalue
    assert p_value > 1e-3


@pytest.mark.parametrize("stop", ["end", "free"])
def test_where_stop_may_not_come_its_probability_changes_nothing(stop):
    """Unless `stop` is "end", that is the first slot; where one action is allowed, no other."""
    decoders, contexts = make_models(30)
    settings = replace(FREE, stop=stop, clip_log_prob=-1.5, n_trials=1)
    limits = torch.tensor([4, 1, 2] if stop == "end" else [1, 1, 1]).repeat(10)

    def actions_and_scores():
        with torch.no_grad():
            plans = plan(fold(decoders, contexts), limits, settings, generator())
        is_action = plans.tokens < STOP
        return plans.tokens, plans.token_scores.masked_fill(~is_action, 0.0)

    before = actions_and_scores()
    with torch.no_grad():
        for decoder in decoders:
            decoder.head.bias[STOP] += 40.0
    after = actions_and_scores()
    assert (before[1] > -20.0).all(), "what is clipped has the same score anyway"
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))


@pytest.mark.parametrize("stop_is_open", [True, False])
def test_rounding_never_leads_past_the_last_token(stop_is_open):
    z = torch.randn(5_000, 18, generator=generator())
    almost_one = torch.full((len(z),), 1 - 2**-24)  # the largest float32 below 1
    n_open = 18 if stop_is_open else 17
    sums = z[:, :n_open].softmax(dim=-1).cumsum(dim=-1)[:, -1]
    assert (sums < 1 - 2**-24).any(), "no sum is rounded down: this tests nothing"
    assert sample(z, almost_one, stop_is_open, guided=True).max() == n_open - 1


@pytest.mark.parametrize("guided", [True, False])
def test_it_ends_when_all_candidates_have(monkeypatch, guided):
    decoders, contexts = make_models(n_rows=3)
    with torch.no_grad():
        for decoder, bias in zip(decoders, (30.0, -30.0), strict=True):
            decoder.head.bias[STOP] += bias
    steps, next_logits = [], LSTMPair.next_logits
    monkeypatch.setattr(
        LSTMPair, "next_logits", lambda *args: steps.append(1) or next_logits(*args)
    )
    settings = replace(FREE, stop_first=True, guided=guided)
    with torch.no_grad():
        plans = plan(fold(decoders, contexts), torch.full((3,), 400), settings, generator())
    assert len(steps) < (8 if guided else 200), "guided, all stop at once"
    assert (plans.tokens == STOP).any(dim=1).all()


def test_no_plan_outlasts_its_own_limit_and_all_end_with_stop():
    decoders, contexts = make_models(50)
    max_actions = torch.randint(1, 9, (50,), generator=generator())
    with torch.no_grad():
        for settings in VARIANTS:
            plans = plan(fold(decoders, contexts), max_actions, settings, generator())
            assert plans.tokens.shape[1] == int(max_actions.max()) + 1
            assert (plans.length <= max_actions + 1).all()
            last = plans.tokens.gather(1, plans.length[:, None] - 1)
            assert (last == STOP).all()
            assert ((plans.tokens == STOP).sum(1) == 1).all()
            after = torch.arange(plans.tokens.shape[1]) >= plans.length[:, None]
            assert ((plans.tokens == PADDING) == after).all()
            assert (plans.token_scores[after] == 0).all()
            if settings.stop == "end":
                assert (plans.length == max_actions + 1).all()
            if not settings.stop_first:
                assert (plans.length >= 2).all()


@pytest.mark.parametrize("shift", [0.0, -5.0])  # of all scores, which leaves the shares
def test_voters_elect_the_first_action_and_the_best_of_its_plans_is_taken(shift):
    """Row 0: one plan that begins with 0 is the best, two with 1 outweigh it; row 1: it stays."""
    tokens = torch.tensor([[0, 1, 1, 0, 1, 1], [STOP, STOP, 2, STOP, STOP, 2], [0, 0, STOP] * 2])
    z = torch.tensor([[1.0, 0.7, 0.4, 1.3, 0.7, 0.4], [shift] * 6, [0.0] * 6])
    settings = replace(FREE, gamma=1.0, n_trials=3)
    best = best_of(tokens.clone(), z.clone(), 2, settings, STOP)
    assert [best.actions(row).tolist() for row in (0, 1)] == [[0], [0]]
    elected = best_of(tokens.clone(), z.clone(), 2, replace(settings, vote=True), STOP)
    assert [elected.actions(row).tolist() for row in (0, 1)] == [[1], [0]]
    assert elected.log_score.tolist() == pytest.approx([0.7 + shift, 1.3 + shift])


def test_more_trials_never_find_a_worse_plan_on_average():
    decoders, contexts = make_models(200)
    horizon = torch.full((200,), 6)
    with torch.no_grad():
        folded = fold(decoders, contexts)
        means = [
            plan(folded, horizon, replace(FREE, n_trials=n), generator()).log_score.mean().item()
            for n in (1, 5, 50)
        ]
    assert means[0] < means[1] < means[2]


def test_a_plan_of_one_row_and_its_actions_can_be_taken_out():
    decoders, contexts = make_models(3)
    with torch.no_grad():
        plans = plan(fold(decoders, contexts), torch.tensor([4, 4, 4]), FREE, generator())
    assert len(plans) == 3
    assert len(plans[-1]) == 1
    assert plans[-1].tokens.tolist() == plans.tokens[2:].tolist()
    assert plans.actions(1).tolist() == plans.tokens[1, : plans.length[1] - 1].tolist()


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"n_trials": 0}, "n_trials"),
        ({"gamma": 0.0}, "gamma"),
        ({"gamma": 1.5}, "gamma"),
        ({"clip_log_prob": 0.5}, "clip_log_prob"),
        ({"clip_log_prob": float("nan")}, "clip_log_prob"),
        ({"stop": "sometimes"}, "stop"),
        ({"n_trials": 2.5}, "n_trials"),
        ({"gamma": "low"}, "gamma"),
        ({"vote": 1}, "vote"),
        ({"guided": "no"}, "guided"),
    ],
)
def test_settings_out_of_range_or_of_another_type_are_named(changes, name):
    with pytest.raises(ValueError, match=name):
        PlannerSettings(**changes)


def test_a_horizon_of_zero_is_refused():
    decoders, contexts = make_models(2)
    with pytest.raises(ValueError, match="max_actions"):
        plan(fold(decoders, contexts), torch.tensor([0, 3]), FREE, generator())


def test_settings_in_numbers_of_numpy_are_kept_as_json_knows_them():
    settings = PlannerSettings(
        n_trials=np.int64(10), gamma=np.float32(0.5), arrival_probability=np.float64(0.25)
    )
    assert json.loads(json.dumps(asdict(settings))) == asdict(settings)
