"""How image-goal agents learn, so that each agent's file can be its algorithm.

In: an environment, settings, and the hooks of a subclass. Out: an SB3 algorithm, with `learn`,
callbacks, logger and TensorBoard.

A subclass says how it acts while data is collected (:meth:`TrajectoryLearner.collect`), what it
learns from a batch (:meth:`TrajectoryLearner.update`) and how it acts in earnest (`predict`).
Here are: environments of any kind, ε-greedy exploration, episodes into the replay, and the number
of updates that the replay ratio asks for. Files are the next class's
(:class:`~glamor_gym.agents.base.ImageGoalAgent`).
"""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, RolloutReturn, TrainFreq
from stable_baselines3.common.utils import check_for_correct_spaces
from stable_baselines3.common.vec_env import VecEnv

from glamor_gym.agents.background import Background
from glamor_gym.agents.episodes import NO_ACTION, EpisodeRecorder
from glamor_gym.agents.process import restore_log, restore_process
from glamor_gym.agents.settings import CollectionSettings
from glamor_gym.agents.suitability import check_spaces, last_action_of, warn_of_a_shorter_limit
from glamor_gym.checks import as_instance, as_integer
from glamor_gym.models.duration import MOST_STEPS
from glamor_gym.replay import TrajectoryReplay
from glamor_gym.replay.trajectory_store import TrajectoryStore
from glamor_gym.snapshots import Snapshot
from glamor_gym.types import Trajectory
from glamor_gym.vector.rows import row_of
from glamor_gym.vector.sb3 import AnyEnv, as_vec_env, horizon_of, task_id_of

Metrics = dict[str, float]


