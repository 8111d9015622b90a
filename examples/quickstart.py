"""Train an agent to reach goal pictures, print one of its plans, and evaluate it.

python examples/quickstart.py                                 # a small world, half a minute
python examples/quickstart.py glamor/Seaquest-v0 --steps 30000   # from pixels
"""

from __future__ import annotations

import argparse

import gymnasium as gym

import glamor_gym
from glamor_gym import GlamorAgent
from glamor_gym.experiments import preset_for


def main(task: str, preset: str | None, steps: int, seed: int) -> float:
    """Train on `task`, print a plan, and return the share of goals that the agent reaches."""
    settings = GlamorAgent.preset(preset or preset_for(task))
    env = gym.make(task)
    agent = GlamorAgent(env, **settings, seed=seed).learn(steps)

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
        "--preset",
        help="by default chosen by task: small for vectors, compact-control where nothing moves "
        "by itself, else compact",
    )
    parser.add_argument("--steps", type=int, default=10_000, help="environment steps")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    main(arguments.task, arguments.preset, arguments.steps, arguments.seed)
