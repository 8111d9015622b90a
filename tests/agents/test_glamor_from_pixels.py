"""GLAMOR on pictures: what it knows of them is kept with it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glamor_gym.agents import GlamorAgent

PONG = "glamor/Pong-v0"


@pytest.mark.parametrize("preset", ["compact", "compact-control", "best"])
def test_a_whitened_agent_is_the_same_after_saving(tmp_path, preset):
    settings = GlamorAgent.preset(preset) | {
        "learning_starts": 60,
        "batch_size": 4,
        "replay_ratio": 0.1,
        "buffer_size": 500,
        "n_trials": 5,
    }
    settings["policy_kwargs"] |= {"encoder": "tiny", "embedding_size": 16, "hidden_size": 8}
    agent = GlamorAgent(PONG, **settings, seed=0, device="cpu").learn(180)
    whitening = agent.policy.model.whitening
    assert whitening.measured
    # Pong's score and lower edge do not move; the players' columns do.
    assert whitening.spread.max() > 2 * whitening.spread.min()

    agent.save(tmp_path / "agent")
    loaded = GlamorAgent.load(tmp_path / "agent", device="cpu")
    assert torch.equal(loaded.policy.model.whitening.mean, whitening.mean)
    rows = [agent.env.reset() for _ in range(3)]
    batch = {key: np.concatenate([row[key] for row in rows]) for key in rows[0]}
    mine, its = agent.plan(batch, deterministic=True), loaded.plan(batch, deterministic=True)
    assert torch.equal(mine.tokens, its.tokens)
    torch.testing.assert_close(mine.log_score, its.log_score)


@pytest.mark.parametrize("preset", ["compact", "compact-control"])
def test_in_float32_an_update_runs_channels_last_from_pictures_to_the_last_convolution(preset):
    """Whitened and shifted pictures included: another layout costs a third of the time."""
    settings = GlamorAgent.preset(preset) | {"buffer_size": 500, "precision": "float32"}
    agent = GlamorAgent(PONG, **settings, seed=0, device="cpu")
    with pytest.warns(UserWarning, match="nothing will be learned"):
        agent.learn(60)
    batch = agent.replay_buffer.sample(8)
    agent.policy.model.measure_once(batch.observation, batch.goal)
    strides = []
    for layer in agent.policy.model.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(lambda _, inputs, __: strides.append(inputs[0].stride(1)))
    agent.update(batch)
    assert strides == [1] * 6
