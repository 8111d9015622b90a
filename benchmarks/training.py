"""Training on Pong from end to end, compared with a plain implementation of the same loop.

Both play Pong at replay ratio 4 with the paper's encoder, plan once per episode, follow the plan
ε-greedily, and make an update of 200 tuples every 50 steps. The plain loop has one environment, the
textbook planner, a list of trajectories and a float32 loss. The note of the row in
``python -m benchmarks.run training`` is the environment steps per second of both, and how their
time is spent.
"""

from __future__ import annotations

import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal, get_args

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray

import glamor_gym  # noqa: F401  (registers the environments)
from benchmarks.replay import ListReplay
from benchmarks.textbook import plan_textbook
from benchmarks.timing import Comparison, compare
from benchmarks.update import descend, plain_contexts, plain_loss, plain_optimizer
from glamor_gym.agents import GlamorAgent
from glamor_gym.agents.settings import GlamorSettings
from glamor_gym.models import GlamorModel
from glamor_gym.models.encoders import EncoderName
from glamor_gym.planners import PlannerSettings
from glamor_gym.types import Trajectory

ID, HORIZON, N_ENVS = "glamor/Pong-v0", 50, 4
ROUND = N_ENVS * HORIZON
"""Steps in which each of the project's environments plays one episode."""

SETTINGS = GlamorSettings(replay_ratio=4, learning_starts=ROUND, buffer_size=100 * ROUND)
"""The paper's settings, except that learning starts after the first episodes."""

Phase = Literal["collect", "plan", "sample", "update"]


class PhaseClock:
    """Sums the seconds that a training loop spends in total and in each phase."""

    def __init__(self) -> None:
        self.steps = 0
        self.total = 0.0
        self.seconds: defaultdict[Phase, float] = defaultdict(float)

    @contextmanager
    def phase(self, name: Phase) -> Iterator[None]:
        """Add a block's time to a phase; as a decorator, that of every call."""
        begun = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - begun

    def run(self, learn: Callable[[int], object], steps: int) -> None:
        """Run a loop for `steps` steps, and add its time to the total."""
        begun = time.perf_counter()
        learn(steps)
        self.total += time.perf_counter() - begun
        self.steps += steps

    @property
    def rate(self) -> float:
        """Environment steps per second."""
        return self.steps / self.total

    def shares(self) -> dict[str, float]:
        """Return the share of the time in each phase, and of all other work."""
        shares: dict[str, float] = {
            phase: self.seconds[phase] / self.total for phase in get_args(Phase)
        }
        return {**shares, "other": 1.0 - sum(shares.values())}

    def __str__(self) -> str:
        shares = ", ".join(f"{phase} {share:.1%}" for phase, share in self.shares().items())
        return f"{self.rate:.0f} steps/s ({shares})"


class ProjectTraining:
    """The project's agent, with its methods wrapped to time each phase.

    Args:
        settings: settings of the agent.
        encoder: encoder of its model.
        seed: random seed.
    """

    def __init__(
        self, settings: GlamorSettings, encoder: EncoderName = "residual", seed: int = 0
    ) -> None:
        # Episodes that end are reset in the same step, so that all environments stay in phase and
        # every round has the same number of plans.
        env = gym.make_vec(ID, num_envs=N_ENVS, autoreset_mode="SameStep")
        self.agent = GlamorAgent(
            env,
            **settings.as_dict(),
            policy_kwargs={"encoder": encoder},
            seed=seed,
            device="cpu",
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="nothing will be learned")  # not yet
            self.learn(settings.learning_starts)
        self.clock = PhaseClock()
        timed: tuple[tuple[Any, str, Phase], ...] = (
            (self.agent.env, "step", "collect"),
            (self.agent, "collect", "plan"),
            (self.agent.replay_buffer, "sample", "sample"),
            (self.agent, "update", "update"),
        )
        for owner, method, phase in timed:
            setattr(owner, method, self.clock.phase(phase)(getattr(owner, method)))

    def learn(self, steps: int) -> None:
        """Continue training for `steps` environment steps."""
        self.agent.learn(steps, reset_num_timesteps=False)

    @property
    def n_updates(self) -> int:
        """Number of updates so far."""
        return self.agent._n_updates

    def close(self) -> None:
        """Close the environments."""
        assert self.agent.env is not None
        self.agent.env.close()


