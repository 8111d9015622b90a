"""The goal environment: a world, a set of goals, and the rules of an episode (§3, §4.1).

In: a world whose observations are frames, uint8 (C, H, W), or flat float32 vectors, with
``Discrete`` actions; and goals. Out: a goal-conditioned Gymnasium environment in the form that
Stable-Baselines3's ``HerReplayBuffer`` and Gymnasium-Robotics use.

It is an environment of its own rather than a wrapper: checkers and replay buffers look for
``compute_reward`` on ``env.unwrapped``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from glamor_gym.checks import as_choice, as_element, as_integer, as_render_mode
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
from glamor_gym.wrappers.frames import StackFrames
from glamor_gym.wrappers.stop import StopAction

Reward = Literal["image", "labels"]
Observation = dict[str, Any]
Infos = Mapping[str, Any] | Sequence[Mapping[str, Any]] | NDArray[np.object_]

SMALLEST_RANGE = 0.01
"""A label that hardly moves gives no scale: a range below this counts as 1."""


def label_tolerance(extent: float) -> float:
    """Return how far a label of feasible range `extent` may miss the goal's: 10 % of it (§4.4).

    Success is strictly less. A range below :data:`SMALLEST_RANGE` counts as 1.
    """
    # Divided, not multiplied by 0.1: ten per cent of 70 is 7, not 7.000000000000001.
    return (extent if extent >= SMALLEST_RANGE else 1.0) / 10


class GoalEnv(gym.Env[Observation, np.int64]):
    """Reach the goal picture within T steps, or say STOP where it is reached.

    Observation (every value a fresh array):

    * ``observation``: the last `frame_stack` frames, uint8 (frame_stack, H, W), oldest first,
      zeros before the first frame; for a vector world the vector, float32 (d,).
    * ``achieved_goal``: the newest frame, uint8 (1, H, W), or the vector.
    * ``desired_goal``: the goal picture, likewise.
    * ``steps_left``: float32 (1,), from T down to 0; every call of :meth:`step` counts.

    Action: those of the world, and STOP. The episode is *terminated* by STOP or by the world
    (a lost life, game over), else *truncated* at T. Where both happen at once, it is terminated.

    Reward: ``"image"``: 1.0 at every step whose newest frame equals the goal picture (§3);
    ``"labels"``: 1.0 at the step that ends the episode in success, which is privileged knowledge.

    Info, at reset and at every step, beside what the world puts there:

    * ``is_success`` (bool): would ending now succeed: every label of the goal within 10 % of its
      range (strictly less). Where the goal has no labels: is the picture equal.
    * ``labels``, ``goal_labels`` (dict name → float): not for agents in training.
    * ``stopped``, ``world_terminated``, ``world_truncated`` (bool) and ``steps_left`` (int): what
      the ``compute_*`` methods need to know of a step.

    Attributes:
        stop_action: the number of the STOP action.
        goals: the goals that :meth:`reset` draws from.
        ranges: feasible range of each label.
        horizon: T, the most steps in an episode.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 15}  # noqa: RUF012

    def __init__(
        self,
        world: gym.Env[NDArray[Any], Any],
        goals: Sequence[Goal],
        *,
        ranges: Mapping[str, float],
        horizon: int,
        reward: Reward = "image",
        label_lag: Literal[0, 1] = 0,
        frame_stack: int = 4,
        render_mode: str | None = None,
    ) -> None:
        """Put goals to a world.

        Args:
            world: an environment whose observation is one frame, uint8 (C, H, W), or a vector,
                float32 (d,), and whose actions are ``Discrete(n)``. ``info["labels"]``, where
                there, holds the entity labels. Goals of a kind other than ``"frame"`` need its
                method ``goal_screen`` (see :class:`glamor_gym.types.World`).
            goals: at least one; may be a sequence that loads lazily.
            ranges: feasible range of every label that a goal has, in the label's unit.
            horizon: T, the most steps in an episode.
            reward: ``"image"`` or ``"labels"``, see above.
            label_lag: 0: success compares with the labels at the moment of the goal picture;
                1: with those one step after it, as the authors' code did.
            frame_stack: number of frames in ``observation``; vectors are not stacked.
            render_mode: None or ``"rgb_array"``: the newest frame beside the goal.

        Raises:
            ValueError: an argument is out of what is said above; the message names it.
            TypeError: `horizon` or `frame_stack` is not an integer.
        """
        if len(goals) == 0:
            raise ValueError("goals must hold at least one goal, got none")
        for name, extent in ranges.items():
            if not (np.isfinite(extent) and extent >= 0):
                raise ValueError(f"ranges[{name!r}] must be finite and ≥ 0, got {extent!r}")
        self.goals = goals
        self.ranges = dict(ranges)
        self._tolerance = {name: label_tolerance(extent) for name, extent in ranges.items()}
        self.horizon = as_integer(horizon, name="horizon", low=1)
        self.reward: Reward = as_choice(reward, get_args(Reward), name="reward")
        self.label_lag = as_choice(label_lag, (0, 1), name="label_lag")
        self.render_mode = as_render_mode(render_mode)

        if "render_fps" in world.metadata:
            self.metadata = {**self.metadata, "render_fps": world.metadata["render_fps"]}
        self._goal_space = _goal_space(world)
        if not offers_snapshots(world):
            world = EpisodeJournal(world)
        pictures = len(self._goal_space.shape) == 3
        frame_stack = as_integer(frame_stack, name="frame_stack", low=1)
        stopping = StopAction(StackFrames(world, frame_stack) if pictures else world)
        self.stop_action = stopping.stop_action
        self._world = stopping
        self._newest = slice(-self._goal_space.shape[0], None)
        self._draw = (
            world.get_wrapper_attr("draw") if world.has_wrapper_attr("draw") else to_picture
        )
        self.action_space = stopping.action_space
        self.observation_space = spaces.Dict(
            {
                "observation": stopping.observation_space,
                "achieved_goal": self._goal_space,
                "desired_goal": self._goal_space,
                "steps_left": spaces.Box(0, self.horizon, (1,), np.float32),
            }
        )
        self._running = False
        self._steps_left = self.horizon
        self._goal_labels: dict[str, float] = {}
        self._achieved = np.zeros(self._goal_space.shape, self._goal_space.dtype)
        self._desired = self._achieved.copy()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode with a goal drawn from `goals`, each as likely.

        Args:
            seed: seeds goals and world alike; the same seed gives the same trajectories.
            options: ``{"goal": k}`` takes the k-th of `goals` instead; ``{"goal": Goal}`` or
                ``{"goal": picture}``, an array of `desired_goal`'s shape and dtype, any other.
                A bare picture has no labels.

        Returns:
            Observation and info, see the class.

        Raises:
            ValueError: an unknown option, a goal out of range, of the wrong shape or with NaN,
                or one whose labels this environment cannot judge.
            TypeError: a goal of the wrong type or dtype.
        """
        super().reset(seed=seed)
        self._running = False
        options = options or {}
        if unknown := options.keys() - {"goal"}:
            raise ValueError(f"options may hold 'goal' only, got {sorted(unknown)}")
        # The world gets a stream of its own: with the same seed, its first draw would hang
        # together with the draw of the goal.
        world_seed = None if seed is None else int(self.np_random.integers(2**31))
        goal = self._goal_from(options)
        self._goal_labels = self._labels_of(goal)
        observation, info = self._world.reset(seed=world_seed)
        # Only now: a goal is shown as this episode's world shows it.
        self._desired = self._picture_of(goal)
        self._steps_left = self.horizon
        self._running = True
        return self._observe(observation), self._inform(info)

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Take one action of the world, or STOP.

        Raises:
            TypeError: `action` is not one integer.
            ValueError: `action` is out of range.
            ResetNeeded: the episode is over, or none was begun.
        """
        if not self._running:
            raise ResetNeeded("call reset() first: the episode is over, or none was begun")
        observation, _, world_terminated, world_truncated, info = self._world.step(action)
        self._steps_left -= 1
        seen = self._observe(observation)
        info = self._inform(info, world_terminated and not info["stopped"], world_truncated)
        moment = self._achieved, self._desired, info
        reward = float(self.compute_reward(*moment))
        terminated = bool(self.compute_terminated(*moment))
        truncated = bool(self.compute_truncated(*moment))
        self._running = not (terminated or truncated)
        return seen, reward, terminated, truncated, info

    def compute_reward(
        self, achieved_goal: NDArray[Any], desired_goal: NDArray[Any], info: Infos
    ) -> float | NDArray[np.float32]:
        """Return the reward of a step that achieved `achieved_goal` where another was desired.

        ``"image"`` looks at the pictures alone; `info` may be empty. ``"labels"`` judges by the
        ``labels`` and ``goal_labels`` in `info`: whoever puts another goal picture in the place
        of the episode's own (as hindsight relabelling does) has to put its labels there too.

        Args:
            achieved_goal: one, or a batch (B, …) of them.
            desired_goal: likewise.
            info: what :meth:`step` returned; for a batch a list or array of B such.

        Returns:
            0.0 or 1.0; for a batch float32 (B,).

        Raises:
            ValueError: the shapes do not fit, or `info` lacks what ``"labels"`` needs.
        """
        equal = self._equal(achieved_goal, desired_goal)
        if self.reward == "image":
            return _rewards(equal)
        over = _is_terminated(info) | _is_truncated(info)
        moments = zip(
            _facts(info, "labels").flat, _facts(info, "goal_labels").flat, equal.flat, strict=True
        )
        success = [
            self._is_success(labels, goal_labels, bool(same))
            for labels, goal_labels, same in moments
        ]
        return _rewards(over & np.reshape(success, equal.shape))

    def compute_terminated(
        self, achieved_goal: NDArray[Any], desired_goal: NDArray[Any], info: Infos
    ) -> bool | NDArray[np.bool_]:
        """Return whether STOP or the world ended the episode; the goals have no part in it.

        Arguments and errors as for :meth:`compute_reward`, `info` always needed. Returns a bool,
        or bool (B,).
        """
        return _flags(_is_terminated(info))

    def compute_truncated(
        self, achieved_goal: NDArray[Any], desired_goal: NDArray[Any], info: Infos
    ) -> bool | NDArray[np.bool_]:
        """Return whether the episode was cut off, by the horizon or the world's own limit.

        Arguments and errors as for :meth:`compute_reward`, `info` always needed. Returns a bool,
        or bool (B,).
        """
        return _flags(_is_truncated(info))

    @property
    def is_running(self) -> bool:
        """Whether an episode was begun and is not over."""
        return self._running

    def render(self) -> NDArray[np.uint8] | None:
        """Return the newest frame beside the goal, uint8 (H, W, 3); None without a render mode."""
        if self.render_mode is None:
            gym.logger.warn("render() shows nothing: make the environment with a render_mode")
            return None
        return side_by_side(self._draw(self._achieved), self._draw(self._desired))

    @property
    def snapshot(self) -> Snapshot:
        """The episode and its goal, the generator of goals, and the world; can be set."""
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

    def close(self) -> None:
        """Close the world; a second call does nothing."""
        self._world.close()

    def _goal_from(self, options: Mapping[str, Any]) -> Goal:
        """Return the goal that the options of a reset ask for, or one drawn from the set."""
        if "goal" not in options:
            return self.goals[int(self.np_random.integers(len(self.goals)))]
        asked = options["goal"]
        if isinstance(asked, Goal):
            return asked
        if isinstance(asked, np.ndarray) and asked.ndim > 0:
            return Goal(as_element(asked, self._goal_space, name="options['goal']"), "frame")
        name = "options['goal'], unless a Goal or a picture,"
        return self.goals[as_integer(asked, name=name, low=0, high=len(self.goals) - 1)]

    def _labels_of(self, goal: Goal) -> dict[str, float]:
        """Return the labels that success is judged by; none where the goal has none."""
        if goal.labels is None:
            return {}
        labels = goal.lagged_labels if self.label_lag else goal.labels
        if labels is None:
            raise ValueError("label_lag=1 needs a goal with lagged_labels, and this one has none")
        if missing := labels.keys() - self.ranges.keys():
            raise ValueError(f"ranges must hold the goal's labels, and lacks {sorted(missing)}")
        return dict(labels)

    def _picture_of(self, goal: Goal) -> NDArray[Any]:
        """Return the goal as this episode's world shows it, a fresh array."""
        if goal.kind == "frame":
            return as_element(goal.content, self._goal_space, name="Goal.content").copy()
        has_kind = self._world.has_wrapper_attr("goal_kind")
        kind = self._world.get_wrapper_attr("goal_kind") if has_kind else "frame"
        if goal.kind != kind:
            raise ValueError(f"Goal.kind must be 'frame' or {kind!r} here, got {goal.kind!r}")
        shown = self._world.get_wrapper_attr("goal_screen")(goal.content)
        return as_element(shown, self._goal_space, name="goal_screen(Goal.content)").copy()

    def _observe(self, observation: NDArray[Any]) -> Observation:
        self._achieved = observation[self._newest].copy()
        return {
            "observation": observation,
            "achieved_goal": self._achieved.copy(),
            "desired_goal": self._desired.copy(),
            "steps_left": np.array([self._steps_left], np.float32),
        }

    def _inform(
        self, info: dict[str, Any], world_terminated: bool = False, world_truncated: bool = False
    ) -> dict[str, Any]:
        labels = dict(info.get("labels", {}))
        same = bool(np.array_equal(self._achieved, self._desired))
        return {
            **info,
            "labels": labels,
            "goal_labels": dict(self._goal_labels),
            "is_success": self._is_success(labels, self._goal_labels, same),
            "world_terminated": bool(world_terminated),
            "world_truncated": bool(world_truncated),
            "steps_left": self._steps_left,
        }

    def _is_success(
        self, labels: Mapping[str, float], goal_labels: Mapping[str, float], same: bool
    ) -> bool:
        if not goal_labels:
            return same
        if missing := goal_labels.keys() - labels.keys():
            raise ValueError(f"the world's labels must hold the goal's, and lack {sorted(missing)}")
        return all(
            abs(labels[name] - wanted) < self._tolerance[name]
            for name, wanted in goal_labels.items()
        )

    def _equal(self, achieved: NDArray[Any], desired: NDArray[Any]) -> NDArray[np.bool_]:
        """Return where two goals, or two batches of goals, are equal: bool () or (B,)."""
        shape = self._goal_space.shape
        achieved, desired = np.asarray(achieved), np.asarray(desired)
        batch = achieved.ndim - len(shape)
        if (
            achieved.shape != desired.shape
            or batch not in (0, 1)
            or achieved.shape[batch:] != shape
        ):
            raise ValueError(
                f"achieved_goal and desired_goal must both have shape {shape} or (B, …), "
                f"got {achieved.shape} and {desired.shape}"
            )
        return np.asarray((achieved == desired).all(axis=tuple(range(batch, achieved.ndim))))


