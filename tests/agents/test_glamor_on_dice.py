"""The die of Appendix A.1: what GLAMOR must learn there is known exactly.

Loaded always gives 1, fair each of six faces. At goal 1 the loaded die is six times as likely to
reach the goal as the fair one, whatever policy collected the data: z tells the ratio.
"""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from small_agents import make_agent

from glamor_gym.models import Packing, log_probs
from glamor_gym.types import Trajectory

FAIR, LOADED, STOP = 0, 1, 2
FACES = np.eye(6, dtype=np.float32)


def make_die():
    return gym.make("glamor/Dice-v0", goals="all")


def rolls(n: int, share_loaded: float) -> list[Trajectory]:
    """Play n one-step episodes with a data policy that takes the loaded die so often."""
    rng = np.random.default_rng(0)
    world, trajectories = make_die(), []
    world.reset(seed=0)
    for _ in range(n):
        before = world.reset()[0]
        action = int(rng.random() < share_loaded)
        after = world.step(action)[0]
        moments = [before["achieved_goal"], after["achieved_goal"]]
        first = [before["observation"], after["observation"]]
        trajectories.append(Trajectory(np.stack(moments), np.array([action]), np.stack(first)))
    return trajectories


@pytest.mark.parametrize("share_loaded", [0.5, 0.8], ids=["uniform", "skewed"])
def test_the_ratio_of_the_dice_at_goal_one_is_six_to_one_whatever_the_data_policy(share_loaded):
    agent = make_agent(make_die(), buffer_size=20_000, lr_schedule="cosine", learning_rate=3e-3)
    for trajectory in rolls(9_000, share_loaded):
        agent.replay_buffer.add(trajectory)
    n_updates = 300
    for update in range(n_updates):
        rate = agent.settings.scheduled_learning_rate(1 - update / n_updates)
        agent.policy.optimizer.param_groups[0]["lr"] = rate
        agent.update(agent.replay_buffer.sample(500))

    stored = agent.replay_buffer.state()
    action, face = stored["actions"].reshape(-1, 2)[:, 0], stored["achieved"][1::2].argmax(-1)
    assert abs((action == LOADED).mean() - share_loaded) < 0.03
    # The ratio that these very rolls show; it differs from 6 by sampling alone.
    shown = {a: (face[action == a] == 0).mean() for a in (FAIR, LOADED)}
    assert shown[LOADED] == 1.0

    goal, start = torch.from_numpy(FACES[:1]), torch.zeros(1, 6)
    ratio = {}
    with torch.no_grad():
        for a in (FAIR, LOADED):
            folded = agent.policy.model.fold(start, goal)
            packing = Packing.of(torch.tensor([2]), 2, "cpu")
            inverse, prior = log_probs(folded, torch.tensor([[a, STOP]]), packing)
            ratio[a] = (inverse[0] - prior[0]).exp().item()
    learned = ratio[LOADED] / ratio[FAIR]
    assert learned == pytest.approx(shown[LOADED] / shown[FAIR], rel=0.1)
    assert learned == pytest.approx(6.0, rel=0.15)


def test_it_takes_the_loaded_die_exactly_when_the_goal_is_one():
    agent = make_agent(
        make_die(), learning_starts=100, replay_ratio=20.0, batch_size=100, exploration_steps=800
    )
    agent.learn(1_200)
    batch = {
        "observation": np.zeros((6, 6), np.float32),
        "desired_goal": FACES,
        "steps_left": np.ones((6, 1), np.float32),
    }
    actions, _ = agent.predict(batch, deterministic=True)
    assert actions.tolist() == [LOADED, FAIR, FAIR, FAIR, FAIR, FAIR]
