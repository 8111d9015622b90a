"""GLAMOR: plan with an inverse dynamics model and an action prior (Paster, McIlraith & Ba, 2020).

In: observations with goals. Out: actions, or whole plans.

Algorithm 1 of the paper, and where each line of it is:

1. sample trajectories with the training policy and goals from p(g) … :meth:`GlamorAgent.collect`
2. add the tuples (s_1, a_1 … a_k, s_{k+1}) to the dataset ……………… `replay`, whole trajectories
3. descend the gradient of Equation 9 ……………………………………………… :meth:`GlamorAgent.update`
4. to act, plan by random shooting (Equation 8) …………………………… `plan` and `predict`, see
   :class:`~glamor_gym.agents.planning.PlanningAgent`

With ``preset("paper")``, this differs from the authors' code, for example: k is uniform over what
remains of a trajectory (theirs is uniform over T and cut at the end; the text takes all pairs of
observations), the observation after the last action is stored, and plans use the prior, as in the
text. `docs/differences.md` lists more. Other presets use arguments that are marked "not in the
paper". The largest of them is ``policy_kwargs={"stopping": "duration"}``: a plan's length is
predicted before its actions, see :mod:`glamor_gym.models.duration`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.policies import BasePolicy

from glamor_gym.agents.episodes import NO_ACTION
from glamor_gym.agents.plan_state import tokens_at
from glamor_gym.agents.planning import PlanningAgent
from glamor_gym.agents.policy import GlamorPolicy
from glamor_gym.agents.presets import GLAMOR_PRESETS
from glamor_gym.agents.settings import DataPolicy, GlamorSettings, LearningRateSchedule, Precision
from glamor_gym.models import Losses
from glamor_gym.models.augmentation import shift_together
from glamor_gym.names import naming_options
from glamor_gym.replay import TrajectoryReplay
from glamor_gym.snapshots import Snapshot
from glamor_gym.types import SegmentBatch, Trajectory
from glamor_gym.vector.sb3 import AnyEnv

EPISODES_PER_VALIDATION = 10
"""One episode in this many is scored (``validation/…``) before it enters the replay."""


class GlamorAgent(PlanningAgent):
    """The agent of the paper, in the Stable-Baselines3 API.

    Args:
        env: an id (``"glamor/Pong-v0"``), a goal environment, or a vector of them. A single
            environment without a STOP action (attribute `stop_action`) gets one as its last action,
            see :class:`~glamor_gym.wrappers.StopAction`: evaluate in such a one as well.
        policy: ``"GlamorPolicy"``, or a subclass of it. To save an agent with one of your own, put
            it into `policy_aliases` of a subclass of the agent.
        learning_rate: of AdamW.
        buffer_size: frames kept in the replay.
        learning_starts: environment steps taken at random before the first update.
        batch_size: training tuples in an update.
        replay_ratio: training tuples seen per environment step.
        gamma: γ of Equation 8: each token adds ln γ to a plan's score, so a lower γ prefers
            shorter plans.
        n_trials: number N of candidates for each plan.
        clip_log_prob: tokens with a lower log p_inv are not expanded (`clip-p-actions`). With
            more than 22 actions, the default rules out all of them where the model is undecided.
        use_prior: subtract the action prior in planning.
        vote: choose the first action by its value (``stopping="duration"``), or by the votes of all
            candidates, instead of taking the single best candidate's. Not in the paper.
        prior_coef: α of Equation 9.
        exploration_final_eps: final ε, the share of random actions; unused with random data.
        exploration_steps: environment steps over which ε falls linearly from 1; likewise.
        exploration_persistence: probability that a random action repeats the previous one. 0 in
            the paper.
        data_policy: ``"open_loop"`` (§3.5), or ``"random"`` (§A.4.1): ε is then always 1.
        stay_fraction: share of training tuples with k = 0; with it the agent plans again before
            it stops. Not in the paper.
        arrival_probability: with `stay_fraction` > 0 and ``stopping="duration"``: if the goal is at
            most one step away with at least this probability, the agent finishes, by STOP or by one
            action and STOP (without `vote`, it looks again before that STOP). Not in the paper.
        image_shift: random shift of pictures in training, in pixels. Not in the paper.
        lr_schedule: ``"constant"`` or ``"cosine"``. The paper's is constant.
        weight_decay: of AdamW.
        max_grad_norm: bound on the gradient's norm.
        precision: of the encoders: ``"auto"``, ``"float32"`` or ``"bfloat16"``.
        tensorboard_log: folder for TensorBoard.
        policy_kwargs: arguments of :class:`~glamor_gym.agents.policy.GlamorPolicy`, such as
            ``{"encoder": "compact"}``.
        stats_window_size: number of episodes that the logged means of ``rollout/`` are over.
        verbose: 0 or 1.
        seed: of everything.
        device: ``"auto"`` is CUDA if available, else the CPU.
        _init_setup_model: build networks and replay at once.

    For its attributes see :class:`~glamor_gym.agents.planning.PlanningAgent`.

    Raises:
        ValueError: a setting is out of range, or the environment is not a goal environment.

    Warns:
        UserWarning: `clip_log_prob` is too high for the number of actions.
    """

    presets = GLAMOR_PRESETS
    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"GlamorPolicy": GlamorPolicy}

    @naming_options
    def __init__(
        self,
        env: AnyEnv | None,
        policy: str | type[BasePolicy] = "GlamorPolicy",
        *,
        learning_rate: float = GlamorSettings.learning_rate,
        buffer_size: int = GlamorSettings.buffer_size,
        learning_starts: int = GlamorSettings.learning_starts,
        batch_size: int = GlamorSettings.batch_size,
        replay_ratio: float = GlamorSettings.replay_ratio,
        gamma: float = GlamorSettings.gamma,
        n_trials: int = GlamorSettings.n_trials,
        clip_log_prob: float = GlamorSettings.clip_log_prob,
        use_prior: bool = GlamorSettings.use_prior,
        vote: bool = GlamorSettings.vote,
        prior_coef: float = GlamorSettings.prior_coef,
        exploration_final_eps: float = GlamorSettings.exploration_final_eps,
        exploration_steps: int = GlamorSettings.exploration_steps,
        exploration_persistence: float = GlamorSettings.exploration_persistence,
        data_policy: DataPolicy = GlamorSettings.data_policy,
        stay_fraction: float = GlamorSettings.stay_fraction,
        arrival_probability: float = GlamorSettings.arrival_probability,
        image_shift: int = GlamorSettings.image_shift,
        lr_schedule: LearningRateSchedule = GlamorSettings.lr_schedule,
        weight_decay: float = GlamorSettings.weight_decay,
        max_grad_norm: float = GlamorSettings.max_grad_norm,
        precision: Precision = GlamorSettings.precision,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        stats_window_size: int = 100,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        super().__init__(
            policy,
            env,
            GlamorSettings.of(locals()),
            tensorboard_log=tensorboard_log,
            policy_kwargs=policy_kwargs,
            stats_window_size=stats_window_size,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=_init_setup_model,
        )
        if _init_setup_model:
            _warn_of_clipping(clip_log_prob, self.policy.model.inverse_dynamics.head.out_features)

    # ---------------------------------------------------------------- learning (Equation 9)

    def update(self, batch: SegmentBatch) -> dict[str, torch.Tensor]:
        """Descend the gradient of Equation 9: the mean of −log p_inv − α log p_prior."""
        self.policy.model.measure_once(batch.observation, batch.goal)
        inverse, prior = self._losses(batch, self.settings.image_shift)
        loss = inverse + self.settings.prior_coef * prior
        grad_norm = self._descend(loss)
        return {
            "inverse_loss": inverse.detach(),
            "prior_loss": prior.detach(),
            # What the goal says about the actions: it grows long before goals are reached.
            "information_gap": (prior - inverse).detach(),
            "grad_norm": grad_norm,
        }

    def _losses(self, batch: SegmentBatch, image_shift: int = 0) -> Losses:
        """Return the two terms of Equation 9 on a batch."""
        model = self.policy.model
        with self.policy.autocast():
            # Whitened before the shift, so that the repeated edges of a still background are 0.
            pictures = model.whitened(batch.observation, batch.goal)
            pictures = shift_together(*pictures, image_shift, self.generator)
            return model.losses(*pictures, batch.tokens, batch.length)

    def _store_episode(self, env: int, trajectory: Trajectory) -> None:
        """Store an episode; score one in `EPISODES_PER_VALIDATION` first, while it is unseen."""
        is_due = self.replay_buffer.runs_written % EPISODES_PER_VALIDATION == 0
        if self._n_updates and is_due:
            for name, value in self._validate(trajectory).items():
                self.logger.record_mean(f"validation/{name}", value)
        super()._store_episode(env, trajectory)

    @torch.no_grad()
    def _validate(self, trajectory: Trajectory) -> dict[str, float]:
        """Return the terms of Equation 9 on an episode that was not learned from.

        They show whether an agent memorises its few hundred episodes: then the gap shrinks here, or
        falls below zero, while that of training grows.
        """
        self.finish_updates()
        replay = self._make_replay(capacity=len(trajectory) + 1)
        replay.rng = np.random.default_rng(self._n_updates)
        replay.add(trajectory)
        batch = replay.sample(self.batch_size, self.device)
        inverse, prior = (float(loss) for loss in self._losses(batch))
        return {
            "inverse_loss": inverse,
            "prior_loss": prior,
            "information_gap": prior - inverse,
        }

    # ---------------------------------------------------------- collecting data (§3.5, open loop)

    def _begin_collection(self) -> None:
        self._plans = np.full((self.n_envs, self.horizon + 1), NO_ACTION)

    def _episode_state(self) -> Snapshot:
        return {"plans": self._plans.copy()}

    def _load_episode_state(self, carried: Mapping[str, Any]) -> None:
        self._plans[:] = carried["plans"]

    def collect(
        self, observations: Mapping[str, NDArray[Any]], starts: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """Follow a plan made from the episode's first observation; act at random after its end.

        The plan is followed even if exploration replaced one of its actions, so that the policy
        depends on no intermediate state and the model stays causally correct (§A.2).
        """
        steps = self._recorder.lengths
        if starts.any():
            first = {key: value[starts] for key, value in observations.items()}
            planner = replace(self.planner, stop="free", stop_first=False, guided=True)
            self._plans[starts], *_ = self._whole_plans(first, steps[starts], planner, False)
        actions = tokens_at(self._plans, steps)
        return np.where(actions == self.stop_action, NO_ACTION, actions)

    def _make_replay(self, capacity: int | None = None) -> TrajectoryReplay:
        return TrajectoryReplay(
            self.buffer_size if capacity is None else capacity,
            self.observation_space,
            self.n_actions,
            stay_fraction=self.settings.stay_fraction,
            horizon=self.horizon,
        )


def _warn_of_clipping(clip_log_prob: float, n_tokens: int) -> None:
    undecided = -math.log(n_tokens)
    if undecided < clip_log_prob:
        warnings.warn(
            f"clip_log_prob={clip_log_prob} rules out every token where the model is undecided "
            f"among {n_tokens}, each of log-probability {undecided:.2f}; the goal then has no say "
            f"in which is taken. Pass a lower one, for example {undecided - 0.2:.2f}",
            stacklevel=4,
        )
