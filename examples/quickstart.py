"""Train an agent to reach goal pictures, print one of its plans, and evaluate it.

python examples/quickstart.py                                 # a small world, half a minute
python examples/quickstart.py glamor/Seaquest-v0 --preset compact --steps 30000   # from pixels
"""

from __future__ import annotations

import argparse

import gymnasium as gym

import glamor_gym
from glamor_gym import GlamorAgent


def main(task: str, preset: str, steps: int, seed: int) -> float:
    """Train on `task`, print a plan, and return the share of goals that the agent reaches."""
    env = gym.make(task)
    agent = GlamorAgent(env, **GlamorAgent.preset(preset), seed=seed).learn(steps)

    observation, _ = env.reset(seed=seed)
    action, _ = agent.predict(observation)
    print(f"plan: {agent.plan(observation).actions().tolist()}, first action: {action}")

    result = glamor_gym.evaluate(agent, task, seed=seed)
    low, high = result.confidence_interval
    print(
        f"goals reached: {result.success_rate:.2f} ({low:.2f} to {high:.2f}); "
        f"random agent: {result.random:.2f}, no-op agent: {result.noop:.2f}"
    )
    return result.success_rate


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", nargs="?", default="glamor/GridWorld-v0")
    parser.add_argument(
        "--preset", default="small", help="small: vectors, compact: games, compact-control: control"
    )
    parser.add_argument("--steps", type=int, default=10_000, help="environment steps")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    main(arguments.task, arguments.preset, arguments.steps, arguments.seed)
