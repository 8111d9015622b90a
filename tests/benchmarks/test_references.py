"""Every fast path does the work of the plain one that it is measured against."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from benchmarks import acting
from benchmarks.planner import (
    FILLING_BIAS,
    FILLING_CLIP,
    make_contexts,
    make_decoders,
    plan_fast,
    plan_plain,
)
from benchmarks.replay import SHAPE, ListReplay, make_replay
from benchmarks.update import N_ACTIONS, SPACE, fast_loss, make_batch, plain_loss, steps
from glamor_gym.agents import GlamorAgent
from glamor_gym.models import GlamorModel
from glamor_gym.planners import PlannerSettings
from glamor_gym.types import SegmentBatch, Trajectory

FILLING = PlannerSettings(clip_log_prob=FILLING_CLIP, n_trials=8)


@pytest.mark.parametrize(
    ("stop_bias", "settings"), [(FILLING_BIAS, FILLING), (0.0, PlannerSettings(n_trials=8))]
)
@torch.inference_mode()
def test_both_planners_find_the_same_plans(stop_bias, settings):
    decoders, contexts = make_decoders(stop_bias), make_contexts(2)
    fast = plan_fast(decoders, contexts, 4, settings)
    plain = plan_plain(decoders, contexts, 4, settings)
    assert fast.tokens.tolist() == plain.tokens.tolist()
    torch.testing.assert_close(fast.log_score, plain.log_score, atol=1e-4, rtol=0)


@torch.inference_mode()
def test_filling_plans_fill_the_horizon():
    plans = plan_fast(make_decoders(FILLING_BIAS), make_contexts(3), 7, FILLING)
    assert plans.length.tolist() == [8, 8, 8]


def test_an_action_is_that_of_the_whole_plan():
    agent = GlamorAgent(acting.TASK, **GlamorAgent.preset("compact"), seed=0)
    batch = acting.make_batch(agent, 5)
    fast, plain = (acting.act(agent, batch, plans_ahead=ahead) for ahead in (False, True))
    assert fast.tolist() == plain.tolist()


@pytest.fixture
def model():
    torch.manual_seed(0)
    return GlamorModel(SPACE, N_ACTIONS, encoder="compact")


def test_both_updates_descend_the_same_loss(model):
    batch = make_batch(6)
    inverse, prior = model.token_log_probs(
        batch.observation, batch.goal, batch.tokens, batch.length
    )
    exact = -inverse.mean() - prior.mean()
    plain = plain_loss(model, batch)
    assert exact.item() == pytest.approx(plain.item(), abs=1e-4)
    assert fast_loss(model, batch).item() == pytest.approx(plain.item(), rel=2e-2)
    parameters = list(model.parameters())
    for one, other in zip(
        torch.autograd.grad(exact, parameters), torch.autograd.grad(plain, parameters), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def test_what_comes_after_stop_is_no_part_of_the_plain_loss(model):
    batch = make_batch(5)
    after_stop = torch.arange(batch.tokens.shape[1]) >= batch.length[:, None]
    assert after_stop.any()
    padded = replace(batch, tokens=batch.tokens.masked_fill(after_stop, N_ACTIONS + 1))
    assert plain_loss(model, padded).item() == pytest.approx(plain_loss(model, batch).item())


def test_an_update_tells_its_loss(model):
    batch = make_batch(4)
    _, plain = steps(model, batch)
    expected = plain_loss(model, batch).item()
    assert plain() == pytest.approx(expected, abs=1e-5)


LENGTH, N_TRAJECTORIES = 6, 5


def numbered_trajectories() -> list[Trajectory]:
    """Frames tell by their brightness which moment of which trajectory they are."""
    trajectories = []
    for index in range(N_TRAJECTORIES):
        moments = 1 + index * (LENGTH + 1) + np.arange(LENGTH + 1, dtype=np.uint8)
        frames = np.broadcast_to(moments[:, None, None, None], (LENGTH + 1, *SHAPE)).copy()
        trajectories.append(Trajectory(frames, (np.arange(LENGTH) * 3 + index) % N_ACTIONS))
    return trajectories


def moments_of(batch: SegmentBatch) -> list[tuple[int, int, int]]:
    """Check every row against the trajectories; return (trajectory, t, k) of each."""
    trajectories = numbered_trajectories()
    rows = []
    for row, length in enumerate(batch.length.tolist()):
        stack, goal = batch.observation[row, :, 0, 0].tolist(), int(batch.goal[row, 0, 0, 0])
        index, t = divmod(stack[-1] - 1, LENGTH + 1)
        k = length - 1
        own = trajectories[index]
        assert goal == own.achieved[t + k, 0, 0, 0]
        assert stack == [
            int(own.achieved[i, 0, 0, 0]) if i >= 0 else 0 for i in range(t - 3, t + 1)
        ]
        assert batch.tokens[row, :length].tolist() == [*own.actions[t : t + k], N_ACTIONS]
        assert (batch.tokens[row, length:] == N_ACTIONS + 1).all()
        rows.append((index, t, k))
    return rows


@pytest.mark.parametrize("kind", ["fast", "plain"])
def test_both_replays_draw_the_same_tuples(kind):
    trajectories = numbered_trajectories()
    if kind == "fast":
        replay = make_replay(N_TRAJECTORIES * (LENGTH + 1))
        for trajectory in trajectories:
            replay.add(trajectory)
    else:
        replay = ListReplay(trajectories, N_ACTIONS)
    drawn = Counter(row for _ in range(10) for row in moments_of(replay.sample(200)))
    chances = {
        (index, t, k): 1 / (N_TRAJECTORIES * LENGTH * (LENGTH - t))
        for index in range(N_TRAJECTORIES)
        for t in range(LENGTH)
        for k in range(1, LENGTH - t + 1)
    }
    assert drawn.keys() <= chances.keys()
    expected = [2000 * chance for chance in chances.values()]
    assert stats.chisquare([drawn[row] for row in chances], expected).pvalue > 1e-3


@pytest.mark.parametrize("n_rows", [1, 9])
def test_the_plain_replay_returns_the_longest_first(n_rows):
    batch = ListReplay(numbered_trajectories(), N_ACTIONS).sample(n_rows)
    assert batch.length.tolist() == sorted(batch.length.tolist(), reverse=True)
    assert batch.tokens.shape == (n_rows, batch.length[0])
