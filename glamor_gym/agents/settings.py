"""Settings of the agents: one frozen dataclass each, validated when it is made.

In: values from a user, a preset or a saved file. Out: the same values, validated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

from stable_baselines3.common.utils import ConstantSchedule

from glamor_gym.checks import CheckedFields, as_choice, as_integer, as_number, as_probability
from glamor_gym.planners.settings import SearchSettings

DataPolicy = Literal["open_loop", "random"]
CloningDataPolicy = Literal["reactive", "random"]
Precision = Literal["auto", "float32", "bfloat16"]
LearningRateSchedule = Literal["constant", "cosine"]


@dataclass(frozen=True)
class CollectionSettings(CheckedFields):
    """What all image-goal agents share: optimiser, replay, number of updates, exploration.

    Attributes:
        learning_rate: of AdamW.
        lr_schedule: ``"constant"``, or ``"cosine"`` from `learning_rate` to a hundredth of it at
            the end of :meth:`learn`.
        weight_decay: of AdamW, decoupled.
        max_grad_norm: gradients are scaled down to this norm.
        buffer_size: frames kept in the replay.
        learning_starts: environment steps before the first update, taken at random.
        batch_size: training tuples in an update.
        replay_ratio: training tuples seen per environment step, whatever the number of
            environments: an update falls due every batch_size / replay_ratio steps.
        exploration_final_eps: final ε, the share of random actions; it starts at 1.
        exploration_steps: environment steps over which ε falls linearly.
        exploration_persistence: probability that a random action repeats the previous one. Where
            one action moves little, runs of the same action travel further.
        precision: of the encoders. ``"auto"`` is bfloat16 for pictures if the device has
            instructions for it, else float32 (on CUDA, convolutions in float32 may use TF32 as
            PyTorch is set up to). In GLAMOR, the layers that mix embeddings (with
            ``stopping="duration"``, the first of them) and those that predict durations compute as
            the encoders do; all other layers, sampling and losses are always float32.

    Raises:
        ValueError: a setting is out of range or of the wrong type; the message names it.
    """

    learning_rate: float = 5e-4
    lr_schedule: LearningRateSchedule = "constant"
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    buffer_size: int = 1_000_000
    learning_starts: int = 50_000
    batch_size: int = 200
    replay_ratio: float = 4
    exploration_final_eps: float = 0.1
    exploration_steps: int = 300_000
    exploration_persistence: float = 0.0
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        given: object = self.learning_rate
        if isinstance(given, ConstantSchedule):  # which is how RL Zoo hands numbers over
            object.__setattr__(self, "learning_rate", given.val)
        elif callable(given):
            raise ValueError(
                f"learning_rate must be a number, got {given!r}; lr_schedule sets its schedule"
            )
        self._check("learning_rate", as_number, above=0)
        self._check("lr_schedule", as_choice, get_args(LearningRateSchedule))
        self._check("weight_decay", as_number, low=0)
        self._check("max_grad_norm", as_number, above=0)
        self._check("buffer_size", as_integer, low=2)
        self._check("learning_starts", as_integer, low=0)
        self._check("batch_size", as_integer, low=1)
        self._check("replay_ratio", as_number, low=0)
        self._check("exploration_final_eps", as_probability)
        self._check("exploration_steps", as_integer, low=0)
        self._check("exploration_persistence", as_number, low=0, high=0.99)
        self._check("precision", as_choice, get_args(Precision))

    def exploration_eps(self, num_timesteps: int) -> float:
        """Return ε after that many environment steps."""
        if self.exploration_steps == 0:
            return self.exploration_final_eps
        progress = min(1.0, num_timesteps / self.exploration_steps)
        return 1.0 + progress * (self.exploration_final_eps - 1.0)

    @property
    def collects_at_random(self) -> bool:
        """Whether all data is of random actions; only agents with a `data_policy` can."""
        return getattr(self, "data_policy", None) == "random"

    @property
    def first_update(self) -> float:
        """Number of environment steps after which the first update falls due."""
        if not self.replay_ratio:
            return math.inf
        return self.learning_starts + self.batch_size / self.replay_ratio

    def updates_due(self, num_timesteps: int) -> int:
        """Return how many updates should have been made after that many environment steps."""
        steps = max(0, num_timesteps - self.learning_starts)
        return int(steps * self.replay_ratio / self.batch_size)

    def scheduled_learning_rate(self, progress_remaining: float) -> float:
        """Return the learning rate with that share (1 to 0) of the training left."""
        if self.lr_schedule == "constant":
            return self.learning_rate
        cosine = 0.5 * (1.0 - math.cos(math.pi * min(1.0, max(0.0, progress_remaining))))
        return self.learning_rate * (0.01 + 0.99 * cosine)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON-able values."""
        return asdict(self)

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Self:
        """Return the settings that are among the arguments of an agent."""
        return cls(**{name: arguments[name] for name in cls.names()})

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of all settings."""
        return tuple(field.name for field in fields(cls))


class SettingAttribute:
    """An attribute of SB3's algorithms that is one of an agent's settings, and read only.

    SB3's constructor assigns what the setting is anyway. A later assignment would change some of
    what the setting decides and not the rest, so it is refused.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, agent: Any, owner: type | None = None) -> Any:
        return self if agent is None else getattr(agent.settings, self._name)

    def __set__(self, agent: Any, value: Any) -> None:
        if value != self.__get__(agent):
            raise AttributeError(
                f"{self._name} is fixed at {self.__get__(agent)}: pass {self._name} to the "
                "constructor, or to load() or load_checkpoint() to continue with another value"
            )