class TrajectoryLearner(OffPolicyAlgorithm):
    """An SB3 off-policy algorithm that learns to reach goals from whole trajectories.

    Args:
        policy: a name in `policy_aliases`, or a policy class.
        env: an id, an environment, a Gymnasium or SB3 vector of them, or None to load into.
        settings: the agent's numbers.
        tensorboard_log: folder for TensorBoard; None for none.
        policy_kwargs: arguments of the policy class.
        verbose: 0 for silence, 1 for a log.
        seed: of everything: networks, exploration, replay, planner and environment.
        device: ``"auto"`` takes CUDA where there is one.
        _init_setup_model: build networks and replay at once.

    Attributes:
        overlap: whether updates are made on a thread of their own while the environments step.
            What is learned stays the same (on a CPU to the last bit): each update gets the samples
            that it would have got, and the agent's methods wait for it; call
            :meth:`finish_updates` before you look at `policy` itself. True from the start for
            agents that act by plans and learn on CUDA; may be set.
        task_id: id of the environment that it learned in; None where that was made otherwise than
            by ``gym.make``, and for files from before it was kept.

    Raises:
        ValueError: the environment has no goals, no Discrete actions, or no known horizon; there
            is no such policy or device; the seed is out of range.
        TypeError: an argument is of the wrong type.
    """

    acts_by_plan: ClassVar[bool] = False
    """Whether :meth:`collect` looks at the policy at the beginnings of episodes alone, and
    :meth:`update` never at the replay: updates can then overlap the steps in between."""

    replay_buffer: TrajectoryStore[Any]  # type: ignore[assignment]
    observation_space: spaces.Dict
    action_space: spaces.Discrete

    def __init__(
        self,
        policy: str | type[BasePolicy],
        env: AnyEnv | None,
        settings: CollectionSettings,
        *,
        tensorboard_log: str | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
    ) -> None:
        if not isinstance(policy_kwargs, Mapping | None):
            raise TypeError(f"policy_kwargs must be a dict, got {type(policy_kwargs).__name__}")
        if seed is not None:
            seed = as_integer(seed, name="seed", low=0, high=2**32 - 1)
        is_class = isinstance(policy, type) and issubclass(policy, BasePolicy)
        if not is_class and policy not in self.policy_aliases:
            raise ValueError(
                f"policy must be {' or '.join(self.policy_aliases)}, or a policy class, got "
                f"{policy!r}; the environment comes first: {type(self).__name__}(env, policy)"
            )
        try:
            torch.empty(0, device=None if device == "auto" else device)
        except (RuntimeError, AssertionError, TypeError, ValueError) as error:
            raise ValueError(f"device {device!r} cannot be used here: {error}") from error
        vec_env = None if env is None else as_vec_env(env)
        super().__init__(
            policy,
            vec_env,  # type: ignore[arg-type]
            learning_rate=settings.scheduled_learning_rate,
            buffer_size=settings.buffer_size,
            learning_starts=settings.learning_starts,
            batch_size=settings.batch_size,
            train_freq=(1, "step"),
            policy_kwargs={
                name: value.item() if isinstance(value, np.generic) else value  # for JSON
                for name, value in (policy_kwargs or {}).items()
            },
            tensorboard_log=tensorboard_log,
            verbose=verbose,
            device=device,
            support_multi_env=True,
            seed=seed,
            sde_support=False,
        )
        self.settings = settings
        self.stop_action = -1
        self.horizon = 0
        self.task_id: str | None = None
        self._updates_before = 0
        self.overlap = self.acts_by_plan and self.device.type == "cuda"
        self._updates: Background[list[Metrics]] = Background()
        self._pending_process_state: Snapshot | None = None  # what waits until learning goes on
        self._dropped_episodes = False  # whether a checkpoint's were, for want of an environment
        if vec_env is not None:
            self._adopt_spaces(vec_env.observation_space, vec_env.action_space)
            self.stop_action = last_action_of(vec_env)
            self.horizon = as_integer(horizon_of(vec_env), name="horizon", low=1, high=MOST_STEPS)
            if self.buffer_size < self.horizon + 1:
                raise ValueError(
                    f"buffer_size must be at least {self.horizon + 1}, which an episode of "
                    f"{self.horizon} steps takes, got {self.buffer_size}"
                )
            self.task_id = task_id_of(vec_env)
            warn_of_a_shorter_limit(vec_env, self.horizon, stacklevel=3)
        if _init_setup_model and vec_env is not None:
            self._setup_model()

    # -------------------------------------------------------------------- a subclass's own part

    @abstractmethod
    def collect(
        self, observations: Mapping[str, NDArray[Any]], starts: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """Choose actions for data collection, before exploration.

        Args:
            observations: a batch, one row an environment.
            starts: (n_envs,) which rows are the first of an episode.

        Returns:
            (n_envs,) actions without STOP; `NO_ACTION` where a random one is to be taken.
        """

    @abstractmethod
    def update(self, batch: Any) -> dict[str, torch.Tensor]:
        """Take one gradient step; return what is to be logged under ``train/``.

        Args:
            batch: what the replay of :meth:`_make_replay` draws.
        """

    def _begin_collection(self) -> None:
        """Forget what :meth:`collect` carries from step to step: all episodes begin anew."""

    def _episode_state(self) -> Snapshot:
        """Return, for a checkpoint, what :meth:`_begin_collection` would forget."""
        return {}

    def _load_episode_state(self, carried: Mapping[str, Any]) -> None:
        """Take back what :meth:`_episode_state` returned."""

    def _extra_state(self) -> Snapshot:
        """Return, for a checkpoint, what was learned beside networks and replay."""
        return {}

    def _load_extra_state(self, learned: Mapping[str, Any]) -> None:
        """Take back what :meth:`_extra_state` returned."""

    def _begin_episodes(self, starts: NDArray[np.bool_]) -> None:
        """Prepare for the episodes that begin in the marked environments, (n_envs,)."""

    def _store_episode(self, env: int, trajectory: Trajectory) -> None:
        """Store the episode that ended in one of the environments."""
        self.replay_buffer.add(trajectory)

    def _make_replay(self, seed: int) -> TrajectoryStore[Any]:
        """Build the replay, whose samples :meth:`update` gets."""
        return TrajectoryReplay(self.buffer_size, self.observation_space, self.n_actions, seed=seed)

    def _policy_arguments(self) -> dict[str, Any]:
        """Return the policy's arguments that follow from the settings."""
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
        """Take a vector environment as it is: SB3 would swap the axes of pictures."""
        assert isinstance(env, VecEnv)
        return env

    def _setup_model(self) -> None:
        """Build the policy, the replay and the random generators."""
        self._setup_lr_schedule()
        self.replay_buffer = self._make_replay(0)  # seeded with all else in the next line
        self.set_random_seed(self.seed)
        self.policy = self.policy_class(
            self.observation_space,
            self.action_space,
            self.lr_schedule,
            **{**self._policy_arguments(), **self.policy_kwargs},
        ).to(self.device)
        self._convert_train_freq()

    def set_random_seed(self, seed: int | None = None) -> None:
        """Seed everything anew: the global generators and the spaces as SB3 does, and its own.

        Args:
            seed: of everything; None leaves SB3's part alone, and draws the agent's own seeds from
                the system.
        """
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
    def observation_keys(self) -> tuple[str, ...]:
        """The entries of an observation that the agent looks at when it acts."""
        needed = ("observation", "desired_goal")
        return (*needed, "steps_left") if "steps_left" in self.observation_space.spaces else needed

    @property
    def exploration_rate(self) -> float:
        """Share of random actions at present."""
        return self.settings.exploration_eps(self.num_timesteps)

    def learn(
        self,
        total_timesteps: int = 500_000,
        callback: MaybeCallback = None,
        log_interval: int | None = 100,
        tb_log_name: str = "",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Collect and train for a number of environment steps.

        Args:
            total_timesteps: environment steps over all environments.
            callback: an SB3 callback, or several.
            log_interval: episodes between two lines of the log; None for no such lines.
            tb_log_name: name of the run for TensorBoard; the class's name if empty.
            reset_num_timesteps: start counting (and exploring) anew.
            progress_bar: show one.

        Returns:
            The agent.

        Raises:
            ValueError: `total_timesteps` is below 1, or the agent was loaded without an
                environment.
            FloatingPointError: a loss came out as NaN or infinite.
        """
        given: object = total_timesteps
        if isinstance(given, float) and given.is_integer():
            total_timesteps = int(given)  # 1e5, as many write it
        total_timesteps = as_integer(total_timesteps, name="total_timesteps", low=1)
        if log_interval is not None:
            log_interval = as_integer(log_interval, name="log_interval", low=1)
        as_instance(tb_log_name, str, name="tb_log_name")
        if self.env is None:
            raise ValueError("env is missing: call set_env, or load with env=…")
        if self.overlap and not self.acts_by_plan:
            raise ValueError(f"overlap must be False for a {type(self).__name__}, got True")
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
        fresh_episodes = reset_num_timesteps or self._last_obs is None
        if reset_num_timesteps:
            self._updates_before = self._n_updates
        # SB3's own _setup_learn looks into its kind of replay; ours has nothing to mend there.
        result = super(OffPolicyAlgorithm, self)._setup_learn(
            total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar
        )
        if fresh_episodes:
            self._recorder = EpisodeRecorder(self.n_envs, self.replay_buffer.wants_observations)
            self._recorder.begin_all(self._last_observations, range(self.n_envs))
            self._starts = np.ones(self.n_envs, dtype=bool)
            self._begin_collection()
        if self._pending_process_state is not None:
            restore_process(self, self._pending_process_state)
            self._pending_process_state = None
        return result

    def set_logger(self, logger: Logger) -> None:
        """Log to `logger`, see SB3; what waited in a checkpoint to be logged waits in it."""
        super().set_logger(logger)
        if self._pending_process_state is not None:
            restore_log(logger, self._pending_process_state["log"])

    def resume(
        self,
        callback: MaybeCallback = None,
        log_interval: int = 100,
        tb_log_name: str = "",
        progress_bar: bool = False,
    ) -> Self:
        """Take the steps that are left of the last call of :meth:`learn`; arguments as there.

        After :meth:`load_checkpoint` the agent comes out as if it had never been interrupted. If
        no step is left, it is returned as it is: a script may be begun again after its end.

        Raises:
            ValueError: the agent was loaded without an environment, or has not begun to learn.
            FloatingPointError: a loss came out as NaN or infinite.
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

    def _sample_action(
        self,
        learning_starts: int,
        action_noise: ActionNoise | None = None,
        n_envs: int = 1,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Act ε-greedily around :meth:`collect`; never STOP."""
        if self._starts.any():
            self._begin_episodes(self._starts)
        actions = self._random_actions(n_envs)
        if self.num_timesteps >= learning_starts and self._n_updates:
            chosen = self.collect(self._last_observations, self._starts)
            explores = self.rng.random(n_envs) < self.exploration_rate
            actions = np.where(explores | (chosen == NO_ACTION), actions, chosen)
        return actions, actions

    def _random_actions(self, n_envs: int) -> NDArray[np.int64]:
        """Draw an action for each environment, or take its last one again, but STOP."""
        drawn = self.rng.integers(0, self.n_actions, size=n_envs)
        persistence = self.settings.exploration_persistence
        if not persistence:
            return drawn
        last = self._recorder.last_actions
        repeats = (self.rng.random(n_envs) < persistence) & (last != NO_ACTION)
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

        Where a callback ends the training, SB3 forgets the step and leaves out the updates that
        fall due; here both come first, so that training can go on from there as if it had not
        been ended.
        """
        if self.policy.training:  # else a walk through all modules, a fifth of a step's time
            self.policy.set_training_mode(False)
        callback.on_rollout_start()
        actions, buffer_actions = self._sample_action(learning_starts, action_noise, env.num_envs)
        # Until the step is stored there is nothing to go on from: whatever raises in between, a
        # callback or Ctrl-C, leaves episodes that lack a step, and new ones are to begin.
        self._last_obs = None
        new_obs, rewards, dones, infos = env.step(actions)
        self.num_timesteps += env.num_envs
        callback.update_locals(locals())
        goes_on = callback.on_step()
        self._update_info_buffer(infos, dones)
        self._store_transition(replay_buffer, buffer_actions, new_obs, rewards, dones, infos)
        self._update_current_progress_remaining(self.num_timesteps, self._total_timesteps)
        self._on_step()
        n_episodes = int(np.sum(dones))
        for _ in range(n_episodes):
            self._episode_num += 1
            if log_interval is not None and self._episode_num % log_interval == 0:
                self.dump_logs()
        callback.on_rollout_end()
        if not goes_on:
            self.train(self.gradient_steps, self.batch_size)
        return RolloutReturn(env.num_envs, n_episodes, goes_on)

    def _store_transition(
        self,
        replay_buffer: Any,
        buffer_action: NDArray[Any],
        new_obs: Any,
        reward: NDArray[Any],
        dones: NDArray[np.bool_],
        infos: list[dict[str, Any]],
    ) -> None:
        """Append to the running episodes; store those that ended."""
        for env, (action, done, info) in enumerate(zip(buffer_action, dones, infos, strict=True)):
            if info.get("reset_step"):  # this step ignored its action and began a new episode
                self._recorder.begin(env, row_of(new_obs, env))
                self._starts[env] = True
                continue
            self._starts[env] = done and not info.get("awaits_reset")
            moment = info["terminal_observation"] if done else row_of(new_obs, env)
            self._recorder.step(env, int(action), moment)
            if done:
                trajectory = self._recorder.finish(env)
                if trajectory is not None:
                    self._check_length(trajectory)
                    self._store_episode(env, trajectory)
                    self._recorder.keep_observations = self.replay_buffer.wants_observations
                self._recorder.begin(env, row_of(new_obs, env))
        self._last_obs = new_obs

    def _check_length(self, trajectory: Trajectory) -> None:
        if len(trajectory) > self.horizon:
            raise ValueError(
                f"env must end its episodes after {self.horizon} steps, its horizon, "
                f"got one of {len(trajectory)} steps"
            )

    def train(self, gradient_steps: int, batch_size: int) -> None:
        """Make as many updates as the replay ratio asks for by now.

        Args:
            gradient_steps: SB3's; unused, since the replay ratio sets the number.
            batch_size: training tuples an update.

        Raises:
            FloatingPointError: a loss came out as NaN or infinite.
        """
        due = self._updates_before + self.settings.updates_due(self.num_timesteps)
        if self._n_updates >= due or not len(self.replay_buffer):
            return
        self.finish_updates()
        self._update_learning_rate(self.policy.optimizer)
        numbers = range(self._n_updates + 1, due + 1)
        if self.overlap:
            batches = [self.replay_buffer.sample(batch_size, self.device) for _ in numbers]
            self._updates.begin(lambda: list(map(self._make_update, numbers, batches)))
            self._n_updates = due  # counted as made: finish_updates waits for them
        else:
            for number in numbers:
                batch = self.replay_buffer.sample(batch_size, self.device)
                self._record(self._make_update(number, batch))
                self._n_updates = number
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/exploration_rate", self.exploration_rate)

    def finish_updates(self) -> None:
        """Wait for updates that overlap; to be called before weights or generators are looked at.

        Raises:
            FloatingPointError: a loss came out as NaN or infinite.
        """
        for metrics in self._updates.take() or ():
            self._record(metrics)

    def _make_update(self, number: int, batch: Any) -> Metrics:
        """Make one update and return what is to be logged of it.

        Raises:
            FloatingPointError: a loss came out as NaN or infinite.
        """
        self.policy.set_training_mode(True)
        values = self.update(batch)
        # All at once: on a GPU, fetching a number waits for it.
        numbers = torch.stack([value.float() for value in values.values()]).tolist()
        metrics = dict(zip(values, numbers, strict=True))
        self.policy.set_training_mode(False)
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"{name} is {value} at update {number} (step {self.num_timesteps}); "
                    "lower the learning rate"
                )
        return metrics

    def _record(self, metrics: Metrics) -> None:
        for name, value in metrics.items():
            self.logger.record_mean(f"train/{name}", value)

    def set_env(self, env: AnyEnv, force_reset: bool = True) -> None:
        """Learn in another environment from here on.

        Args:
            env: whatever the constructor takes.
            force_reset: begin its episodes anew; else it is one that stands where the last one
                did, with as many environments.

        Raises:
            ValueError: it has other spaces or another horizon, its last action is not STOP, or it
                has another number of environments and is not to be reset.

        Warns:
            UserWarning: the agent comes from a checkpoint with episodes under way, which only
                :meth:`load_checkpoint` can go on with; or ``max_episode_steps`` of `env` is below
                its horizon.
        """
        vec_env = as_vec_env(env)
        last_action_of(vec_env)
        if horizon_of(vec_env) != self.horizon:
            raise ValueError(f"env must have horizon {self.horizon}, got {horizon_of(vec_env)}")
        check_for_correct_spaces(vec_env, self.observation_space, self.action_space)
        if force_reset or self.env is None:
            self.n_envs = vec_env.num_envs
        if vec_env.num_envs != self.n_envs:
            raise ValueError(
                f"env must have {self.n_envs} environments unless force_reset is True, "
                f"got {vec_env.num_envs}"
            )
        super().set_env(vec_env, force_reset)
        self.task_id = task_id_of(vec_env)
        warn_of_a_shorter_limit(vec_env, self.horizon, stacklevel=2)
        if self._dropped_episodes:
            warnings.warn(
                "the checkpoint's unfinished episodes are dropped: pass env to load_checkpoint to "
                "continue them",
                stacklevel=2,
            )
            self._dropped_episodes = False
