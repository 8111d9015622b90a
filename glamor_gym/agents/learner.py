"""The agents' training loop, which leaves each agent's module to its algorithm.

In: an environment, settings, and the hooks of a subclass. Out: an SB3 algorithm, with `learn`,
callbacks, logger and TensorBoard.

A subclass defines how it acts while data is collected (:meth:`TrajectoryLearner.collect`), what it
learns from a batch (:meth:`~glamor_gym.agents.updates.BatchLearner.update`) and how it acts at
evaluation (`predict`). This module takes environments of any kind, explores ε-greedily, and stores
episodes in the replay; :mod:`~glamor_gym.agents.updates` makes the updates that fall due. Saving
and loading is added by :class:`~glamor_gym.agents.base.ImageGoalAgent`.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, RolloutReturn, TrainFreq
from stable_baselines3.common.utils import FloatSchedule, check_for_correct_spaces
from stable_baselines3.common.vec_env import VecEnv

from glamor_gym.agents.episodes import NO_ACTION, EpisodeRecorder
from glamor_gym.agents.resets import ResetWatch, clock_was_set_back
from glamor_gym.agents.saving.process import restore_log, restore_process
from glamor_gym.agents.settings import CollectionSettings
from glamor_gym.agents.suitability import (
    check_evaluation,
    check_spaces,
    warn_of_a_shorter_limit,
    warn_of_too_few_steps,
    warn_of_unread_entries,
)
from glamor_gym.agents.updates import BatchLearner
from glamor_gym.checks import as_instance, as_integer
from glamor_gym.devices import checking_device
from glamor_gym.models.duration import LONGEST_HORIZON
from glamor_gym.replay import TrajectoryReplay
from glamor_gym.replay.trajectory_store import TrajectoryStore
from glamor_gym.snapshots import Snapshot
from glamor_gym.types import Trajectory
from glamor_gym.vector.sb3 import AnyEnv, as_vec_env, horizon_of, stop_action_of, task_id_of


class TrajectoryLearner(BatchLearner):
    """An SB3 off-policy algorithm that learns to reach goals from whole trajectories.

    Args:
        policy: a name in `policy_aliases`, or a subclass of what it names.
        env: an id, an environment, a Gymnasium or SB3 vector of them, or None for an agent whose
            spaces are loaded from a file.
        settings: the agent's hyper-parameters.
        tensorboard_log: folder for TensorBoard; None for no TensorBoard log.
        policy_kwargs: arguments of the policy class, without those that follow from the settings
            and the environment.
        stats_window_size: number of episodes that the logged means of ``rollout/`` are over.
        verbose: 0 for no output, 1 for a log.
        seed: of everything: networks, exploration, replay, planner and environment.
        device: ``"auto"`` is CUDA if available, else the CPU.
        _init_setup_model: build networks and replay at once.

    Attributes:
        overlap: see :class:`~glamor_gym.agents.updates.BatchLearner`.
        task_id: id of the environment that the agent was trained in; None if that was not made by
            ``gym.make``.

    Raises:
        ValueError: the environment has no goals, no Discrete actions, or no known horizon; there
            is no such policy or device; the seed or a setting is out of range; or `policy_kwargs`
            holds an argument that follows from the settings or the environment.
        TypeError: an argument is of the wrong type.
    """

    stores_goals: ClassVar[bool] = False
    """Whether the replay stores each episode's goal, too."""

    horizon: int = 0
    task_id: str | None = None

    def __init__(
        self,
        policy: str | type[BasePolicy],
        env: AnyEnv | None,
        settings: CollectionSettings,
        *,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        stats_window_size: int = 100,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        self.settings = settings  # which the checks below need
        policy_kwargs = {} if policy_kwargs is None else policy_kwargs
        self._check_arguments(policy, policy_kwargs, device)
        seed = _as_seed(seed)
        if env is None and _init_setup_model:
            raise ValueError("env is missing; only load and load_checkpoint do without")
        vec_env = None if env is None else as_vec_env(env)
        super().__init__(
            policy,
            vec_env,
            settings,
            policy_kwargs={
                name: value.item() if isinstance(value, np.generic) else value  # for JSON
                for name, value in policy_kwargs.items()
            },
            tensorboard_log=tensorboard_log,
            stats_window_size=as_integer(stats_window_size, name="stats_window_size", low=1),
            verbose=verbose,
            device=device,
            seed=seed,
        )
        self._pending_process_state: Snapshot | None = None  # restored when training continues
        self._in_step = False  # from before the environments' step until it is stored
        # True if a checkpoint with unfinished episodes was loaded without an environment.
        self._dropped_episodes = False
        self._reset_watch = ResetWatch()
        if vec_env is not None:
            self._adopt_spaces(vec_env.observation_space, vec_env.action_space)
            self._adopt_env(vec_env, stacklevel=5)  # where the agent is made
        if _init_setup_model:
            warn_of_unread_entries(self.observation_space, stacklevel=4)
            self._setup_model()

    def _check_arguments(
        self,
        policy: str | type[BasePolicy],
        policy_kwargs: Mapping[str, Any],
        device: torch.device | str,
    ) -> None:
        if not isinstance(policy_kwargs, Mapping):
            raise TypeError(f"policy_kwargs must be a dict, got {type(policy_kwargs).__name__}")
        for name in self._policy_arguments():
            if name in policy_kwargs:
                raise ValueError(
                    f"policy_kwargs must not hold {name!r}, which the agent derives from its own "
                    "arguments and its environment"
                )
        known = self.policy_aliases
        is_ours = isinstance(policy, type) and issubclass(policy, tuple(known.values()))
        if not is_ours and policy not in known:
            raise ValueError(
                f"policy must be {' or '.join(known)}, or a subclass of it, got {policy!r}; the "
                f"environment comes first: {type(self).__name__}(env, policy)"
            )
        with checking_device(device):
            torch.empty(0, device=None if device == "auto" else device)

    def _adopt_env(self, env: VecEnv, *, stacklevel: int) -> None:
        """Check that episodes of an environment can be learned from; keep its horizon and id."""
        if (stop := stop_action_of(env)) != self.stop_action:
            raise ValueError(
                f"env must have STOP as its last action, got {stop} of {env.action_space}"
            )
        self.horizon = as_integer(horizon_of(env), name="horizon", low=1, high=LONGEST_HORIZON)
        self._check_buffer_size()
        self.task_id = task_id_of(env)
        warn_of_a_shorter_limit(env, self.horizon, stacklevel=stacklevel)

    def _check_buffer_size(self) -> None:
        needed = self.horizon + 1 + self.stores_goals
        if self.buffer_size < needed:
            raise ValueError(
                f"buffer_size must be at least {needed}, for the frames of an episode of "
                f"{self.horizon} steps{' and its goal' * self.stores_goals}, "
                f"got {self.buffer_size}"
            )

    # ----------------------------------------------------------------------- hooks for subclasses

    @abstractmethod
    def collect(
        self, observations: Mapping[str, NDArray[Any]], starts: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """Choose actions for data collection, before exploration, unless all data is random.

        Args:
            observations: a batch, one row per environment.
            starts: (n_envs,) flags of the rows that are the first of an episode.

        Returns:
            (n_envs,) actions without STOP; `NO_ACTION` where a random one is to be taken.
        """

    def overrides(self) -> dict[str, Any]:
        """Return changes made after construction, as JSON-able values; :meth:`save` keeps them.

        A subclass's own arguments belong here too: :meth:`load` passes the constructor only those
        of :class:`TrajectoryLearner` and the fields of `settings`. A subclass of an agent that has
        overrides, such as :class:`~glamor_gym.agents.GlamorAgent`, adds its own to what ``super()``
        returns.
        """
        return {}

    def apply_overrides(self, overrides: Mapping[str, Any]) -> None:
        """Apply what :meth:`overrides` returned, without the entries that :meth:`load` was given.

        A subclass takes its own entries out and passes the rest to ``super()``.

        Raises:
            TypeError: an override is unknown or of the wrong type.
            ValueError: an override is out of range.
        """
        if overrides:
            raise TypeError(f"a {type(self).__name__} has no override {', '.join(overrides)}")

    def _begin_collection(self) -> None:
        """Reset what :meth:`collect` carries from step to step; all environments begin episodes."""

    def _episode_state(self) -> Snapshot:
        """Return what :meth:`collect` carries from step to step, for a checkpoint."""
        return {}

    def _load_episode_state(self, carried: Mapping[str, Any]) -> None:
        """Restore what :meth:`_episode_state` returned."""

    def _begin_episodes(self, starts: NDArray[np.bool_]) -> None:
        """Prepare for the episodes that begin in the flagged environments, (n_envs,)."""

    def _store_episode(self, env: int, trajectory: Trajectory) -> None:
        """Store an episode that has ended in environment number `env`."""
        self.replay_buffer.add(trajectory)

    def _make_replay(self) -> TrajectoryStore:
        """Build the replay from which :meth:`update` gets its batches."""
        return TrajectoryReplay(
            self.buffer_size,
            self.observation_space,
            self.n_actions,
            horizon=self.horizon,
        )

    def _policy_arguments(self) -> dict[str, Any]:
        """Return the arguments of the policy that follow from the settings."""
        return {
            "weight_decay": self.settings.weight_decay,
            "precision": self.settings.precision,
            "horizon": self.horizon,
        }

    # ------------------------------------------------------------------------------ SB3's hooks

    def _adopt_spaces(self, observation_space: Any, action_space: Any) -> None:
        check_spaces(observation_space, action_space)
        self.observation_space = observation_space
        self.action_space = action_space

    @staticmethod
    def _wrap_env(env: GymEnv, verbose: int = 0, monitor_wrapper: bool = True) -> VecEnv:
        """Return a vector environment unchanged; SB3 would transpose pictures."""
        assert isinstance(env, VecEnv)
        return env

    def _setup_model(self) -> None:
        """Build the policy, the replay and the random generators."""
        self.lr_schedule = FloatSchedule(self.settings.scheduled_learning_rate)
        self.replay_buffer = self._make_replay()
        self.set_random_seed(self.seed)
        self.policy = self.policy_class(  # type: ignore[assignment]
            self.observation_space,
            self.action_space,
            self.lr_schedule,
            **self._policy_arguments(),
            **self.policy_kwargs,
        ).to(self.device)
        self._convert_train_freq()

    def set_random_seed(self, seed: int | None = None) -> None:
        """Seed everything: the global generators and the spaces as SB3 does, and the agent's.

        Args:
            seed: of everything; None leaves the generators that SB3 seeds alone, and draws the
                agent's seeds from the operating system.

        Raises:
            ValueError: `seed` is out of range.
            TypeError: `seed` is not an integer.
        """
        seed = _as_seed(seed)
        self.finish_updates()
        super().set_random_seed(seed)
        seeds = np.random.SeedSequence(seed).generate_state(3)
        self.rng = np.random.default_rng(int(seeds[0]))
        self.generator = torch.Generator(self.device).manual_seed(int(seeds[1]))
        self.replay_buffer.rng = np.random.default_rng(int(seeds[2]))

    @property
    def n_actions(self) -> int:
        """Number of actions A, STOP not counted."""
        return int(self.action_space.n) - 1

    @property
    def stop_action(self) -> int:
        """Index of STOP, the last action."""
        return self.n_actions

    @property
    def observation_keys(self) -> tuple[str, ...]:
        """The entries of an observation that the agent reads when it acts."""
        needed = ("observation", "desired_goal")
        return (*needed, "steps_left") if "steps_left" in self.observation_space.spaces else needed

    @property
    def exploration_rate(self) -> float:
        """Current share of random actions: ε once :meth:`collect` is asked, 1 before."""
        if not self._asks_for_actions or self.settings.collects_at_random:
            return 1.0
        return self.settings.exploration_eps(self.num_timesteps)

    @property
    def _asks_for_actions(self) -> bool:
        """Whether enough was seen, and something was learned, for :meth:`collect` to be asked."""
        return self.num_timesteps >= self.learning_starts and self._n_updates > 0

    def learn(
        self,
        total_timesteps: int = 500_000,
        callback: MaybeCallback = None,
        log_interval: int | None = 100,
        tb_log_name: str | None = None,
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Collect and train for a number of environment steps.

        Args:
            total_timesteps: environment steps over all environments.
            callback: an SB3 callback, or several.
            log_interval: episodes between two log entries; None for no entries.
            tb_log_name: name of the run for TensorBoard; None for the class's name.
            reset_num_timesteps: restart the step count, and with it exploration.
            progress_bar: whether to show a progress bar.

        Returns:
            The agent.

        Raises:
            ValueError: `total_timesteps` or `log_interval` is below 1, the agent was loaded without
                an environment, or `overlap` is True for an agent that does not act by plans.
            TypeError: an argument is of the wrong type.
            FloatingPointError: a loss is NaN or infinite.

        Warns:
            UserWarning: no update will fall due, since all steps are among the first
                `learning_starts`, or nearly so.
        """
        given: object = total_timesteps
        if isinstance(given, float) and given.is_integer():
            total_timesteps = int(given)  # such as 1e5
        total_timesteps = as_integer(total_timesteps, name="total_timesteps", low=1)
        if log_interval is not None:
            log_interval = as_integer(log_interval, name="log_interval", low=1)
        if tb_log_name is not None:
            as_instance(tb_log_name, str, name="tb_log_name")
        if self.env is None:
            raise ValueError("env is missing: call set_env, or pass env to load")
        if self.overlap and not self.acts_by_plan:
            raise ValueError(f"overlap must be False for a {type(self).__name__}, got True")
        taken = 0 if reset_num_timesteps else self.num_timesteps
        warn_of_too_few_steps(self, taken + total_timesteps)
        try:
            super().learn(
                total_timesteps,
                callback,
                log_interval,  # type: ignore[arg-type]
                tb_log_name or type(self).__name__,
                reset_num_timesteps,
                progress_bar,
            )
        finally:
            self.finish_updates()
        return self

    def _setup_learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        reset_num_timesteps: bool = True,
        tb_log_name: str = "run",
        progress_bar: bool = False,
    ) -> tuple[int, BaseCallback]:
        assert self.env is not None
        if self._reset_watch.was_reset(self.env):
            self._last_obs = None
        fresh_episodes = reset_num_timesteps or self._last_obs is None
        if reset_num_timesteps:
            self._updates_before = self._n_updates
        try:
            # Skips OffPolicyAlgorithm's part, which expects one of SB3's replay buffers.
            result = super(OffPolicyAlgorithm, self)._setup_learn(
                total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar
            )
            check_evaluation(result[1], self.action_space)
        except BaseException:
            if fresh_episodes:  # SB3 may have reset, and nothing records these episodes
                self._last_obs = None
            raise
        if fresh_episodes:
            self._begin_recording()
        if self._pending_process_state is not None:
            restore_process(self, self._pending_process_state)
            self._pending_process_state = None
        return result

    def _begin_recording(self) -> None:
        """Begin an episode in each environment, at the last observations."""
        self._recorder = EpisodeRecorder(
            self._last_observations,
            self.horizon,
            keep_observations=self.replay_buffer.wants_observations,
        )
        self._begin_collection()
        assert self.env is not None
        self._reset_watch.leave(self.env)

    def set_logger(self, logger: Logger) -> None:
        """Log to `logger`, see SB3; it receives the entries that a checkpoint had yet to log."""
        super().set_logger(logger)
        if self._pending_process_state is not None:
            restore_log(logger, self._pending_process_state["log"])

    def resume(
        self,
        callback: MaybeCallback = None,
        log_interval: int | None = 100,
        tb_log_name: str | None = None,
        progress_bar: bool = False,
    ) -> Self:
        """Take the remaining steps of the last call of :meth:`learn`.

        For the arguments see :meth:`learn`. After :meth:`load_checkpoint`, which names the few
        attributes that a checkpoint does not keep, the result is the same as if the agent had never
        been interrupted. If no steps remain, the agent is returned unchanged, so that a script that
        has finished may be run again.

        Raises:
            ValueError: :meth:`learn` was never called, the agent was loaded without an environment,
                or an argument is out of range.
            TypeError: an argument is of the wrong type.
            FloatingPointError: a loss is NaN or infinite.
        """
        if not self._total_timesteps:
            raise ValueError("nothing to resume: call learn() first, or use load_checkpoint()")
        steps_left = self._total_timesteps - self.num_timesteps
        if steps_left < 1:
            return self
        return self.learn(steps_left, callback, log_interval, tb_log_name, False, progress_bar)

    @property
    def _last_observations(self) -> dict[str, NDArray[Any]]:
        assert isinstance(self._last_obs, dict)
        return self._last_obs

    def _next_actions(self) -> NDArray[np.int64]:
        """Choose random actions with probability ε, else those of :meth:`collect`; never STOP."""
        starts = self._recorder.lengths == 0
        if starts.any():
            self._begin_episodes(starts)
        actions = self._random_actions()
        if self._asks_for_actions:
            explores = self.rng.random(self.n_envs) < self.exploration_rate
            if not self.settings.collects_at_random:
                chosen = self.collect(self._last_observations, starts)
                actions = np.where(explores | (chosen == NO_ACTION), actions, chosen)
        return actions

    def _random_actions(self) -> NDArray[np.int64]:
        """Draw an action for each environment, or repeat its previous one; never STOP."""
        drawn = self.rng.integers(0, self.n_actions, size=self.n_envs)
        persistence = self.settings.exploration_persistence
        if not persistence:
            return drawn
        last = self._recorder.last_actions
        repeats = (self.rng.random(self.n_envs) < persistence) & (last != NO_ACTION)
        return np.where(repeats, last, drawn)

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        train_freq: TrainFreq,
        replay_buffer: Any,
        action_noise: ActionNoise | None = None,
        learning_starts: int = 0,
        log_interval: int | None = None,
    ) -> RolloutReturn:
        """Take one step in every environment, see SB3.

        If a callback, or whoever else has hold of them, has reset the environments, or a callback
        has set others, new episodes begin.

        If a callback ends the training, SB3 drops the step and skips the updates that fall due;
        here both are done first, so that training can continue as if it had not ended.
        """
        # The call visits all modules, which is a fifth of a step's time. Overlapping updates set
        # the mode themselves.
        if self.policy.training and not self._updates.pending:
            self.policy.set_training_mode(False)
        callback.on_rollout_start()
        assert self.env is not None
        env = self.env  # a callback may have set another, or reset it
        if self._last_obs is None or self._reset_watch.was_reset(env):
            self._last_obs = env.reset()  # type: ignore[assignment]
            self._begin_recording()
        actions = buffer_actions = self._next_actions()  # callbacks may look for either
        self._in_step = True
        try:
            new_obs, rewards, dones, infos = env.step(actions)
            self._reset_watch.leave(env)
            # A step in which a worker was replaced took no action there: it only begins an episode.
            acted = np.array([not info.get("reset_step") for info in infos])
            self.num_timesteps += int(acted.sum())
            callback.update_locals(locals())
            goes_on = callback.on_step()
            self._update_info_buffer(infos, dones)
            has_same_env = self._last_obs is not None  # else a callback has set another
            if has_same_env and not clock_was_set_back(
                self.observation_space, self._last_observations, new_obs, acted & ~dones
            ):
                self._record_step(buffer_actions, acted, new_obs, dones, infos)
            else:
                self._last_obs = None  # new episodes begin
        except BaseException:
            # A callback failed, or Ctrl-C: episodes may lack a step. Without `_last_obs` the next
            # `learn` begins new ones.
            self._last_obs = None
            raise
        finally:
            self._in_step = False
        self._update_current_progress_remaining(self.num_timesteps, self._total_timesteps)
        self.logger.record("rollout/exploration_rate", self.exploration_rate)
        self._on_step()
        n_episodes = int(np.sum(dones))
        for _ in range(n_episodes):
            self._episode_num += 1
            if log_interval is not None and self._episode_num % log_interval == 0:
                self.dump_logs()
        callback.on_rollout_end()
        self.gradient_steps = self._updates_due()
        if not goes_on and self.gradient_steps:
            self.train(self.gradient_steps, self.batch_size)
        return RolloutReturn(env.num_envs, n_episodes, goes_on)

    def _record_step(
        self,
        actions: NDArray[np.int64],
        acted: NDArray[np.bool_],
        new_obs: Any,
        dones: NDArray[np.bool_],
        infos: list[dict[str, Any]],
    ) -> None:
        """Append a step to each unfinished episode that `acted`; store those that ended."""
        ended = np.flatnonzero(dones & acted).tolist()
        moments = new_obs
        if ended:  # SB3's vectors return the first moment of the next episode instead
            moments = {key: new_obs[key].copy() for key in ("achieved_goal", "observation")}
            for env in ended:
                for key, values in moments.items():
                    values[env] = infos[env]["terminal_observation"][key]
        self._recorder.step(np.flatnonzero(acted), actions, moments)
        for env in ended:
            self._store_episode(env, self._recorder.finish(env, moments["observation"][env]))
        if not self.replay_buffer.wants_observations:
            self._recorder.drop_observations()
        self._recorder.begin(np.flatnonzero(dones), new_obs)
        self._last_obs = new_obs

    def set_env(self, env: AnyEnv, force_reset: bool = True) -> None:
        """Train in another environment from now on.

        Args:
            env: anything that the constructor takes.
            force_reset: begin new episodes. If False, `env` must be in the state that the last one
                was left in, with the same number of environments.

        Raises:
            ValueError: `env` has other spaces or another horizon, its last action is not STOP,
                `force_reset` is False and it has another number of environments, or the replay is
                too small for one of its episodes.

        Warns:
            UserWarning: the agent comes from a checkpoint with unfinished episodes, which only
                :meth:`load_checkpoint` can continue; or ``max_episode_steps`` of `env` is below its
                horizon.
        """
        vec_env = as_vec_env(env)
        if horizon_of(vec_env) != self.horizon:
            raise ValueError(f"env must have horizon {self.horizon}, got {horizon_of(vec_env)}")
        check_for_correct_spaces(vec_env, self.observation_space, self.action_space)
        if self.env is not None and not force_reset and vec_env.num_envs != self.n_envs:
            raise ValueError(
                f"env must have {self.n_envs} environments unless force_reset is True, "
                f"got {vec_env.num_envs}"
            )
        self._adopt_env(vec_env, stacklevel=3)
        self.n_envs = vec_env.num_envs
        super().set_env(vec_env, force_reset)
        if self._dropped_episodes:
            warnings.warn(
                "the checkpoint's unfinished episodes are dropped: pass env to load_checkpoint to "
                "continue them",
                stacklevel=2,
            )
            self._dropped_episodes = False


def _as_seed(seed: int | None) -> int | None:
    return None if seed is None else as_integer(seed, name="seed", low=0, high=2**32 - 1)
