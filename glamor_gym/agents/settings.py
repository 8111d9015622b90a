"""Settings of the agents: one frozen dataclass each, checked when it is made.

In: numbers from a user, a preset or a saved file. Out: the same numbers, known to be sound.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
from stable_baselines3.common.utils import ConstantSchedule

DataPolicy = Literal["open_loop", "closed_loop", "random"]
CloningDataPolicy = Literal["reactive", "random"]
Precision = Literal["auto", "float32", "bfloat16"]
LearningRateSchedule = Literal["constant", "cosine"]


@dataclass(frozen=True)
class CollectionSettings:
    """What every image-goal agent shares: its replay, its budget of updates, its exploration.

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
        exploration_final_eps: share of random actions in the end; it starts at 1.
        exploration_steps: environment steps over which that share falls, linearly.
        exploration_persistence: probability that a random action is the one before once more. Where
            a single action moves little, runs of them reach further, and a goal tells more of
            them.
        precision: of the encoders: ``"auto"`` takes bfloat16 for pictures where the device has
            instructions for it, else float32. Sampling and losses are always float32.
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
        """Check every number.

        Raises:
            ValueError: a setting is out of its range or of a wrong kind; the message names it.
        """
        given: object = self.learning_rate
        if isinstance(given, ConstantSchedule):  # which is how RL Zoo hands numbers over
            object.__setattr__(self, "learning_rate", given.val)
        elif callable(given):
            raise ValueError("learning_rate must be a number: lr_schedule says how it goes on")
        self._check_number("learning_rate", above=0.0)
        self._check_one_of("lr_schedule", ("constant", "cosine"))
        self._check_number("weight_decay", at_least=0.0)
        self._check_number("max_grad_norm", above=0.0)
        self._check_number("buffer_size", at_least=2, whole=True)
        self._check_number("learning_starts", at_least=0, whole=True)
        self._check_number("batch_size", at_least=1, whole=True)
        self._check_number("replay_ratio", at_least=0.0)
        self._check_number("exploration_final_eps", at_least=0.0, at_most=1.0)
        self._check_number("exploration_steps", at_least=0, whole=True)
        self._check_number("exploration_persistence", at_least=0.0, at_most=0.99)
        self._check_one_of("precision", ("auto", "float32", "bfloat16"))

    def exploration_eps(self, num_timesteps: int) -> float:
        """Return the share of random actions after that many environment steps."""
        if self.exploration_steps == 0:
            return self.exploration_final_eps
        progress = min(1.0, num_timesteps / self.exploration_steps)
        return 1.0 + progress * (self.exploration_final_eps - 1.0)

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
    def names(cls) -> tuple[str, ...]:
        """Return the names of all settings."""
        return tuple(field.name for field in fields(cls))

    def _check_number(
        self,
        name: str,
        *,
        above: float | None = None,
        at_least: float | None = None,
        at_most: float | None = None,
        whole: bool = False,
    ) -> None:
        value = getattr(self, name)
        if isinstance(value, np.integer | np.floating):
            value = value.item()  # which JSON knows
            object.__setattr__(self, name, value)
        kinds = (int,) if whole else (int, float)
        sound = (
            isinstance(value, kinds)
            and not isinstance(value, bool)
            and math.isfinite(value)
            and (above is None or value > above)
            and (at_least is None or value >= at_least)
            and (at_most is None or value <= at_most)
        )
        if not sound:
            bounds = {"above": above, "at least": at_least, "at most": at_most}
            wanted = " and ".join(
                f"{text} {bound}" for text, bound in bounds.items() if bound is not None
            )
            kind = "a whole number" if whole else "a number"
            raise ValueError(f"{name} must be {kind} {wanted}, got {value!r}")

    def _check_one_of(self, name: str, allowed: tuple[str | bool, ...]) -> None:
        value = getattr(self, name)
        if not isinstance(value, str | bool) or value not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(map(str, allowed))}; got {value!r}")