@dataclass(frozen=True)
class GlamorSettings(SearchSettings, CollectionSettings):
    """GLAMOR's hyper-parameters: those of Fig. 5 of the paper, and what it leaves open.

    :class:`~glamor_gym.GlamorAgent` says what each of them does.

    Raises:
        ValueError: a setting is out of range or of the wrong type; the message names it.
    """

    prior_coef: float = 1.0
    data_policy: DataPolicy = "open_loop"
    stay_fraction: float = 0.0
    image_shift: int = 0

    def __post_init__(self) -> None:
        CollectionSettings.__post_init__(self)
        SearchSettings.__post_init__(self)
        self._check("prior_coef", as_number, low=0)
        self._check("data_policy", as_choice, get_args(DataPolicy))
        self._check("stay_fraction", as_number, low=0, high=0.99)
        self._check("image_shift", as_integer, low=0)


@dataclass(frozen=True)
class GCSLSettings(CollectionSettings):
    """GCSL's hyper-parameters; those that GLAMOR has as well have the same values (§4.3).

    :class:`~glamor_gym.GCSLAgent` says what each of them does.

    Raises:
        ValueError: a setting is out of range or of the wrong type; the message names it.
    """

    data_policy: CloningDataPolicy = "reactive"
    image_shift: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("data_policy", as_choice, get_args(CloningDataPolicy))
        self._check("image_shift", as_integer, low=0)


@dataclass(frozen=True)
class DiscernSettings(CollectionSettings):
    """DISCERN's hyper-parameters, on Rainbow's (§4.3 of the paper; Hessel et al., 2018).

    :class:`~glamor_gym.DiscernAgent` says what each of them does, and which are our choice.

    Raises:
        ValueError: a setting is out of range or of the wrong type; the message names it.
    """

    learning_rate: float = 6.25e-5
    weight_decay: float = 0.0
    max_grad_norm: float = 10.0
    batch_size: int = 128
    replay_ratio: float = 8
    exploration_final_eps: float = 0.01
    exploration_steps: int = 1_000_000
    gamma: float = 0.99
    evaluation_eps: float = 0.001
    n_steps: int = 3
    target_update_interval: int = 312
    priority_exponent: float = 0.6
    importance_exponent: float = 0.4
    n_decoys: int = 10
    relabelled_share: float = 0.5
    goal_buffer_size: int = 1_000

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("gamma", as_number, above=0, high=1)
        self._check("evaluation_eps", as_probability)
        self._check("n_steps", as_integer, low=1)
        self._check("target_update_interval", as_integer, low=1)
        self._check("priority_exponent", as_probability)
        self._check("importance_exponent", as_probability)
        self._check("n_decoys", as_integer, low=1)
        self._check("relabelled_share", as_probability)
        self._check("goal_buffer_size", as_integer, low=0)