class PlainTraining:
    """A straightforward implementation of the same algorithm.

    Args:
        settings: settings of the agent.
        encoder: encoder of its model.
        seed: random seed.
    """

    def __init__(
        self, settings: GlamorSettings, encoder: EncoderName = "residual", seed: int = 0
    ) -> None:
        self.settings = settings
        self.clock = PhaseClock()
        self.env = gym.make(ID)
        space, actions = self.env.observation_space, self.env.action_space
        assert isinstance(space, gym.spaces.Dict)
        assert isinstance(actions, gym.spaces.Discrete)
        self.n_actions = int(actions.n) - 1
        torch.manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.model = GlamorModel(space, self.n_actions, encoder=encoder)
        self.optimizer = plain_optimizer(self.model, settings.learning_rate)
        self.replay = ListReplay([], self.n_actions)
        self.n_steps = self.n_updates = 0
        self._begin_episode(seed)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="nothing will be learned")  # not yet
            self.learn(settings.learning_starts)
        self.clock = PhaseClock()

    def learn(self, steps: int) -> None:
        """Continue training for `steps` environment steps."""
        for _ in range(steps):
            self._step(self._choose_action())
            while self.n_updates < self.settings.updates_due(self.n_steps):
                with self.clock.phase("sample"):
                    batch = self.replay.sample(self.settings.batch_size)
                with self.clock.phase("update"):
                    descend(self.model, self.optimizer, plain_loss(self.model, batch))
                self.n_updates += 1

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def _begin_episode(self, seed: int | None = None) -> None:
        self.observation, _ = self.env.reset(seed=seed)
        self.achieved = [self.observation["achieved_goal"]]
        self.actions: list[int] = []
        self.plan: NDArray[np.int64] = np.zeros(0, np.int64)

    def _choose_action(self) -> int:
        """Follow the episode's plan ε-greedily; act at random after its end."""
        taken = len(self.actions)
        if taken == 0 and self.n_updates:
            with self.clock.phase("plan"):
                self.plan = self._make_plan()
        explores = self.rng.random() < self.settings.exploration_eps(self.n_steps)
        if explores or taken >= len(self.plan):
            return int(self.rng.integers(self.n_actions))
        return int(self.plan[taken])

    def _step(self, action: int) -> None:
        with self.clock.phase("collect"):
            self.observation, _, terminated, truncated, _ = self.env.step(action)
        self.n_steps += 1
        self.actions.append(action)
        self.achieved.append(self.observation["achieved_goal"])
        if terminated or truncated:
            episode = Trajectory(np.stack(self.achieved), np.array(self.actions))
            self.replay.trajectories.append(episode)
            with self.clock.phase("collect"):
                self._begin_episode()

    @torch.inference_mode()
    def _make_plan(self) -> NDArray[np.int64]:
        model = self.model
        stack, goal = (
            torch.from_numpy(self.observation[key])[None] for key in ("observation", "desired_goal")
        )
        mixed, state = plain_contexts(model, stack, goal)
        steps_left = torch.tensor([HORIZON])
        decoders = (model.inverse_dynamics, model.prior)
        settings = PlannerSettings(n_trials=self.settings.n_trials)
        best = plan_textbook(*decoders, mixed, state, steps_left, settings, self.generator)
        return best.actions()


def measure(
    settings: GlamorSettings = SETTINGS, turns: int = 3, encoder: EncoderName = "residual"
) -> tuple[Comparison, PhaseClock, PhaseClock]:
    """Compare the time per environment step, including its share of planning and updates.

    Args:
        settings: settings of both loops.
        turns: number of rounds of episodes for each loop.
        encoder: encoder of both loops.

    Returns:
        The comparison, and the clocks of the project's loop and of the plain one.

    Raises:
        RuntimeError: the two loops made different numbers of updates.
    """
    project, plain = ProjectTraining(settings, encoder), PlainTraining(settings, encoder)
    comparison = compare(
        f"train on Pong, replay ratio {settings.replay_ratio:g}, {encoder} encoder: one step",
        "plain loop, one environment",
        lambda: project.clock.run(project.learn, ROUND),
        lambda: plain.clock.run(plain.learn, ROUND),
        target=3.0,
        turns=turns,
        fast_repeats=1,
        per=ROUND,
        plain_per=ROUND,
    )
    project.close()
    plain.close()
    if project.n_updates != plain.n_updates:
        raise RuntimeError(f"the loops made {project.n_updates} and {plain.n_updates} updates")
    note = f"{project.clock}; plain: {plain.clock}"
    return replace(comparison, note=note), project.clock, plain.clock


def run() -> Iterator[Comparison]:
    """Compare training end to end."""
    comparison, _, _ = measure()
    yield comparison
