"""The agents' updates: how many, on which batches, on which thread.

In: a replay, and what one update does (:meth:`BatchLearner.update`). Out: as many updates as the
replay ratio asks for while data is collected, or as many as one likes without any.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self

import torch
from gymnasium import spaces
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.utils import configure_logger
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor
from tqdm import trange

from glamor_gym.agents.background import Background
from glamor_gym.agents.model_policy import ModelPolicy
from glamor_gym.agents.settings import CollectionSettings, SettingAttribute
from glamor_gym.checks import as_instance, as_integer
from glamor_gym.replay.trajectory_store import TrajectoryStore

Metrics = dict[str, float]


class BatchLearner(OffPolicyAlgorithm):
    """An SB3 off-policy algorithm that makes its updates on batches from a replay.

    Args:
        policy: see SB3.
        env: see SB3.
        settings: the agent's hyper-parameters.
        **kwargs: SB3's other arguments, without those that follow from the settings.

    Attributes:
        overlap: whether updates run on a separate thread while the environments step. The result is
            the same (on a CPU, bit for bit): each update gets the samples that it would have got
            without, and the agent's methods wait for it. Call :meth:`finish_updates` before you
            read `policy` itself. True by default for agents that act by plans, on CUDA; may be
            assigned.
    """

    acts_by_plan: ClassVar[bool] = False
    """Whether data collection reads the policy only at the start of an episode, and :meth:`update`
    never accesses the replay, so that updates may overlap the steps in between."""

    learning_rate = SettingAttribute()
    buffer_size = SettingAttribute()
    learning_starts = SettingAttribute()
    batch_size = SettingAttribute()

    observation_space: spaces.Dict
    action_space: spaces.Discrete
    policy: ModelPolicy
    replay_buffer: TrajectoryStore  # type: ignore[assignment]

    def __init__(
        self,
        policy: str | type[BasePolicy],
        env: VecEnv | None,
        settings: CollectionSettings,
        **kwargs: Any,
    ) -> None:
        self.settings = settings
        super().__init__(
            policy,
            env,  # type: ignore[arg-type]
            learning_rate=settings.learning_rate,
            buffer_size=settings.buffer_size,
            learning_starts=settings.learning_starts,
            batch_size=settings.batch_size,
            gamma=getattr(settings, "gamma", 1.0),
            train_freq=(1, "step"),
            support_multi_env=True,
            sde_support=False,
            **kwargs,
        )
        self._updates_before = 0
        self.overlap = self.acts_by_plan and self.device.type == "cuda"
        self._updates: Background[list[Metrics]] = Background()

    @abstractmethod
    def update(self, batch: Any) -> dict[str, torch.Tensor]:
        """Take one gradient step; return the values to log under ``train/``.

        Args:
            batch: a sample from the replay.
        """

    def _updates_due(self) -> int:
        """Return how many updates the replay ratio asks for now."""
        due = self._updates_before + self.settings.updates_due(self.num_timesteps)
        return max(0, due - self._n_updates) if len(self.replay_buffer) else 0

    def learn_offline(
        self, n_updates: int, *, log_interval: int | None = 100, progress_bar: bool = False
    ) -> Self:
        """Train on the episodes in the replay, without taking steps in an environment.

        They come from :meth:`load_replay_buffer`, or from anywhere else by
        :meth:`replay_buffer.add_episode <glamor_gym.replay.TrajectoryReplay.add_episode>`. The
        learning rate takes its whole schedule.

        Args:
            n_updates: number of updates, each on `batch_size` training tuples.
            log_interval: updates between two log entries, which are numbered by updates; None for
                no entries.
            progress_bar: whether to show a progress bar.

        Returns:
            The agent.

        Raises:
            ValueError: `n_updates` or `log_interval` is below 1, or the replay is empty.
            TypeError: an argument is of the wrong type.
            FloatingPointError: a loss is NaN or infinite.
        """
        n_updates = as_integer(n_updates, name="n_updates", low=1)
        if log_interval is not None:
            log_interval = as_integer(log_interval, name="log_interval", low=1)
        as_instance(progress_bar, bool, name="progress_bar")
        if not len(self.replay_buffer):
            raise ValueError(
                "replay_buffer is empty: fill it by load_replay_buffer or replay_buffer.add_episode"
            )
        for number in trange(n_updates, unit="update", disable=not progress_bar):
            self._update_current_progress_remaining(number, n_updates)
            self.train(1, self.batch_size)
            if log_interval is not None and (number + 1) % log_interval == 0:
                self.finish_updates()
                self.logger.dump(self._n_updates)
        self.finish_updates()
        return self

    def train(self, gradient_steps: int, batch_size: int) -> None:
        """Make updates on batches from the replay.

        :meth:`learn` calls it for those that are due by the replay ratio; updates beyond these,
        made by a call of one's own, do not count among those that fall due later.

        Args:
            gradient_steps: number of updates.
            batch_size: training tuples per update.

        Raises:
            ValueError: `gradient_steps` is below 1, or the replay is empty.
            TypeError: `gradient_steps` is not an integer.
            FloatingPointError: a loss is NaN or infinite.
        """
        as_integer(gradient_steps, name="gradient_steps", low=1)
        self.finish_updates()
        self._setup_logger()
        self._update_learning_rate(self.policy.optimizer)
        numbers = range(self._n_updates + 1, self._n_updates + gradient_steps + 1)
        if self.overlap:
            batches = [self.replay_buffer.sample(batch_size, self.device) for _ in numbers]
            self._updates.begin(lambda: self._make_updates(numbers, batches))
            self._n_updates = numbers[-1]  # counted as done: finish_updates waits for them
        else:
            for number in numbers:
                batch = self.replay_buffer.sample(batch_size, self.device)
                self._record(self._make_updates([number], [batch]))
                self._n_updates = number
        asked_for = self.settings.updates_due(self.num_timesteps)
        self._updates_before = max(self._updates_before, self._n_updates - asked_for)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def _setup_logger(self) -> None:
        """Make a logger as `learn` does, if there is none yet; `learn` will make its own."""
        if not hasattr(self, "_logger"):
            name = type(self).__name__
            self._logger = configure_logger(self.verbose, self.tensorboard_log, name)

    def finish_updates(self) -> None:
        """Wait for overlapping updates; call it before reading weights or random generators.

        Raises:
            FloatingPointError: a loss is NaN or infinite.
        """
        self._record(self._updates.take() or ())

    def __getstate__(self) -> dict[str, Any]:
        """Return all attributes for copies and pickles, once running updates have finished."""
        self.finish_updates()
        return vars(self)

    def _make_updates(self, numbers: Sequence[int], batches: Sequence[Any]) -> list[Metrics]:
        """Make an update on each batch and return the values to log.

        Raises:
            FloatingPointError: a loss is NaN or infinite.
        """
        self.policy.set_training_mode(True)
        made = [self.update(batch) for batch in batches]
        self.policy.set_training_mode(False)
        # In one transfer: each transfer from a GPU waits for all work before it.
        values = torch.stack([torch.stack([*map(Tensor.float, each.values())]) for each in made])
        metrics = [
            dict(zip(each, row, strict=True))
            for each, row in zip(made, values.tolist(), strict=True)
        ]
        for number, each in zip(numbers, metrics, strict=True):
            for name, value in each.items():
                if not math.isfinite(value):
                    raise FloatingPointError(
                        f"{name} is {value} at update {number} (step {self.num_timesteps}): either "
                        "observations are not finite, or the learning rate is too high"
                    )
        return metrics

    def _descend(self, loss: Tensor) -> Tensor:
        """Descend the gradient of a loss by one step; return its norm before clipping."""
        self.policy.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        weights = self.policy.model.parameters()
        norm = torch.nn.utils.clip_grad_norm_(weights, self.settings.max_grad_norm)
        self.policy.optimizer.step()
        return norm.detach()

    def _record(self, metrics: Iterable[Metrics]) -> None:
        for each in metrics:
            for name, value in each.items():
                self.logger.record_mean(f"train/{name}", value)
