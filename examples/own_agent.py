"""An agent of one's own beside GLAMOR: what if it planned anew at every step of its training?

    python examples/own_agent.py
    cd examples
    glamor-gym benchmark --tasks GridWorld --agents glamor own_agent:ClosedLoop --steps 3000 --out b

GLAMOR follows one plan through each episode of its training, so that what the model learns of an
action depends on nothing that the agent saw on the way (paper, §3.5 and §A.2). The subclass below
breaks with that in one method; the commands find it as ``own_agent:ClosedLoop``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

import glamor_gym
from glamor_gym import GlamorAgent


class ClosedLoop(GlamorAgent):
    """GLAMOR that collects its data in closed loop, as it acts at evaluation."""

    acts_by_plan = False  # but anew at every step: no update may run beside it

    def collect(
        self, observations: Mapping[str, NDArray[Any]], starts: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """Take the first action of a new plan in each environment."""
        return self.plan(observations, stop="never").tokens[:, 0].cpu().numpy()


def main(task: str, preset: str, steps: int, seed: int) -> dict[str, float]:
    """Train both agents on `task`; print and return the share of goals that each reaches."""
    rates = {}
    for agent_class in (GlamorAgent, ClosedLoop):
        # By plans; some presets have random actions instead.
        settings = {**agent_class.preset(preset), "data_policy": "open_loop"}
        agent = agent_class(task, **settings, seed=seed).learn(steps)
        result = glamor_gym.evaluate(agent, task, seed=seed)
        low, high = result.confidence_interval
        print(f"{agent_class.__name__}: {result.success_rate:.2f} ({low:.2f} to {high:.2f})")
        rates[agent_class.__name__] = result.success_rate
    return rates


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", nargs="?", default="glamor/GridWorld-v0")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--steps", type=int, default=3_000, help="environment steps")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    main(arguments.task, arguments.preset, arguments.steps, arguments.seed)
