"""Hindsight replay for Stable-Baselines3's off-policy algorithms, storing each frame once.

In: SB3's transitions, one step of all environments per call. Out: SB3's samples, by default four in
five of them relabelled. SB3's own ``HerReplayBuffer`` stores the observation and both goals before
and after each step: 99,840 bytes per step with the usual pictures, against about 8,700 here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.type_aliases import DictReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize

from glamor_gym.checks import as_integer
from glamor_gym.names import naming_options
from glamor_gym.replay.hindsight_ring import HindsightRing, equal
from glamor_gym.types import GOAL_KEYS
from glamor_gym.vector.rows import row_of

_KNOWN = (*GOAL_KEYS, "steps_left")

Moment = Mapping[str, NDArray[Any]]


@dataclass
class _Running:
    """An episode in progress: its observations so far, one more than its actions.

    If the buffer did not see an episode's beginning, `moments` is empty and the episode is not
    stored.
    """

    moments: list[dict[str, NDArray[Any]]]
    actions: list[int] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)

    def follows(self, before: Moment) -> bool:
        """Return whether a step from there is the episode's next one."""
        return not self.moments or _same(self.moments[-1], before)


class HindsightFrameBuffer(ReplayBuffer):
    """A `replay_buffer_class` for ``DQN("MultiInputPolicy", env, …)`` on goal environments.

    Episodes are stored when they end; transitions are drawn uniformly from those stored. The
    environment is never called: the reward of a relabelled transition is equality of pictures, as
    in ``compute_reward`` with ``reward="image"``, and it is terminal if its episode terminated
    there, as in ``compute_terminated``. So is the reward of each STOP that a
    :class:`~glamor_gym.wrappers.StopAction` around the environment answers with 0, unless nothing
    is relabelled. SB3 does not hand over the environment, so the rewards of each episode are
    compared with this before it is stored. Memory is used only as the buffer fills.

    Args:
        buffer_size: number of frames kept over all environments; an episode of N steps takes N + 2,
            its goal included.
        observation_space: a Dict with ``observation``, ``achieved_goal``, ``desired_goal`` and,
            optionally, ``steps_left``. The buffer cannot always see that a reset ended an episode
            early. Two with the same goal are stored as one if, without ``steps_left``, the second
            starts at the very observation where the first stopped; or if somebody else has used
            the environment within a step (an evaluation in a callback) and left it with as many
            steps left. If observations are known to be stacks, that raises an error instead.
        action_space: Discrete.
        device: device of the samples.
        n_envs: number of environments.
        optimize_memory_usage: SB3's option; must be False, as there is nothing left to optimise.
        handle_timeout_termination: treat truncated episodes as not terminated.
        n_sampled_goal: number of relabelled transitions for each that is not; with 0, nothing is
            relabelled, and the environment may give any rewards.
        seed: seed of the sampling; None draws from NumPy's global generator at each
            :meth:`sample`, as SB3's replays do: an algorithm's `set_random_seed` seeds it.

    Raises:
        ValueError: an argument is out of range, or the spaces are not as described.
        TypeError: a number is not an integer, or an option is unknown.
    """

    @naming_options
    def __init__(
        self,
        buffer_size: int,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        device: torch.device | str = "auto",
        n_envs: int = 1,
        optimize_memory_usage: bool = False,
        handle_timeout_termination: bool = True,
        n_sampled_goal: int = 4,
        seed: int | None = None,
    ) -> None:
        if not isinstance(observation_space, spaces.Dict) or not (
            set(GOAL_KEYS) <= set(observation_space.spaces) <= set(_KNOWN)
        ):
            raise ValueError(
                f"observation_space must be a Dict of {', '.join(GOAL_KEYS)} and optionally "
                f"steps_left, got {observation_space}"
            )
        clock = observation_space.spaces.get("steps_left")
        if clock is not None and clock.shape != (1,):
            raise ValueError(
                f"observation_space must have steps_left of shape (1,), got {clock} (VecFrameStack "
                "stacks it)"
            )
        if not isinstance(action_space, spaces.Discrete):
            raise ValueError(f"action_space must be Discrete, got {action_space}")
        if optimize_memory_usage:
            raise ValueError(
                f"optimize_memory_usage must be False, got {optimize_memory_usage!r}: frames are "
                "stored only once anyway"
            )
        buffer_size = as_integer(buffer_size, name="buffer_size", low=2)
        n_sampled_goal = as_integer(n_sampled_goal, name="n_sampled_goal", low=0)
        if seed is not None:
            seed = as_integer(seed, name="seed", low=0)
        # Skip ReplayBuffer.__init__, which would allocate SB3's own arrays.
        super(ReplayBuffer, self).__init__(
            buffer_size, observation_space, action_space, device, n_envs
        )
        self.handle_timeout_termination = handle_timeout_termination
        self.n_sampled_goal = n_sampled_goal
        self._ring = HindsightRing(buffer_size, observation_space)
        self._has_clock = clock is not None
        self._running: list[_Running | None] = [None] * n_envs
        # Whether a step has changed an environment's goal, with no end or reset since.
        self._had_new_goal = [False] * n_envs
        self.rng = None if seed is None else np.random.default_rng(seed)

    def size(self) -> int:
        """Return the number of transitions that can be drawn."""
        return len(self._ring)

    def reset(self) -> None:
        """Drop all episodes, stored or in progress."""
        assert isinstance(self.observation_space, spaces.Dict)
        super().reset()
        self._ring = HindsightRing(self.buffer_size, self.observation_space)
        self._running = [None] * self.n_envs
        self._had_new_goal = [False] * self.n_envs

    # ------------------------------------------------------------------------------- writing

    def add(  # type: ignore[override]
        self,
        obs: Moment,
        next_obs: Moment,
        action: NDArray[Any],
        reward: NDArray[Any],
        done: NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        """Add one step of each environment; store the episodes that end with it.

        Args:
            obs: observations before the step, each entry (n_envs, …).
            next_obs: observations after the step; the final one where an episode ended.
            action: (n_envs,) or (n_envs, 1).
            reward: (n_envs,).
            done: (n_envs,).
            infos: one per environment; ``TimeLimit.truncated``, ``stopped`` and ``reset_step`` are
                read. A step with ``reset_step`` only began an episode: it is left out, and the
                episode in progress is dropped. Where a step does not follow from `obs`, because
                somebody else has reset the environment (SB3's ``evaluate_policy``), the episode in
                progress is dropped, and the new one left out.

        Raises:
            ValueError: the goal changed twice within an episode; or transitions are to be
                relabelled, and the environment's rewards are not equality of pictures.
        """
        for env, (act, paid, ends, info) in enumerate(
            zip(np.reshape(action, -1), reward, done, infos, strict=True)
        ):
            if info.get("reset_step"):
                self._running[env], self._had_new_goal[env] = None, False
                continue
            before, after = row_of(obs, env), row_of(next_obs, env)
            episode = self._running[env]
            # A StopAction around an environment leaves its clock as it is, too.
            stands_still = info.get("stopped", False) and _same(before, after)
            was_reset = not stands_still and _steps_passed(before, after) not in (None, 1)
            has_new_goal = not (
                was_reset or np.array_equal(before["desired_goal"], after["desired_goal"])
            )
            if has_new_goal and self._had_new_goal[env]:  # the first may have been due to a reset
                raise ValueError(
                    "desired_goal must stay the same within an episode, but changed (VecNormalize "
                    "with norm_obs=True and VecFrameStack change it)"
                )
            had_new_goal = self._had_new_goal[env] and not (ends or was_reset)
            self._had_new_goal[env] = has_new_goal or had_new_goal
            if has_new_goal or was_reset:
                self._running[env] = None if ends else _Running([])
                continue
            if episode is None or not episode.follows(before):  # reset before the episode's end
                episode = self._running[env] = _Running([_copied(before)])
            if ends:
                self._running[env] = None
            if not episode.moments:
                continue
            episode.moments.append(_copied(after))
            episode.actions.append(int(act))
            episode.rewards.append(float(paid))
            if ends:
                self._store(episode, info)

    def _store(self, episode: _Running, info: Mapping[str, Any]) -> None:
        moments = episode.moments[:-1] if info.get("stopped") else episode.moments
        achieved = np.stack([moment["achieved_goal"] for moment in moments])
        observations = np.stack([moment["observation"] for moment in moments])
        goal, rewards = moments[0]["desired_goal"], np.array(episode.rewards, np.float32)
        if self.n_sampled_goal:
            next_achieved = np.stack([moment["achieved_goal"] for moment in episode.moments[1:]])
            hits = equal(next_achieved, goal[None])
            if info.get("stopped"):  # for which a StopAction around the environment pays nothing
                rewards[-1] = max(rewards[-1], hits[-1])
            if not np.array_equal(rewards, hits):
                raise ValueError(
                    "reward must be equality of pictures to be relabelled, but the environment "
                    'gave other rewards: make it with reward="image" (rewards by labels cannot be '
                    "relabelled), or pass replay_buffer_kwargs={'n_sampled_goal': 0}"
                )
        cut_off = self.handle_timeout_termination and info.get("TimeLimit.truncated", False)
        self._ring.add(
            achieved=achieved,
            observations=observations,
            actions=episode.actions,
            rewards=rewards,
            goal=goal,
            steps_left=float(moments[0]["steps_left"][0]) if self._has_clock else 0.0,
            done=not cut_off,
        )

    # ------------------------------------------------------------------------------ sampling

    def sample(  # type: ignore[override]
        self, batch_size: int, env: VecNormalize | None = None
    ) -> DictReplayBufferSamples:
        """Draw transitions, n_sampled_goal in n_sampled_goal + 1 of them relabelled in hindsight.

        Args:
            batch_size: number of transitions.
            env: SB3's ``VecNormalize``, with which samples are normalised; None: they are not.

        Raises:
            ValueError: no episode has ended yet.
        """
        n_relabelled = int(batch_size * self.n_sampled_goal / (self.n_sampled_goal + 1))
        rng = self.rng or np.random.default_rng(np.random.randint(2**31 - 1))  # noqa: NPY002
        before, after, action, reward, done = self._ring.sample(batch_size, n_relabelled, rng)
        if not self._has_clock:
            del before["steps_left"], after["steps_left"]
        rewards = self._normalize_reward(reward[:, None], env)
        return DictReplayBufferSamples(
            observations=self._tensors(before, env),
            actions=self.to_torch(action[:, None], copy=False),
            next_observations=self._tensors(after, env),
            dones=self.to_torch(done[:, None], copy=False),
            rewards=self.to_torch(rewards, copy=False),
        )

    def _tensors(self, moments: Moment, env: VecNormalize | None) -> dict[str, torch.Tensor]:
        normalised = self._normalize_obs(dict(moments), env)
        assert isinstance(normalised, dict)
        return {key: self.to_torch(value, copy=False) for key, value in normalised.items()}


def _copied(moment: Moment) -> dict[str, NDArray[Any]]:
    """Return a copy of an observation: vector environments reuse their arrays."""
    return {key: value.copy() for key, value in moment.items()}


def _steps_passed(before: Moment, after: Moment) -> int | None:
    """Return how many steps the clock says lie between; None if it counts in no whole numbers."""
    if "steps_left" not in before:
        return None
    passed = float(np.squeeze(before["steps_left"] - after["steps_left"]))
    return int(passed) if passed.is_integer() else None


def _same(one: Moment, other: Moment) -> bool:
    return all(np.array_equal(one[key], other[key]) for key in other)