@dataclass(frozen=True)
class GlamorSettings(CollectionSettings):
    """GLAMOR's hyper-parameters (Fig. 5 of the paper), and what it leaves open.

    Attributes:
        gamma: γ of Eq. 8, the taste for short plans.
        n_trials: number N of candidate plans.
        clip_log_prob: tokens less likely than this under p_inv are not expanded.
        use_prior: subtract the action prior's log-probability (Eq. 8).
        vote: the first action is elected, see
            :class:`~glamor_gym.planners.PlannerSettings`; False in the paper, where the best
            candidate alone decides.
        prior_coef: α of Eq. 9.
        data_policy: ``"open_loop"``: plan once an episode and follow the plan (§3.5);
            ``"closed_loop"``: plan at each step, as the agent acts in earnest; ``"random"``:
            uniformly random actions (§A.4.1).
        stay_fraction: share of training tuples with k = 0, so that the model learns to know that
            it has arrived; the agent then looks again before it stops. 0 in the paper.
        arrival_probability: an agent that has learned to know that it has arrived, and plans by
            duration, ends its episode, after one more action where that is the likelier, once the
            goal is at most a step away with this probability.
        near_fraction: share of training tuples whose goal is at most 10 steps away: what a single
            action does shows there. 0 in the paper.
        far_fraction: share of training tuples whose k is uniform over a whole episode, so that
            goals at its other end come as often as those nearby. 0 in the paper.
        ema_decay: the planner uses an exponential moving average of the weights with this decay
            an update; 0 (as in the paper): the weights themselves.
        image_shift: pictures are shifted by up to this many pixels in training, observation and
            goal together; 0 (as in the paper): not at all.
    """

    gamma: float = 0.99
    n_trials: int = 50
    clip_log_prob: float = -3.15
    use_prior: bool = True
    vote: bool = False
    prior_coef: float = 1.0
    data_policy: DataPolicy = "open_loop"
    stay_fraction: float = 0.0
    arrival_probability: float = 0.2
    near_fraction: float = 0.0
    far_fraction: float = 0.0
    ema_decay: float = 0.0
    image_shift: int = 0

    def __post_init__(self) -> None:
        """Check every number.

        Raises:
            ValueError: a setting is out of its range or of a wrong kind; the message names it.
        """
        super().__post_init__()
        self._check_number("gamma", above=0.0, at_most=1.0)
        self._check_number("n_trials", at_least=1, whole=True)
        self._check_number("clip_log_prob", at_most=-1e-9)
        self._check_number("prior_coef", at_least=0.0)
        self._check_one_of("data_policy", get_args(DataPolicy))
        for name in ("use_prior", "vote"):
            self._check_one_of(name, (True, False))
        self._check_number("stay_fraction", at_least=0.0, at_most=0.99)
        self._check_number("arrival_probability", at_least=0.0, at_most=1.0)
        self._check_number("near_fraction", at_least=0.0, at_most=1.0)
        self._check_number("far_fraction", at_least=0.0, at_most=1.0)
        self._check_number("ema_decay", at_least=0.0, at_most=0.99999)
        self._check_number("image_shift", at_least=0, whole=True)


@dataclass(frozen=True)
class GCSLSettings(CollectionSettings):
    """GCSL's hyper-parameters: GLAMOR's own wherever there is one (§4.3).

    Attributes:
        data_policy: ``"reactive"``: ask the policy at each step; ``"random"``: uniformly random
            actions (§A.4.1).
        sample_actions: whether :meth:`GCSLAgent.predict` draws from the policy, as the paper's
            comparison does, or takes its most likely action.
        image_shift: as in :class:`GlamorSettings`.
    """

    data_policy: CloningDataPolicy = "reactive"
    sample_actions: bool = True
    image_shift: int = 0

    def __post_init__(self) -> None:
        """Check every number.

        Raises:
            ValueError: a setting is out of its range or of a wrong kind; the message names it.
        """
        super().__post_init__()
        self._check_one_of("data_policy", get_args(CloningDataPolicy))
        self._check_one_of("sample_actions", (True, False))
        self._check_number("image_shift", at_least=0, whole=True)


@dataclass(frozen=True)
class DiscernSettings(CollectionSettings):
    """DISCERN's hyper-parameters, on Rainbow's (§4.3 of the paper; Hessel et al., 2018).

    Attributes:
        gamma: discount.
        evaluation_eps: share of random actions when it acts in earnest.
        n_steps: n of the n-step returns.
        target_update_interval: updates between two copies to the target network.
        priority_exponent: α of prioritised replay.
        importance_exponent: β of prioritised replay at the start; it rises linearly to 1.
        n_decoys: K, number of goals among which the discriminator has to find the right one;
            its softmax has the inverse temperature K + 1. They are the goals of other rows of the
            batch, now and then the very same: where it has no K others, of all of them. Not
            published: our choice.
        relabelled_share: share of transitions whose goal is the last frame of their own
            trajectory, with reward 1. Not published: our choice.
        goal_buffer_size: number of goals that the agent sets itself; 0: it takes those of the
            environment. Not published: our choice.
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
        """Check every number.

        Raises:
            ValueError: a setting is out of its range or of a wrong kind; the message names it.
        """
        super().__post_init__()
        self._check_number("gamma", above=0.0, at_most=1.0)
        self._check_number("evaluation_eps", at_least=0.0, at_most=1.0)
        self._check_number("n_steps", at_least=1, whole=True)
        self._check_number("target_update_interval", at_least=1, whole=True)
        self._check_number("priority_exponent", at_least=0.0, at_most=1.0)
        self._check_number("importance_exponent", at_least=0.0, at_most=1.0)
        self._check_number("n_decoys", at_least=1, whole=True)
        self._check_number("relabelled_share", at_least=0.0, at_most=1.0)
        self._check_number("goal_buffer_size", at_least=0, whole=True)
