"""A model that predicts durations, small enough to search all of its plans."""

from __future__ import annotations

import numpy as np
import torch
from gymnasium import spaces

from glamor_gym.models import DurationModel, EncodedPairs
from glamor_gym.planners import PlannerSettings

N_ACTIONS, STOP, PADDING, HORIZON = 3, 3, 4, 4
GAMMA = 0.9
FREE = PlannerSettings(n_trials=20, clip_log_prob=-50.0, gamma=GAMMA)


def make_model() -> DurationModel:
    """A model whose weights are large enough for z to differ much between plans."""
    torch.manual_seed(2)
    box = spaces.Box(0, 1, (4,), np.float32)
    model = DurationModel(
        spaces.Dict(observation=box, achieved_goal=box),
        N_ACTIONS,
        HORIZON,
        embedding_size=16,
        hidden_size=8,
        token_size=8,
    )
    with torch.no_grad():
        model.countdown.normal_()
        for decoder in (model.inverse_dynamics, model.prior):
            decoder.head.weight.mul_(6.0)
        for head in (model.duration, model.prior_duration):
            head[-1].weight.mul_(4.0)
    return model


@torch.no_grad()
def encode(model: DurationModel, n_rows: int) -> EncodedPairs:
    torch.manual_seed(5)
    return model.encode(torch.rand(n_rows, 4), torch.rand(n_rows, 4))


def at_all_distances(n_rows: int) -> EncodedPairs:
    """Rows whose goals are here, one step away, or farther, as far as the model can tell."""
    encoded = encode(make_model(), n_rows)
    log_duration = torch.randn(2, n_rows, HORIZON + 1).mul(3.0).log_softmax(dim=-1)
    return EncodedPairs(encoded.model, encoded.state, encoded.pair, log_duration)
