"""GridWorld: time and steps until goals are reached by shortest paths, compared with DQN + HER."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
from gymnasium import spaces
from stable_baselines3 import DQN, HerReplayBuffer
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

import glamor_gym  # noqa: F401  (registers the environments)
from benchmarks.timing import Comparison, torch_threads
from glamor_gym.agents import GlamorAgent
from glamor_gym.evaluation import shortest_path_rate

ID = "glamor/GridWorld-v0"


@dataclass(frozen=True)
class Outcome:
    """Seconds (without evaluations) and steps of training until the end, and the final rate."""

    seconds: float
    steps: int
    rate: float


class UntilShortestPaths(BaseCallback):
    """Stops training once enough goals are reached by a shortest path, and measures its time."""

    def __init__(self, every: int, wanted: float) -> None:
        super().__init__()
        self.every, self.wanted = every, wanted
        self.rate, self.evaluating, self.due = 0.0, 0.0, every

    def _on_training_start(self) -> None:
        self.begun = time.perf_counter()

    def _on_step(self) -> bool:
        if self.num_timesteps < self.due:
            return True
        self.due += self.every
        begun = time.perf_counter()
        player = SimpleNamespace(predict=self.model.predict)  # hides its spaces: it may lack STOP
        self.rate = shortest_path_rate(player, must_stop=False)
        self.evaluating += time.perf_counter() - begun
        return self.rate < self.wanted

    def outcome(self) -> Outcome:
        """Return the outcome of the training."""
        seconds = time.perf_counter() - self.begun - self.evaluating
        return Outcome(seconds, self.num_timesteps, self.rate)


class WithoutStop(gym.ActionWrapper[Any, int, Any]):
    """GridWorld without STOP: DQN is rewarded for every step at the goal and does not need it."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.action_space: gym.Space[Any] = spaces.Discrete(env.get_wrapper_attr("stop_action"))

    def action(self, action: int) -> int:
        """Return the action unchanged."""
        return action


def glamor(seed: int, n_envs: int = 8) -> BaseAlgorithm:
    """Return GLAMOR with the preset for small worlds, in a vector environment."""
    env = gym.make_vec(ID, num_envs=n_envs, vectorization_mode="sync", goals="all")
    return GlamorAgent(env, **GlamorAgent.preset("small"), seed=seed, device="cpu")


def dqn_her(seed: int) -> BaseAlgorithm:
    """Return DQN + HER as a user of SB3 would set it up, with more frequent target updates.

    By default, the target network is updated every 10,000 steps, before which nothing is learned.
    """
    return DQN(
        "MultiInputPolicy",
        WithoutStop(gym.make(ID, goals="all")),
        learning_rate=1e-3,
        batch_size=128,
        gamma=0.95,
        learning_starts=500,
        train_freq=4,
        target_update_interval=500,
        exploration_fraction=0.2,
        replay_buffer_class=HerReplayBuffer,
        replay_buffer_kwargs={"n_sampled_goal": 4},
        seed=seed,
        device="cpu",
    )


def train(
    make: Callable[[int], BaseAlgorithm], seed: int, wanted: float, steps: int, every: int = 250
) -> Outcome:
    """Train until the rate or the limit of steps is reached; it is enough to pass the goal."""
    callback = UntilShortestPaths(every, wanted)
    make(seed).learn(steps, callback=callback)
    return callback.outcome()


def run(seeds: tuple[int, ...] = (0, 1, 2, 3, 4), wanted: float = 1.0) -> Iterator[Comparison]:
    """Compare the time until all goals are reached by a shortest path.

    DQN that does not get there counts with the time to its last step.

    Raises:
        RuntimeError: GLAMOR does not get there, so that there is no time to compare.
    """
    with torch_threads(1):  # networks this small are slower with more
        ours = [train(glamor, seed, wanted, 20_000) for seed in seeds]
        missed = [seed for seed, one in zip(seeds, ours, strict=True) if one.rate < wanted]
        if missed:
            raise RuntimeError(f"GLAMOR's seeds {missed} did not reach {wanted:.0%} of the goals")
        theirs = [train(dqn_her, seed, wanted, 20_000) for seed in seeds]
    ratios = [b.seconds / a.seconds for a, b in zip(ours, theirs, strict=True)]
    yield Comparison(
        f"GridWorld until {wanted:.0%} of 49 goals are reached by a shortest path",
        "SB3 DQN + HerReplayBuffer",
        fast_ms=1e3 * median(a.seconds for a in ours),
        plain_ms=1e3 * median(b.seconds for b in theirs),
        ratio=median(ratios),
        low=min(ratios),
        high=max(ratios),
        target=1.0,
        note=f"steps {[a.steps for a in ours]} and {[b.steps for b in theirs]}; "
        f"rates {[round(a.rate, 2) for a in ours]} and {[round(b.rate, 2) for b in theirs]}",
    )
