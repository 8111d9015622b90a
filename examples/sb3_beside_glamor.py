"""Compare Stable-Baselines3's algorithms with this library's, on one environment.

    python examples/sb3_beside_glamor.py --steps 10000
    python examples/sb3_beside_glamor.py --task Pong --steps 20000

Any agent with Stable-Baselines3's ``predict`` is evaluated in the same way, on the same goals and
from the same starts. SB3's algorithms treat STOP like any other action.

* DQN + HER is rewarded whenever the frame equals the goal picture. With a discount of 0.5, which
  the paper uses in the grid world, it is better to stop there than to leave and come back. Its
  replay stores each frame once.
* PPO and QR-DQN have no relabelling and would hardly ever see a reward for equal pictures. With
  ``reward="labels"`` they are rewarded for success instead, an advantage over the others. QR-DQN
  needs sb3-contrib; ``--only`` leaves it out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm

import glamor_gym
from glamor_gym import DiscernAgent, GCSLAgent, GlamorAgent, HindsightFrameBuffer
from glamor_gym.experiments import preset_for
from glamor_gym.tasks import get_task
from glamor_gym.types import EvaluationResult

GAMMA = 0.5

Train = Callable[[str, int, int, str | None], BaseAlgorithm]
"""Trains on a task, with a number of steps, a seed and a preset (None: the commands' choice)."""


def train_dqn(task: str, steps: int, seed: int, preset: str | None) -> BaseAlgorithm:
    """Train DQN on its own episodes and on relabelled ones (HER)."""
    agent = DQN(
        "MultiInputPolicy",
        gym.make(task),
        replay_buffer_class=HindsightFrameBuffer,
        replay_buffer_kwargs={"n_sampled_goal": 4},
        learning_rate=1e-3,
        batch_size=128,
        gamma=GAMMA,
        learning_starts=max(100, steps // 10),  # after the first complete episodes
        train_freq=1,
        target_update_interval=500,
        exploration_fraction=0.5,
        seed=seed,
    )
    return agent.learn(steps)


def train_qrdqn(task: str, steps: int, seed: int, preset: str | None) -> BaseAlgorithm:
    """Train QR-DQN with reward for success, without relabelling, from the same kind of replay."""
    from sb3_contrib import QRDQN  # which the others do not need

    agent = QRDQN(
        "MultiInputPolicy",
        gym.make(task, reward="labels"),
        replay_buffer_class=HindsightFrameBuffer,
        replay_buffer_kwargs={"n_sampled_goal": 0},
        learning_rate=1e-3,
        gamma=0.95,
        learning_starts=max(100, steps // 10),  # after the first complete episodes
        train_freq=4,
        target_update_interval=500,
        exploration_fraction=0.5,
        seed=seed,
    )
    return agent.learn(steps)


def train_ppo(task: str, steps: int, seed: int, preset: str | None) -> BaseAlgorithm:
    """Train PPO with reward for success."""
    env = gym.make(task, reward="labels")
    n_steps = max(64, min(512, steps) // 64 * 64)
    agent = PPO("MultiInputPolicy", env, n_steps=n_steps, gamma=0.95, ent_coef=0.01, seed=seed)
    return agent.learn(steps)


def train_own(
    agent_class: type[GlamorAgent] | type[GCSLAgent] | type[DiscernAgent], name: str
) -> Train:
    """Return a function that trains an agent of this library, which does not use rewards."""

    def train(task: str, steps: int, seed: int, preset: str | None) -> BaseAlgorithm:
        preset = preset or preset_for(task, name)
        settings = agent_class.preset(preset) | {"learning_starts": steps // 10}
        return agent_class(gym.make(task), **settings, seed=seed).learn(steps)

    return train


ALGORITHMS: dict[str, Train] = {
    "GLAMOR": train_own(GlamorAgent, "glamor"),
    "GCSL": train_own(GCSLAgent, "gcsl"),
    "DISCERN": train_own(DiscernAgent, "discern"),
    "DQN + HER": train_dqn,
    "QR-DQN": train_qrdqn,
    "PPO": train_ppo,
}


def main(
    steps: int,
    seed: int,
    task: str = "GridWorld",
    preset: str | None = None,
    names: Sequence[str] = tuple(ALGORITHMS),
    **evaluation: Any,
) -> dict[str, EvaluationResult]:
    """Train each algorithm; print and return its evaluation.

    Training takes at least `steps` environment steps: PPO takes whole rollouts.
    """
    id = get_task(task).id
    results = {}
    print(id)
    for name in names:
        began = time.perf_counter()
        agent = ALGORITHMS[name](id, steps, seed, preset)
        seconds = time.perf_counter() - began
        results[name] = glamor_gym.evaluate(agent, id, seed=seed, **evaluation)
        low, high = results[name].confidence_interval
        print(
            f"{name:10} reached {results[name].success_rate:.2f} ({low:.2f} to {high:.2f}), "
            f"trained for {agent.num_timesteps:,} steps in {seconds:.0f} s"
        )
    print(f"{'random':10} reached {results[names[0]].random:.2f}")
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10_000, help="environment steps for each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--task", default="GridWorld", help="name or id of a task")
    parser.add_argument("--preset", help="of this library's agents; by default chosen by task")
    parser.add_argument("--only", nargs="+", choices=ALGORITHMS, default=list(ALGORITHMS))
    arguments = parser.parse_args()
    main(arguments.steps, arguments.seed, arguments.task, arguments.preset, arguments.only)