def _goal_space(world: gym.Env[Any, Any]) -> spaces.Box:
    space = world.observation_space
    if isinstance(space, spaces.Box) and (space.dtype, len(space.shape)) in (
        (np.dtype(np.uint8), 3),
        (np.dtype(np.float32), 1),
    ):
        return space
    raise ValueError(
        f"world must show frames, uint8 (C, H, W), or vectors, float32 (d,), got {space}; "
        "glamor_gym.wrappers.ScreenToFrame makes frames of screens"
    )


def _facts(info: Infos, key: str) -> NDArray[Any]:
    """Return one entry of an info, or of each of a batch of infos: an array () or (B,)."""
    try:
        if isinstance(info, Mapping):
            return np.asarray(info[key])
        return np.asarray([one[key] for one in info])
    except KeyError:
        raise ValueError(f"info must hold {key!r}, as step() returns it, and lacks it") from None


def _is_terminated(info: Infos) -> NDArray[np.bool_]:
    return np.asarray(_facts(info, "stopped") | _facts(info, "world_terminated"))


def _is_truncated(info: Infos) -> NDArray[np.bool_]:
    cut_off = (_facts(info, "steps_left") <= 0) | _facts(info, "world_truncated")
    return np.asarray(cut_off & ~_is_terminated(info))


def _flags(values: NDArray[np.bool_]) -> bool | NDArray[np.bool_]:
    """Return an array () as a bool, a batch as it is."""
    return values if values.ndim else bool(values)


def _rewards(values: NDArray[np.bool_]) -> float | NDArray[np.float32]:
    """Return 1.0 where true: an array () as a float, a batch as float32 (B,)."""
    return values.astype(np.float32) if values.ndim else float(values)
