"""The die of Appendix A.1: what GLAMOR must learn there is known exactly.

Loaded always gives 1, fair each of six faces. At goal 1 the loaded die is six times as likely to
reach the goal as the fair one, whatever policy collected the data: z tells the ratio.
"""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch

from glamor_gym.experiments.paper.appendix_a1 import ratio_at_one
from glamor_gym.types import SegmentBatch
from tests.agents.small_agents import make_agent

FAIR, LOADED, STOP = 0, 1, 2
FACES = np.eye(6, dtype=np.float32)
# Wide enough that no network is without a unit that is awake.
WIDE = {"embedding_size": 64, "hidden_size": 64, "token_size": 16}


def make_die():
    return gym.make("glamor/Dice-v0", goals="all")


def rolls(share_loaded: float) -> SegmentBatch:
    """Sixty rolls under a policy that takes the loaded die so often, each face as expected."""
    n_loaded = round(60 * share_loaded)
    face = [0] * n_loaded + [k % 6 for k in range(60 - n_loaded)]
    die = torch.tensor([LOADED] * n_loaded + [FAIR] * (60 - n_loaded))
    return SegmentBatch(
        observation=torch.zeros(60, 6),
        goal=torch.from_numpy(FACES[face]),
        tokens=torch.stack((die, torch.full_like(die, STOP)), dim=1),
        length=torch.full((60,), 2),
    )


@pytest.mark.parametrize("share_loaded", [0.5, 0.8], ids=["uniform", "skewed"])
def test_the_ratio_of_the_dice_at_goal_one_is_six_to_one_whatever_the_data_policy(share_loaded):
    agent = make_agent(
        make_die(), lr_schedule="cosine", learning_rate=5e-3, policy_kwargs=dict(WIDE)
    )
    n_updates = 100
    for update in range(n_updates):
        rate = agent.settings.scheduled_learning_rate(1 - update / n_updates)
        agent.policy.optimizer.param_groups[0]["lr"] = rate
        agent.update(rolls(share_loaded))
    assert ratio_at_one(agent) == pytest.approx(6.0, rel=0.05)


def test_it_takes_the_loaded_die_exactly_when_the_goal_is_one():
    agent = make_agent(
        make_die(),
        learning_starts=100,
        replay_ratio=20.0,
        batch_size=100,
        learning_rate=3e-3,
        exploration_steps=300,
        policy_kwargs=dict(WIDE),
    )
    agent.learn(500)
    batch = {
        "observation": np.zeros((6, 6), np.float32),
        "desired_goal": FACES,
        "steps_left": np.ones((6, 1), np.float32),
    }
    actions, _ = agent.predict(batch, deterministic=True)
    assert actions.tolist() == [LOADED, FAIR, FAIR, FAIR, FAIR, FAIR]
