"""GLAMOR's policy: inverse dynamics model and action prior, with their optimiser.

In: checked observations. Out: losses (via the model), and plans.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Int
from numpy.typing import NDArray
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor

from glamor_gym.agents.model_policy import ModelPolicy
from glamor_gym.agents.settings import Precision
from glamor_gym.checks import as_choice
from glamor_gym.models import DurationModel, GlamorModel
from glamor_gym.models.encoders import EncoderName
from glamor_gym.models.pair_encoder import Fusion
from glamor_gym.names import naming_options
from glamor_gym.planners import PlannerSettings, plan_by_duration, planner_for
from glamor_gym.planners.action_values import next_tokens_by_duration
from glamor_gym.types import Plan

Stopping = Literal["token", "duration"]


class GlamorPolicy(ModelPolicy):
    """Inverse dynamics model and action prior, and their AdamW.

    To use encoders of your own, replace `model.observation_encoder` and `model.goal_encoder` in a
    subclass, after ``super().__init__``, and assign `optimizer` a new AdamW of
    ``model.parameters()``: the first one would not train them. Each takes a batch, pictures as
    uint8 (with `whiten`, as floats from the first update on), and returns (B, `embedding_size`);
    :class:`~glamor_gym.models.encoders.Normalise` as a first layer takes both. With early fusion,
    the goal's takes observations and goals stacked, see
    :func:`~glamor_gym.models.pair_encoder.stacked`.

    Args:
        observation_space: a Dict with ``observation``, ``achieved_goal`` and ``desired_goal``.
        action_space: Discrete(A + 1), STOP last.
        lr_schedule: SB3's schedule: share of training left → learning rate.
        encoder: of pictures: ``"residual"`` (the paper's; ``"auto"`` is the same), ``"compact"``,
            ``"tiny"`` or ``"mlp"``; vectors and very small pictures take the MLP in any case.
        fusion: ``"late"`` (the paper's) or ``"early"``, see
            :class:`~glamor_gym.models.pair_encoder.PairEncoder`.
        prior_encoder: encoder of the observation alone with early fusion, None for the same as
            `encoder`; ignored with late fusion.
        embedding_size: width of embeddings and mix.
        whiten: see :class:`~glamor_gym.models.whitening.Whitening`. Not in the paper.
        hidden_size: width of the LSTMs.
        token_size: width of the layer between token and LSTM.
        stopping: ``"token"`` (the paper's): the sequence models emit STOP;
            ``"duration"``: a plan's length is predicted first, see
            :class:`~glamor_gym.models.DurationModel`.
        duration_gradient: with ``stopping="duration"``, the share of the duration's gradient that
            reaches the encoders; else ignored.
        first_action_weight: with ``stopping="duration"``, the additional weight of each plan's
            first action in the loss; else ignored.
        weight_decay: of AdamW.
        precision: see :class:`~glamor_gym.agents.settings.CollectionSettings`.
        horizon: T, largest number of actions in a plan.
        planner: settings of the plans that :meth:`predict` makes; the agent keeps them up to date.
    """

    model: GlamorModel | DurationModel

    @naming_options
    def __init__(
        self,
        observation_space: spaces.Dict,
        action_space: spaces.Discrete,
        lr_schedule: Schedule,
        *,
        encoder: EncoderName = "auto",
        fusion: Fusion = "late",
        prior_encoder: EncoderName | None = None,
        embedding_size: int = 512,
        whiten: bool = False,
        hidden_size: int = 64,
        token_size: int = 512,
        stopping: Stopping = "token",
        duration_gradient: float = 0.0,
        first_action_weight: float = 0.0,
        weight_decay: float = 0.01,
        precision: Precision = "auto",
        horizon: int = 50,
        planner: PlannerSettings | None = None,
    ) -> None:
        super().__init__(observation_space, action_space, precision=precision, horizon=horizon)
        self.planner = planner or PlannerSettings()
        n_actions = int(action_space.n) - 1
        sizes: dict[str, Any] = {
            "encoder": encoder,
            "fusion": fusion,
            "prior_encoder": prior_encoder,
            "embedding_size": embedding_size,
            "whiten": whiten,
            "hidden_size": hidden_size,
            "token_size": token_size,
        }
        if as_choice(stopping, get_args(Stopping), name="stopping") == "duration":
            self.model = DurationModel(
                observation_space,
                n_actions,
                horizon,
                duration_gradient=duration_gradient,
                first_action_weight=first_action_weight,
                **sizes,
            )
        else:
            self.model = GlamorModel(observation_space, n_actions, **sizes)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=lr_schedule(1.0), weight_decay=weight_decay, fused=True
        )

    @torch.inference_mode()
    def plan(
        self,
        observations: Mapping[str, NDArray[Any]],
        max_actions: NDArray[np.int64],
        settings: PlannerSettings,
        generator: torch.Generator,
    ) -> Plan:
        """Plan for a batch of checked observations: see :func:`glamor_gym.planners.plan`."""
        observation, goal = self.as_tensors(observations)
        if isinstance(self.model, DurationModel):
            with self.autocast():
                encoded = self.model.encode(observation, goal)
            with self._in_float32():
                return plan_by_duration(encoded, torch.from_numpy(max_actions), settings, generator)
        with self.autocast():
            folded = self.model.fold(observation, goal)
        with self._in_float32():
            steps = torch.from_numpy(max_actions)
            return planner_for(self.device)(folded, steps, settings, generator)

    def _in_float32(self) -> torch.autocast:
        """Return a context without autocast, even if the caller has turned it on."""
        return torch.autocast(self.device.type, enabled=False)

    def acts_by_value(self, settings: PlannerSettings) -> bool:
        """Return whether the beginning of a plan can be computed without the rest."""
        return isinstance(self.model, DurationModel) and settings.acts_by_value

    @torch.inference_mode()
    def next_tokens(
        self,
        observations: Mapping[str, NDArray[Any]],
        max_actions: NDArray[np.int64],
        settings: PlannerSettings,
    ) -> Int[Tensor, "b 2"]:
        """Return how plans begin, see :mod:`glamor_gym.planners.action_values`."""
        assert isinstance(self.model, DurationModel)
        with self.autocast():
            encoded = self.model.encode(*self.as_tensors(observations))
        with self._in_float32():
            return next_tokens_by_duration(encoded, torch.from_numpy(max_actions), settings)

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> Tensor:
        """Return the first token of a plan for each observation (SB3's stateless policy call).

        Unlike the agent's `predict`, it keeps no state over an episode.
        """
        arrays, steps_left = self.arrays_and_clock(observation)
        if self.acts_by_value(self.planner):
            return self.next_tokens(arrays, steps_left, self.planner)[:, 0]
        generator = torch.Generator(self.device)
        if not deterministic:
            generator.manual_seed(int(torch.randint(2**62, ())))
        return self.plan(arrays, steps_left, self.planner, generator).tokens[:, 0]
