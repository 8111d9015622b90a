"""DISCERN: a goal-conditioned Q network, rewarded by a discriminator (Warde-Farley et al., 2019).

In: observations with goals. Out: actions.

The algorithm, and where each step of it is:

1. draw a goal from the buffer of achieved frames ……………… :meth:`DiscernAgent._begin_episodes`
2. act ε-greedily on Q(s, a | g, t), t being the steps left …… :meth:`DiscernAgent.act`
3. add the trajectory and its goal to the replay; offer one of
   its frames to the goal buffer …………………………………………………………… :meth:`DiscernAgent._store_episode`
4. draw transitions; relabel a share with what was achieved …… `replay.sample`
5. reward max(0, ξ(s_T)·ξ(g)) at the last step, 1 if relabelled  :meth:`DiscernAgent.rewards`
6. move Q towards its n-step target; in one of T updates, train
   ξ to tell goals from K decoys ……………………………………………………… :meth:`DiscernAgent.update`

There is no official code. As in the paper that this library follows, Q is Rainbow without noisy
nets (Hessel et al., 2018): n-step returns, 51 atoms, double, dueling, prioritised replay. What we
did not find in the papers is our choice: arguments, whose descriptions say so; that one frame of
each episode, drawn at random, is offered to the goal buffer; that distances between goals are of
pixels; that both streams of the dueling network are single layers; and that Q and ξ share an
optimiser. ξ learns in one of T updates, since a trajectory has T transitions but only one pair of a
goal and an outcome: pairs that are seen more often than transitions are learned by heart, and then
a trajectory is paid whether it came near its goal or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor

from glamor_gym.agents.discern_policy import DiscernPolicy
from glamor_gym.agents.observations import steps_left_of
from glamor_gym.agents.presets import DISCERN_PRESETS
from glamor_gym.agents.reactive import ReactiveAgent
from glamor_gym.agents.settings import (
    DiscernSettings,
    LearningRateSchedule,
    Precision,
    SettingAttribute,
)
from glamor_gym.models.categorical import expectation, project
from glamor_gym.models.discern import decoy_loss
from glamor_gym.names import naming_options
from glamor_gym.replay.discern_replay import DiscernReplay, GoalPairs, TransitionBatch
from glamor_gym.snapshots import Snapshot
from glamor_gym.types import Trajectory
from glamor_gym.vector.sb3 import AnyEnv


class DiscernAgent(ReactiveAgent):
    """DISCERN, in the Stable-Baselines3 API.

    While it collects data, the agent replaces the environment's goals by frames that it has seen:
    ``rollout/`` of the log, which is about the environment's, says nothing of its success then; use
    :class:`~glamor_gym.evaluation.EvaluationCallback`.
    The number of steps left, t, is an input of its networks, as (sin 2πt/T, cos 2πt/T). It never
    takes STOP: it acts until the horizon T and is evaluated there.

    Args:
        env: an id (``"glamor/Pong-v0"``), a goal environment, or a vector of them.
        policy: ``"DiscernPolicy"``, or a subclass of it. To save an agent with one of your own, put
            it into `policy_aliases` of a subclass of the agent.
        learning_rate: of Adam.
        buffer_size: frames kept in the replay.
        learning_starts: environment steps taken at random before the first update.
        batch_size: transitions in an update.
        replay_ratio: transitions seen per environment step.
        gamma: discount.
        exploration_final_eps: final ε, the share of random actions.
        exploration_steps: environment steps over which ε falls linearly from 1.
        exploration_persistence: probability that a random action repeats the previous one. 0 in
            the paper.
        evaluation_eps: share of random actions in :meth:`predict`, unless it is deterministic.
        n_steps: n of the n-step returns.
        target_update_interval: updates between two copies to the target network.
        priority_exponent: α of prioritised replay.
        importance_exponent: β of prioritised replay at the start; it rises linearly to 1.
        n_decoys: K, number of decoy goals from which the discriminator has to tell the right one;
            its softmax has the inverse temperature K + 1. A batch with fewer than K other goals
            uses them all. Not in the papers: our choice.
        relabelled_share: share of transitions whose goal is the last frame of their own
            trajectory, with reward 1. Not in the papers: our choice.
        goal_buffer_size: number of achieved frames kept as goals; with 0 the agent uses the
            environment's goals. Not in the papers: our choice.
        lr_schedule: ``"constant"`` or ``"cosine"``. The paper's is constant.
        weight_decay: decoupled. 0 in the paper.
        max_grad_norm: bound on the gradient's norm.
        precision: of the encoders: ``"auto"``, ``"float32"`` or ``"bfloat16"``.
        tensorboard_log: folder for TensorBoard.
        policy_kwargs: arguments of :class:`~glamor_gym.agents.discern_policy.DiscernPolicy`, such
            as ``{"encoder": "compact"}``.
        stats_window_size: number of episodes that the logged means of ``rollout/`` are over.
        verbose: 0 or 1.
        seed: of everything.
        device: ``"auto"`` is CUDA if available, else the CPU.
        _init_setup_model: build networks and replay at once.

    Raises:
        ValueError: a setting is out of range, or the environment is not a goal environment.
    """

    presets = DISCERN_PRESETS
    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"DiscernPolicy": DiscernPolicy}
    stores_goals = True
    gamma = SettingAttribute()
    policy: DiscernPolicy
    settings: DiscernSettings
    replay_buffer: DiscernReplay  # type: ignore[assignment]

    @naming_options
    def __init__(
        self,
        env: AnyEnv | None,
        policy: str | type[BasePolicy] = "DiscernPolicy",
        *,
        learning_rate: float = DiscernSettings.learning_rate,
        buffer_size: int = DiscernSettings.buffer_size,
        learning_starts: int = DiscernSettings.learning_starts,
        batch_size: int = DiscernSettings.batch_size,
        replay_ratio: float = DiscernSettings.replay_ratio,
        gamma: float = DiscernSettings.gamma,
        exploration_final_eps: float = DiscernSettings.exploration_final_eps,
        exploration_steps: int = DiscernSettings.exploration_steps,
        exploration_persistence: float = DiscernSettings.exploration_persistence,
        evaluation_eps: float = DiscernSettings.evaluation_eps,
        n_steps: int = DiscernSettings.n_steps,
        target_update_interval: int = DiscernSettings.target_update_interval,
        priority_exponent: float = DiscernSettings.priority_exponent,
        importance_exponent: float = DiscernSettings.importance_exponent,
        n_decoys: int = DiscernSettings.n_decoys,
        relabelled_share: float = DiscernSettings.relabelled_share,
        goal_buffer_size: int = DiscernSettings.goal_buffer_size,
        lr_schedule: LearningRateSchedule = DiscernSettings.lr_schedule,
        weight_decay: float = DiscernSettings.weight_decay,
        max_grad_norm: float = DiscernSettings.max_grad_norm,
        precision: Precision = DiscernSettings.precision,
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
            DiscernSettings.of(locals()),
            tensorboard_log=tensorboard_log,
            policy_kwargs=policy_kwargs,
            stats_window_size=stats_window_size,
            verbose=verbose,
            seed=seed,
            device=device,
            _init_setup_model=_init_setup_model,
        )

    # --------------------------------------------------------------------------------- learning

    def update(self, batch: TransitionBatch) -> dict[str, Tensor]:
        """Take a gradient step on the Q network's loss, in one of T updates also on ξ's."""
        model = self.policy.model
        model.measure_once(batch.observation, batch.goal)
        with self.policy.autocast():
            state = model.q.embed_observation(batch.observation)
            goal = model.q.embed_goal(batch.goal)  # once for the loss, its target and the reward
            log_probs = model.q.log_probs(state, goal, batch.steps_left)
        reward = self.rewards(batch, goal)
        target = self.targets(batch, goal, reward)
        rows = torch.arange(len(batch.action), device=self.device)
        taken = log_probs[rows, batch.action]
        errors = -(target * taken).sum(dim=-1)
        loss = (self._importance(batch.probability) * errors).mean()
        losses = {"q_loss": loss}
        if self._n_updates % self.horizon == 0:
            pairs = self.replay_buffer.sample_pairs(len(batch.action), self.device)
            losses["discriminator_loss"] = self.discriminator_loss(pairs)
            loss = loss + losses["discriminator_loss"]
        grad_norm = self._descend(loss)

        # The KL divergence from the target: 0 where there is nothing left to learn.
        entropy = torch.special.entr(target).sum(dim=-1)
        surprise = (errors.detach() - entropy).clamp(min=0)
        # The caller reports losses that are NaN or infinite; priorities only have to be valid.
        sound = surprise.nan_to_num(nan=0.0, posinf=0.0)
        self.replay_buffer.set_errors(batch.slots, sound.cpu().numpy())
        if (self._n_updates + 1) % self.settings.target_update_interval == 0:
            model.copy_to_target()
        judged = self._ends(batch) & ~batch.relabelled
        return {
            **{name: loss.detach() for name, loss in losses.items()},
            "value": expectation(taken.detach()).mean(),
            "reward": (reward * judged).sum() / judged.sum().clamp(min=1),
            "grad_norm": grad_norm,
        }

    @torch.no_grad()
    def rewards(self, batch: TransitionBatch, goal: Float[Tensor, "b d"]) -> Float[Tensor, "b"]:
        """Return the reward that each row comes to within n steps.

        At the last step of an episode it is max(0, ξ(s_T)·ξ(g)), or 1 if relabelled; else 0.

        Args:
            batch: transitions.
            goal: embeddings of their goals.
        """
        ends = self._ends(batch)
        reward = (ends & batch.relabelled).float()
        judged = (ends & ~batch.relabelled).nonzero().squeeze(1)
        with self.policy.autocast():
            achieved = self.policy.model.xi(batch.achieved[judged])
            reward[judged] = (achieved * self.policy.model.discriminator(goal[judged])).sum(dim=-1)
        return reward.clamp(min=0)

    @torch.no_grad()
    def targets(
        self, batch: TransitionBatch, goal: Float[Tensor, "b d"], reward: Float[Tensor, "b"]
    ) -> Float[Tensor, "b z"]:
        """Return Q's target distributions: n-step, double (van Hasselt, 2016).

        Args:
            batch: transitions.
            goal: embeddings of their goals.
            reward: what :meth:`rewards` returned.
        """
        model = self.policy.model
        gamma, n_steps = self.settings.gamma, self.settings.n_steps
        with self.policy.autocast():
            following = model.q.embed_observation(batch.next_observation)
            log_q = model.q.log_probs(following, goal, batch.next_steps_left)
            log_target = model.target(batch.next_observation, batch.goal, batch.next_steps_left)
        # Outside autocast: in bfloat16 the values of several actions could tie.
        best = expectation(log_q).argmax(dim=-1)
        chosen = log_target[torch.arange(len(best), device=self.device), best].exp()
        # The only reward is that of the last step, `steps_to_end` − 1 steps from now.
        discounted = reward * gamma ** (batch.steps_to_end - 1)
        return project(chosen, discounted, torch.where(self._ends(batch), 0.0, gamma**n_steps))

    def _ends(self, batch: TransitionBatch) -> Bool[Tensor, "b"]:
        """Return which episodes end within the n steps of their returns."""
        return batch.steps_to_end <= self.settings.n_steps

    def discriminator_loss(self, pairs: GoalPairs) -> Float[Tensor, ""]:
        """Return the cross-entropy of telling each goal from K of the batch's other goals."""
        n_pairs = len(pairs.goal)
        with self.policy.autocast():
            achieved = self.policy.model.xi(pairs.achieved)
            goals = self.policy.model.xi(pairs.goal)
        others = torch.randperm(n_pairs - 1, generator=self.generator, device=self.device) + 1
        rows = torch.arange(n_pairs, device=self.device)[:, None]
        return decoy_loss(achieved, goals, (rows + others[: self.settings.n_decoys]) % n_pairs)

    def _importance(self, probability: Float[Tensor, "b"]) -> Float[Tensor, "b"]:
        """Return (N p)^−β divided by its largest value; β rises to 1 over the training."""
        beta = 1 - self._current_progress_remaining * (1 - self.settings.importance_exponent)
        weights = (len(self.replay_buffer) * probability) ** -beta
        return (weights / weights.max()).float()

    # ----------------------------------------------------------------------------------- acting

    def act(
        self,
        observations: Mapping[str, NDArray[Any]],
        steps_left: NDArray[np.int64],
        *,
        deterministic: bool,
    ) -> NDArray[np.int64]:
        """Take the action of the highest value or, unless deterministic, sometimes a random one."""
        best: NDArray[np.int64] = (
            self.policy.values(observations, steps_left).argmax(-1).cpu().numpy()
        )
        if deterministic:
            return best
        explores = self.rng.random(len(best)) < self.settings.evaluation_eps
        return np.where(explores, self.rng.integers(0, self.n_actions, len(best)), best)

    def collect(
        self, observations: Mapping[str, NDArray[Any]], starts: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """Act greedily towards the goals that the agent has chosen."""
        towards = {**observations, "desired_goal": self._goals}
        steps_left = steps_left_of(observations, self.horizon, self._recorder.lengths)
        return self.act(towards, steps_left, deterministic=True)  # the caller adds exploration

    # ------------------------------------------------------------------------------------ goals

    def _begin_collection(self) -> None:
        self._goals = self._last_observations["desired_goal"].copy()

    def _begin_episodes(self, starts: NDArray[np.bool_]) -> None:
        """Choose a goal for each new episode: a frame of the goal buffer, once there are any."""
        if len(self.replay_buffer.goals):
            self._goals[starts] = self.replay_buffer.goals.draw(int(starts.sum()), self.rng)
        else:
            self._goals[starts] = self._last_observations["desired_goal"][starts]

    def _store_episode(self, env: int, trajectory: Trajectory) -> None:
        """Store an episode with its goal, and offer one of its frames to the goal buffer."""
        self.replay_buffer.add(replace(trajectory, goal=self._goals[env]))
        if self.settings.goal_buffer_size:
            moment = self.rng.integers(1, len(trajectory) + 1)
            self.replay_buffer.goals.offer(trajectory.achieved[moment], self.rng)

    def _episode_state(self) -> Snapshot:
        return {"goals": self._goals.copy()}

    def _load_episode_state(self, carried: Mapping[str, Any]) -> None:
        self._goals = carried["goals"]

    def _make_replay(self) -> DiscernReplay:
        settings = self.settings
        return DiscernReplay(
            self.buffer_size,
            self.observation_space,
            self.n_actions,
            horizon=self.horizon,
            n_steps=settings.n_steps,
            relabelled_share=settings.relabelled_share,
            priority_exponent=settings.priority_exponent,
            goal_buffer_size=settings.goal_buffer_size,
        )
