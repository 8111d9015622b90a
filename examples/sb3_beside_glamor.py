"""Stable-Baselines3's DQN with hindsight replay beside GLAMOR: one environment, one evaluation.

    python examples/sb3_beside_glamor.py --steps 10000

Any agent with Stable-Baselines3's ``predict`` is evaluated in the same way, on the same goals and
from the same starts. DQN is rewarded wherever the picture is the goal's; with a discount of 0.5,
the paper's in the grid world, it pays to stop there rather than to leave and come back.
"""

from __future__ import annotations

import argparse
import time

import gymnasium as gym
from stable_baselines3 import DQN, HerReplayBuffer

import glamor_gym
from glamor_gym import GlamorAgent
from glamor_gym.evaluation import shortest_path_rate
from glamor_gym.types import EvaluationResult

TASK = "glamor/GridWorld-v0"
GAMMA = 0.5


def train_dqn(steps: int, seed: int) -> DQN:
    """Train DQN on its own episodes, and on what they would have been good for."""
    agent = DQN(
        "MultiInputPolicy",
        gym.make(TASK),
        replay_buffer_class=HerReplayBuffer,
        replay_buffer_kwargs={"n_sampled_goal": 4, "copy_info_dict": True},
        learning_rate=1e-3,
        batch_size=128,
        gamma=GAMMA,
        learning_starts=steps // 10,
        train_freq=1,
        target_update_interval=500,
        exploration_fraction=0.5,
        seed=seed,
    )
    return agent.learn(steps)


def train_glamor(steps: int, seed: int) -> GlamorAgent:
    """Train GLAMOR, which takes no notice of rewards."""
    settings = GlamorAgent.preset("compact") | {"gamma": GAMMA, "learning_starts": steps // 10}
    return GlamorAgent(gym.make(TASK), **settings, seed=seed).learn(steps)


def main(steps: int, seed: int) -> dict[str, EvaluationResult]:
    """Train both for `steps` environment steps; print and return what they reach."""
    results = {}
    print(f"{TASK}, all 49 goals, after {steps:,} environment steps")
    for name, train in (("DQN + HER", train_dqn), ("GLAMOR", train_glamor)):
        began = time.perf_counter()
        agent = train(steps, seed)
        seconds = time.perf_counter() - began
        results[name] = glamor_gym.evaluate(agent, TASK, goals="all", seed=seed)
        print(
            f"{name:10} reached {results[name].success_rate:.2f}, "
            f"by a shortest way {shortest_path_rate(agent, TASK, seed=seed):.2f}, "
            f"trained in {seconds:.0f} s"
        )
    print(f"{'random':10} reached {results['GLAMOR'].random:.2f}")
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10_000, help="environment steps for each")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    main(arguments.steps, arguments.seed)
