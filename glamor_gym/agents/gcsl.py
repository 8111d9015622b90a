"""GCSL: clone the actions that led to each achieved goal (Ghosh et al., 2020; §4.3, A.1).

In: observations with goals. Out: actions.

The algorithm, and where each step of it is:

1. act with π(a | s, g, t), t being the steps left …………………………… :meth:`GCSLAgent.act`
2. add the trajectory to the dataset ………………………………………………………… `replay`, whole trajectories
3. relabel: (s_i, a_i, g = s_j, t = j − i) for j > i ………………………… `replay.sample`
4. descend the gradient of −log π(a_i | s_i, g, t) (Equation 10) … :meth:`GCSLAgent.update`

It differs from GLAMOR in the three ways that A.1 names: it samples from the policy instead of
planning, it learns no action prior, and its data comes from a reactive policy. Encoders, replay,
relabelling, optimiser, exploration and hyper-parameters are GLAMOR's (§4.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.policies import BasePolicy
from torch.nn import functional

from glamor_gym.agents.gcsl_policy import GCSLPolicy
from glamor_gym.agents.presets import GCSL_PRESETS
from glamor_gym.agents.reactive import ReactiveAgent
from glamor_gym.agents.settings import (
    CloningDataPolicy,
    GCSLSettings,
    LearningRateSchedule,
    Precision,
)
from glamor_gym.models.augmentation import shift_together
from glamor_gym.names import naming_options
from glamor_gym.types import SegmentBatch
from glamor_gym.vector.sb3 import AnyEnv


class GCSLAgent(ReactiveAgent):
    """Goal-conditioned supervised learning, in the Stable-Baselines3 API.

    The number of steps left, t, is an input of the policy, as (sin 2πt/T, cos 2πt/T). The agent
    never takes STOP, which neither the method nor the paper's use of it has: it acts until the
    horizon T and is evaluated there. As in the paper, :meth:`predict` samples from the policy,
    unless it is called with ``deterministic=True``, as by :func:`~glamor_gym.evaluate`.

    Args:
        env: an id (``"glamor/Pong-v0"``), a goal environment, or a vector of them.
        policy: ``"GCSLPolicy"``, or a subclass of it. To save an agent with one of your own, put
            it into `policy_aliases` of a subclass of the agent.
        learning_rate: of AdamW.
        buffer_size: frames kept in the replay.
        learning_starts: environment steps taken at random before the first update.
        batch_size: training tuples in an update.
        replay_ratio: training tuples seen per environment step.
        exploration_final_eps: final ε, the share of random actions; unused with random data.
        exploration_steps: environment steps over which ε falls linearly from 1; likewise.
        exploration_persistence: probability that a random action repeats the previous one. 0 in
            the paper.
        data_policy: ``"reactive"``, or ``"random"`` (§A.4.1): ε is then always 1.
        image_shift: random shift of pictures in training, in pixels. Not in the paper.
        lr_schedule: ``"constant"`` or ``"cosine"``. The paper's is constant.
        weight_decay: of AdamW.
        max_grad_norm: bound on the gradient's norm.
        precision: of the encoders: ``"auto"``, ``"float32"`` or ``"bfloat16"``.
        tensorboard_log: folder for TensorBoard.
        policy_kwargs: arguments of :class:`~glamor_gym.agents.gcsl_policy.GCSLPolicy`, such as
            ``{"encoder": "compact"}``.
        stats_window_size: number of episodes that the logged means of ``rollout/`` are over.
        verbose: 0 or 1.
        seed: of everything.
        device: ``"auto"`` is CUDA if available, else the CPU.
        _init_setup_model: build networks and replay at once.

    Raises:
        ValueError: a setting is out of range, or the environment is not a goal environment.
    """

    presets = GCSL_PRESETS
    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"GCSLPolicy": GCSLPolicy}
    policy: GCSLPolicy
    settings: GCSLSettings

    @naming_options
    def __init__(
        self,
        env: AnyEnv | None,
        policy: str | type[BasePolicy] = "GCSLPolicy",
        *,
        learning_rate: float = GCSLSettings.learning_rate,
        buffer_size: int = GCSLSettings.buffer_size,
        learning_starts: int = GCSLSettings.learning_starts,
        batch_size: int = GCSLSettings.batch_size,
        replay_ratio: float = GCSLSettings.replay_ratio,
        exploration_final_eps: float = GCSLSettings.exploration_final_eps,
        exploration_steps: int = GCSLSettings.exploration_steps,
        exploration_persistence: float = GCSLSettings.exploration_persistence,
        data_policy: CloningDataPolicy = GCSLSettings.data_policy,
        image_shift: int = GCSLSettings.image_shift,
        lr_schedule: LearningRateSchedule = GCSLSettings.lr_schedule,
        weight_decay: float = GCSLSettings.weight_decay,
        max_grad_norm: float = GCSLSettings.max_grad_norm,
        precision: Precision = GCSLSettings.precision,
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
            GCSLSettings.of(locals()),
            tensorboard_log=tensorboard_log,
            policy_kwargs=policy_kwargs,
            stats_window_size=stats_window_size,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=_init_setup_model,
        )

    def update(self, batch: SegmentBatch) -> dict[str, torch.Tensor]:
        """Descend the gradient of Equation 10: the mean of −log π(a | s, g, t) over the batch."""
        action = batch.tokens[:, 0]
        steps_left = (batch.length - 1).to(action.device, non_blocking=True)  # less STOP
        self.policy.model.measure_once(batch.observation, batch.goal)
        with self.policy.autocast():
            pictures = self.policy.model.whitened(batch.observation, batch.goal)
            observation, goal = shift_together(*pictures, self.settings.image_shift, self.generator)
            logits = self.policy.model(observation, goal, steps_left)
        loss = functional.cross_entropy(logits, action)
        grad_norm = self._descend(loss)
        return {"cloning_loss": loss.detach(), "grad_norm": grad_norm}

    def act(
        self,
        observations: Mapping[str, NDArray[Any]],
        steps_left: NDArray[np.int64],
        *,
        deterministic: bool,
    ) -> NDArray[np.int64]:
        """Sample an action from π(· | s, g, t), or take the most likely one."""
        logits = self.policy.logits(observations, steps_left)
        if deterministic:
            return logits.argmax(dim=-1).cpu().numpy()
        drawn = torch.multinomial(logits.softmax(dim=-1), 1, generator=self.generator)
        return drawn[:, 0].cpu().numpy()
