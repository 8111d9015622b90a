"""The goal environment: a world, a set of goals, and the rules of an episode (§3, §4.1).

In: a world whose observations are frames, uint8 (C, H, W), or flat float32 vectors, with
``Discrete`` actions; and goals. Out: a goal-conditioned Gymnasium environment with the interface
that Stable-Baselines3's ``HerReplayBuffer`` and Gymnasium-Robotics use.

It is an environment rather than a wrapper because checkers and replay buffers look for
``compute_reward`` on ``env.unwrapped``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.utils import seeding
from numpy.typing import NDArray

from glamor_gym.checks import as_element, as_instance, as_integer, as_render_mode
from glamor_gym.snapshots import (
    Snapshot,
    random_state,
    restore,
    set_random_state,
    snapshot_of,
)
from glamor_gym.types import Goal
from glamor_gym.wrappers.display import side_by_side, to_picture
from glamor_gym.wrappers.episode_journal import EpisodeJournal, offers_snapshots
from glamor_gym.wrappers.frames import MOST_FRAMES, StackFrames
from glamor_gym.wrappers.goal_rules import (
    GoalRules,
    Reward,
    as_horizon,
    as_labels,
    clock,
    goal_observations,
)
from glamor_gym.wrappers.goal_screens import check_goal_screens
from glamor_gym.wrappers.stop import StopAction

Observation = dict[str, Any]

_COMPUTED = ("compute_reward", "compute_terminated", "compute_truncated")
"""Methods whose results :meth:`GoalEnv.step` returns without calling them."""


class Pictures(NamedTuple):
    """A moment for display; each picture is uint8 (H, W, 3) with its own height and width.

    Attributes:
        world: the world's own rendering, in colour; same as `achieved` unless the world's
            render mode is ``"rgb_array"``.
        goal: the goal, as the agent sees it.
        achieved: the newest frame, as the agent sees it.
    """

    world: NDArray[np.uint8]
    goal: NDArray[np.uint8]
    achieved: NDArray[np.uint8]


class GoalEnv(GoalRules, gym.Env[Observation, np.int64]):
    """Reach a goal picture within T steps, and STOP there.

    Observation (every value is a fresh array):

    * ``observation``: the last `frame_stack` frames, uint8 (frame_stack, H, W), oldest first,
      zeros before the first frame; for a vector world, the vector, float32 (d,).
    * ``achieved_goal``: the newest frame, uint8 (1, H, W), or the vector.
    * ``desired_goal``: the goal, with the shape and dtype of ``achieved_goal``.
    * ``steps_left``: float32 (1,), from T down to 0; every call of :meth:`step` counts.

    Actions: those of the world, and STOP. The episode is *terminated* by STOP or by the world
    (a lost life, game over), otherwise *truncated* at T or by the world. If both happen at once,
    it is terminated.

    Reward: ``"image"``: 1.0 at every step whose newest frame equals the goal picture (§3);
    ``"labels"``: 1.0 at the step that ends the episode in success, which is privileged
    information. :meth:`step` follows these rules without calling the ``compute_*`` methods, which
    take longer: a subclass with rules of its own overrides both. One that overrides a `compute_*`
    method while :meth:`step` is still this one is refused.

    Info, at reset and at every step, in addition to the world's own:

    * ``is_success`` (bool): whether ending the episode now would be a success: every label of the
      goal is matched to strictly less than 10 % of its range or, if the goal has no labels, the
      newest frame equals the goal picture.
    * ``labels``, ``goal_labels`` (dict name → float): not for use in training.
    * ``stopped``, ``world_terminated``, ``world_truncated`` (bool) and ``steps_left`` (int): what
      the ``compute_*`` methods need to know about a step.

    Attributes:
        stop_action: index of the STOP action.
        goals: the goals that :meth:`reset` draws from.
        ranges: feasible range of each label.
        horizon: T, the maximum number of steps in an episode.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 15}  # noqa: RUF012
    snapshot_is_whole: ClassVar[bool] = True
    """`snapshot` is a property, and setting it restores everything inside."""

    def __init__(
        self,
        world: gym.Env[NDArray[Any], Any],
        goals: Sequence[Goal],
        *,
        ranges: Mapping[str, float] | None = None,
        horizon: int,
        reward: Reward = "image",
        label_lag: Literal[0, 1] = 0,
        frame_stack: int = 4,
        render_mode: str | None = None,
    ) -> None:
        """Combine a world and goals.

        Args:
            world: an environment whose observation is one frame, uint8 (C, H, W), or a vector,
                float32 (d,), and whose actions are ``Discrete(n)``. ``info["labels"]``, if
                present, holds the entity labels. Goals of a kind other than ``"frame"`` require
                its method ``goal_screen`` (see :class:`glamor_gym.types.World`), and are passed
                through the observation wrappers around the world.
            goals: at least one; may be a sequence that loads lazily. Of many goals, pass a
                :class:`~glamor_gym.goals.GoalList`, which is checked only when it is made.
            ranges: feasible range of every label that a goal has, in the label's unit; None if
                there are no labels, so that success is equality of pictures.
            horizon: T, the maximum number of steps in an episode, at most 2²⁴.
            reward: ``"image"`` or ``"labels"``, see the class.
            label_lag: 0: success compares with the labels at the moment of the goal picture;
                1: with those one step after it, as in the authors' code.
            frame_stack: number of frames in ``observation``; vectors are not stacked.
            render_mode: None, or ``"rgb_array"`` for pictures of the world beside its goal; in
                colour if `world` has this render mode too.

        Raises:
            ValueError: an argument does not fit its description; the message names it.
            TypeError: an argument has the wrong type.
        """
        GoalRules.__init__(
            self,
            goals,
            {} if ranges is None else ranges,
            _goal_space(world),
            reward=reward,
            label_lag=label_lag,
        )
        # Here rather than in some reset long after. Sequences of other types may load lazily.
        if type(goals) in (list, tuple):
            for index, goal in enumerate(goals):
                name = f"goals[{index}]"
                self.labels_of(self._as_goal(goal, world, name=name), name=name)
            self._check_ranges()
        check_goal_screens(world)
        self.render_mode = as_render_mode(render_mode)

        if "render_fps" in world.metadata:
            self.metadata = {**self.metadata, "render_fps": world.metadata["render_fps"]}
        pictures = len(self._goal_space.shape) == 3
        frame_stack = as_integer(frame_stack, name="frame_stack", low=1, high=MOST_FRAMES)
        stopping = StopAction(StackFrames(world, frame_stack) if pictures else world)
        self.stop_action = stopping.stop_action
        self._source = world
        # Outermost, so that it stores seed and actions and no info, which may hold anything.
        self._world = stopping if offers_snapshots(world) else EpisodeJournal(stopping)
        self._newest = slice(-self._goal_space.shape[0], None)
        self._draw = to_picture
        if world.observation_space == world.unwrapped.observation_space:
            self._draw = getattr(world.unwrapped, "draw_observation", to_picture)
        self.action_space = stopping.action_space
        self._horizon = as_horizon(horizon)
        self.observation_space: spaces.Dict = goal_observations(
            stopping.observation_space, self._goal_space, self._horizon
        )
        self._made_with = goals
        self._closed = False
        self._running = False
        self._steps_left = -1  # until the first reset
        self._goal_labels: dict[str, float] = {}
        self._same = False
        self._achieved = np.zeros(self._goal_space.shape, self._goal_space.dtype)
        self._desired = self._achieved.copy()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a subclass with rules that :meth:`step` would not follow.

        Raises:
            TypeError: it overrides one of the ``compute_*`` methods, but not :meth:`step`.
        """
        super().__init_subclass__(**kwargs)
        own = [name for name in _COMPUTED if getattr(cls, name) is not getattr(GoalEnv, name)]
        if own and cls.step is GoalEnv.step:
            raise TypeError(
                f"{cls.__name__} must override step() too, not only {' and '.join(own)}: "
                "GoalEnv.step() does not call the compute_* methods"
            )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode with a goal drawn uniformly from `goals`.

        A reset whose arguments are refused leaves the running episode as it was; if the world
        itself fails, there is no episode until the next reset.

        Args:
            seed: seeds both goals and world; the same seed gives the same trajectories.
            options: ``{"goal": k}`` selects the k-th of `goals` (from 0); ``{"goal": Goal}`` or
                ``{"goal": picture}``, an array with the shape and dtype of ``desired_goal``, sets
                any other goal. A bare picture has no labels. All other options are passed on to
                the world's reset.

        Returns:
            Observation and info, see the class.

        Raises:
            ValueError: an option is unknown to the world, `seed` is negative, or the goal is out of
                range, has the wrong shape, contains NaN or has labels that this environment cannot
                judge; or the world returned an observation that is not in its space.
            TypeError: `seed`, `options`, the goal or the world's observation has the wrong type or
                dtype.
        """
        if seed is not None:
            seed = as_integer(seed, name="seed", low=0)
        if not isinstance(options, Mapping | None):
            raise TypeError(f"options must be a dict, got {type(options).__name__}")
        options = options or {}
        rng, taken = (self.np_random, None) if seed is None else seeding.np_random(seed)
        # The world gets a seed of its own: with the same one, its first draw would be correlated
        # with the draw of the goal.
        world_seed = None if seed is None else int(rng.integers(2**31))
        goal, name = self.choose_goal(options, rng, self._source)
        goal_labels = self.labels_of(goal, name=name)
        if self._running and isinstance(options.get("goal"), Goal):
            self.picture_of(goal, self._source, name=name)  # the world may be unable to show it
        # Only now: a reset that is refused leaves the running episode as it was.
        if taken is not None:
            self._np_random, self._np_random_seed = rng, taken
        self._closed = False
        self._running = False
        self._goal_labels = goal_labels
        others = {name: value for name, value in options.items() if name != "goal"}
        observation, info = self._world.reset(seed=world_seed, options=others or None)
        if len(self._goal_space.shape) == 1:  # frames: where they are stacked
            as_element(observation, self._goal_space, name="the world's observation")
        # After the reset: the goal is shown as it looks in this episode's world.
        self._desired = self.picture_of(goal, self._source, name=name)
        self._steps_left = self.horizon
        self._running = True
        return self._observe(observation), self._inform(info)

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Take one action of the world, or STOP.

        Raises:
            TypeError: `action` is not a single integer.
            ValueError: `action` is out of range.
            ResetNeeded: the episode is over, or none has begun.
        """
        if not self._running:
            raise ResetNeeded("call reset() first: the episode is over, or none has begun")
        observation, _, world_terminated, world_truncated, info = self._world.step(action)
        self._steps_left -= 1
        seen = self._observe(observation)
        info = self._inform(info, world_terminated and not info["stopped"], world_truncated)
        # Same result as the compute_* methods for this step, without their batch handling, which
        # would take a third of the time of a small world's step.
        terminated = bool(info["stopped"] or info["world_terminated"])
        cut_off = self._steps_left == 0 or info["world_truncated"]
        self._running = not (terminated or cut_off)
        if self.reward == "image":
            rewarded = self._same
        else:
            rewarded = not self._running and info["is_success"]
        return seen, float(rewarded), terminated, bool(cut_off and not terminated), info

    @property
    def horizon(self) -> int:
        """T, the maximum number of steps in an episode; can be set between two episodes.

        Raises:
            RuntimeError: it is set to another number while an episode is running.
        """
        return self._horizon

    @horizon.setter
    def horizon(self, horizon: int) -> None:
        horizon = as_horizon(horizon)
        if self._running and horizon != self._horizon:
            raise RuntimeError(
                f"horizon must be {self._horizon} while an episode is running, got {horizon}"
            )
        self._horizon = horizon
        entries = {**self.observation_space.spaces, "steps_left": clock(self._horizon)}
        self.observation_space = spaces.Dict(entries)

    def render(self) -> NDArray[np.uint8] | None:
        """Return the world beside the goal, uint8 (H, W, 3); None without a render mode.

        The world is shown as it renders itself, see :class:`Pictures`, and the goal in that size.

        Raises:
            ResetNeeded: no episode has begun.
        """
        if self.render_mode is None:
            gym.logger.warn("render() returns None: make the environment with a render_mode")
            return None
        if self._steps_left < 0:
            raise ResetNeeded("call reset() first: there is no picture to render yet")
        pictures = self.pictures()
        return side_by_side(pictures.world, pictures.goal)

    def pictures(self) -> Pictures:
        """Return pictures of the world, the goal and the newest frame, as fresh arrays."""
        achieved = self._draw(self._achieved)
        rendered = self._world.render() if self._world.render_mode == "rgb_array" else None
        return Pictures(
            world=achieved.copy() if rendered is None else np.array(rendered, np.uint8),
            goal=self._draw(self._desired),
            achieved=achieved,
        )

    def get_action_meanings(self) -> list[str]:
        """Return the name of each action: the world's (or numbers if it has none), and STOP."""
        names: list[str] = self._world.get_wrapper_attr("get_action_meanings")()
        return names

    @property
    def snapshot(self) -> Snapshot:
        """The state of the episode, its goal, the goals' generator and the world; can be set."""
        return {
            "random": random_state(self.np_random),
            "running": self._running,
            "steps_left": self._steps_left,
            "goal_labels": dict(self._goal_labels),
            "achieved": self._achieved.copy(),
            "desired": self._desired.copy(),
            "world": snapshot_of(self._world),
        }

    @snapshot.setter
    def snapshot(self, snapshot: Mapping[str, Any]) -> None:
        for name in ("achieved", "desired"):
            as_element(snapshot[name], self._goal_space, name=f"snapshot[{name!r}]")
        restore(self._world, snapshot["world"])
        set_random_state(self.np_random, snapshot["random"])
        self._running = snapshot["running"]
        self._steps_left = snapshot["steps_left"]
        self._goal_labels = dict(snapshot["goal_labels"])
        self._achieved = snapshot["achieved"].copy()
        self._desired = snapshot["desired"].copy()

    def __reduce_ex__(self, protocol: Any) -> str | tuple[Any, ...]:
        """Copy and pickle an environment made by ``gym.make`` as its spec and a snapshot.

        Emulators and renderers cannot be copied; instead, a new environment is made and set to the
        state of this one. Seed, reward, label lag, horizon, goals and action space, which may have
        been changed since this one was made, are carried over.
        """
        if self.spec is None:
            return super().__reduce_ex__(protocol)
        # In this order: the horizon of a running episode cannot be set, and a snapshot's generator
        # brings no seed.
        names = ("reward", "label_lag", "horizon", "action_space", "snapshot", "_np_random_seed")
        kept = {name: getattr(self, name) for name in names}
        if self.goals is not self._made_with:  # else they are made again too: they may be many
            kept["goals"] = self.goals
        return _made_again, (self.spec, kept)

    def close(self) -> None:
        """Close the world; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._world.close()

    def _observe(self, observation: NDArray[Any]) -> Observation:
        self._achieved = observation[self._newest].copy()
        return {
            # A stack is a fresh array; a vector may be one that the world overwrites in a step.
            "observation": observation if observation.ndim > 1 else observation.copy(),
            "achieved_goal": self._achieved.copy(),
            "desired_goal": self._desired.copy(),
            "steps_left": np.array([self._steps_left], np.float32),
        }

    def _inform(
        self, info: dict[str, Any], world_terminated: bool = False, world_truncated: bool = False
    ) -> dict[str, Any]:
        labels = as_labels(info.get("labels", {}), name="info['labels'] of the world")
        self._same = bool((self._achieved == self._desired).all())
        return {
            **info,
            "labels": labels,
            "goal_labels": dict(self._goal_labels),
            "is_success": self.is_success(labels, self._goal_labels, self._same),
            "world_terminated": bool(world_terminated),
            "world_truncated": bool(world_truncated),
            "steps_left": self._steps_left,
        }


def _made_again(spec: EnvSpec, kept: Mapping[str, Any]) -> GoalEnv:
    """Make an environment, without the wrappers around it, and restore its state in order."""
    env = gym.make(spec).unwrapped
    assert isinstance(env, GoalEnv)
    for name, value in kept.items():
        setattr(env, name, value)
    return env


def _goal_space(world: gym.Env[Any, Any]) -> spaces.Box:
    """Return the space of goals, which is that of the world's observations.

    Raises:
        TypeError: `world` is not an environment.
        ValueError: `world` has observations or actions that a goal environment does not support.
    """
    space, actions = as_instance(world, gym.Env, name="world").observation_space, world.action_space
    if not isinstance(actions, spaces.Discrete) or actions.start != 0:
        raise ValueError(f"world must have actions Discrete(n) starting at 0, got {actions}")
    if isinstance(space, spaces.Box) and (space.dtype, len(space.shape)) in (
        (np.dtype(np.uint8), 3),
        (np.dtype(np.float32), 1),
    ):
        if len(space.shape) == 3 and min(space.shape[:2]) > 4 >= space.shape[2]:
            raise ValueError(
                f"world must show frames with channels first, (C, H, W), got {space.shape}; "
                "glamor_gym.wrappers.ScreenToFrame turns screens into frames"
            )
        return space
    raise ValueError(
        f"world must show frames, uint8 (C, H, W), or vectors, float32 (d,), got {space}; "
        "glamor_gym.wrappers.ScreenToFrame turns screens into frames"
    )
