"""The rules of reaching a goal: choice of the goal, success, reward, and end of an episode.

In: goals, and the achieved and desired pictures, labels and infos of one step or a batch of steps.
Out: rewards, ends and successes (§3, §4.4). Single and vector environments share these rules.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from glamor_gym.checks import as_choice, as_element, as_instance, as_integer, as_number
from glamor_gym.types import Goal
from glamor_gym.wrappers.goal_screens import goal_kind, show_goal

Reward = Literal["image", "labels"]
Infos = Mapping[str, Any] | Sequence[Mapping[str, Any]] | NDArray[np.object_]

SMALLEST_RANGE = 0.01
"""A range below this counts as 1, since a label that hardly moves gives no scale."""

LARGEST_CLOCK = 2**24
"""Maximum T: the largest number to which ``steps_left``, a float32, can count in steps of one."""


def label_tolerance(extent: float) -> float:
    """Return the error below which a label counts as reached: 10 % of its feasible range (§4.4).

    The error must be strictly less.

    Args:
        extent: feasible range of the label; below :data:`SMALLEST_RANGE`, it counts as 1.

    Raises:
        TypeError: `extent` is not a number.
        ValueError: `extent` is not finite.
    """
    extent = as_number(extent, name="extent")
    # Divided by 10, not multiplied by 0.1: 70 * 0.1 is 7.000000000000001.
    return (extent if extent >= SMALLEST_RANGE else 1.0) / 10


def label_ranges(goals: Iterable[Goal]) -> dict[str, float]:
    """Return the range (maximum minus minimum) of each label over the goals that have it.

    Raises:
        TypeError: an entry of `goals` is not a :class:`~glamor_gym.types.Goal`.
    """
    values = defaultdict[str, list[float]](list)
    for goal in goals:
        for name, value in (as_instance(goal, Goal, name="goals").labels or {}).items():
            values[name].append(value)
    return {name: max(of_goals) - min(of_goals) for name, of_goals in values.items()}


def goal_observations(
    observations: spaces.Space[Any], goals: spaces.Box, horizon: int
) -> spaces.Dict:
    """Return the observation space of a goal environment.

    Args:
        observations: space of ``observation``.
        goals: space of ``achieved_goal`` and ``desired_goal``.
        horizon: T, the maximum number of steps in an episode.
    """
    return spaces.Dict(
        {
            "observation": observations,
            "achieved_goal": goals,
            "desired_goal": goals,
            "steps_left": clock(horizon),
        }
    )


def clock(horizon: int) -> spaces.Box:
    """Return the space of ``steps_left`` in episodes of at most `horizon` steps."""
    return spaces.Box(0, horizon, (1,), np.float32)


def as_horizon(value: Any) -> int:
    """Return `value` as T, the maximum number of steps in an episode.

    Raises:
        TypeError: it is not an integer.
        ValueError: it is below 1 or above :data:`LARGEST_CLOCK`.
    """
    return as_integer(value, name="horizon", low=1, high=LARGEST_CLOCK)


def as_goals(value: Any) -> Sequence[Goal]:
    """Return `value` if it can be what goals are drawn from; the goals themselves are not read.

    Raises:
        TypeError: it is not a sequence, or an array, a mapping or a string.
        ValueError: it is empty.
    """
    is_sequence = hasattr(value, "__len__") and hasattr(value, "__getitem__")
    if not is_sequence or isinstance(value, np.ndarray | Mapping | str):
        raise TypeError(f"goals must be a sequence of Goal, got {type(value).__name__}")
    if len(value) == 0:
        raise ValueError("goals must hold at least one goal, got none")
    goals: Sequence[Goal] = value
    return goals


class GoalRules:
    """Which goal an episode has and when it is reached; a base class of goal environments.

    Attributes:
        goals: the goals that the goal of an episode is drawn from.
        ranges: feasible range of each label.
        reward: ``"image"`` or ``"labels"``.
        label_lag: 0: success compares with the labels at the moment of the goal picture; 1: with
            those one step after it.
    """

    def __init__(
        self,
        goals: Sequence[Goal],
        ranges: Mapping[str, float],
        goal_space: spaces.Box,
        *,
        reward: Reward,
        label_lag: Literal[0, 1],
    ) -> None:
        """Set the rules.

        Args:
            goals: at least one; may be a sequence that loads lazily.
            ranges: feasible range of every label that a goal has, in the label's unit.
            goal_space: space of ``achieved_goal`` and ``desired_goal``.
            reward: ``"image"`` or ``"labels"``.
            label_lag: 0 or 1, see the class.

        Raises:
            ValueError: there is no goal, or an argument is out of range; the message names it.
            TypeError: an argument has the wrong type.
        """
        as_instance(ranges, Mapping, name="ranges")  # type: ignore[type-abstract]
        for name, extent in ranges.items():
            as_number(extent, name=f"ranges[{name!r}]", low=0)
        self.goals = as_goals(goals)
        self.ranges = dict(ranges)
        self._reward: Reward = as_reward(reward)
        self._label_lag: Literal[0, 1] = as_label_lag(label_lag)
        self._goal_space = goal_space
        self._tolerance = {name: label_tolerance(extent) for name, extent in ranges.items()}

    @property
    def reward(self) -> Reward:
        """``"image"`` or ``"labels"``; can be set."""
        return self._reward

    @reward.setter
    def reward(self, reward: Reward) -> None:
        self._reward = as_reward(reward)

    @property
    def label_lag(self) -> Literal[0, 1]:
        """0 or 1, see the class; can be set."""
        return self._label_lag

    @label_lag.setter
    def label_lag(self, label_lag: Literal[0, 1]) -> None:
        self._label_lag = as_label_lag(label_lag)

    def _check_ranges(self) -> None:
        """Check that no range belongs to a label that none of the labelled goals has.

        Success would not depend on such a label. If no goal has labels, those that a reset selects
        instead may have them.

        Raises:
            ValueError: there is one.
        """
        labelled = [goal.labels for goal in self.goals if goal.labels]
        unused = sorted(map(str, self.ranges.keys() - set().union(*labelled)))
        if labelled and unused:
            raise ValueError(f"ranges must be of labels that a goal has, but no goal has {unused}")

    def choose_goal(
        self, options: Mapping[str, Any], rng: np.random.Generator, world: Any
    ) -> tuple[Goal, str]:
        """Return the goal that the options of a reset select, or draw one of `goals`.

        Args:
            options: ``{"goal": k}`` for the k-th of `goals` (from 0); ``{"goal": Goal}`` or
                ``{"goal": picture}`` for any other; without it, one is drawn. All other options are
                the world's.
            rng: generator to draw with; not used if `options` selects a goal.
            world: the environment that is to show it; see :class:`glamor_gym.types.World`.

        Returns:
            The goal, and what error messages call it.

        Raises:
            ValueError: the world says that it has no such option, there are no goals, the world
                does not show goals of this kind, or the goal is out of range, has the wrong shape
                or contains NaN.
            TypeError: the goal has the wrong type or dtype, or `goals` holds something else.
        """
        if world.has_wrapper_attr("reset_options"):
            known = ("goal", *world.get_wrapper_attr("reset_options"))
            if unknown := options.keys() - set(known):
                raise ValueError(
                    f"options may contain {', '.join(map(repr, known))} only, got "
                    f"{sorted(map(str, unknown))}"
                )
        goals = as_goals(self.goals)  # may have been set since
        if "goal" not in options:
            number = int(rng.integers(len(goals)))
        else:
            asked, name = options["goal"], "options['goal']"
            if isinstance(asked, Goal):
                return self._as_goal(asked, world, name=name), name
            if isinstance(asked, np.ndarray) and asked.ndim > 0:
                return Goal(as_element(asked, self._goal_space, name=name), "frame"), name
            named = f"{name}, if not a Goal or a picture,"
            number = as_integer(asked, name=named, low=0, high=len(goals) - 1)
        name = f"goals[{number}]"
        return self._as_goal(goals[number], world, name=name), name

    def _as_goal(self, goal: Any, world: Any, *, name: str) -> Goal:
        """Return `goal` if it is one that `world` shows; its labels are not checked.

        Raises:
            TypeError: it is not a goal, or a picture of the wrong dtype.
            ValueError: the world does not show goals of this kind, or a picture does not fit the
                space of goals.
        """
        given = as_instance(goal, Goal, name=name)
        if given.kind == "frame":
            as_element(given.content, self._goal_space, name=f"{name}.content")
        elif given.kind != (kind := goal_kind(world)):
            allowed = " or ".join(map(repr, dict.fromkeys(("frame", kind))))
            raise ValueError(f"{name}.kind must be {allowed} here, got {given.kind!r}")
        return given

    def picture_of(self, goal: Goal, world: Any, *, name: str) -> NDArray[Any]:
        """Return a goal as it looks in the running episode of `world`, a fresh array.

        Args:
            goal: what :meth:`choose_goal` returned.
            world: an environment; see :class:`glamor_gym.types.World`.
            name: what error messages call the goal.

        Raises:
            ValueError: the goal's content does not fit the world.
            TypeError: the goal's content has the wrong dtype.
        """
        if goal.kind == "frame":
            return goal.content.copy()
        shown = show_goal(world, goal.content)
        return as_element(shown, self._goal_space, name=f"goal_screen({name}.content)").copy()

    def labels_of(self, goal: Goal, *, name: str) -> dict[str, float]:
        """Return the labels that success is judged by; empty if the goal has none.

        Args:
            goal: any goal.
            name: what error messages call it.

        Raises:
            TypeError: the labels are no mapping from names to numbers.
            ValueError: the goal lacks the labels that `label_lag` requires, or has one that is not
                finite or without a range.
        """
        if goal.labels is None:
            return {}
        labels = goal.lagged_labels if self.label_lag else goal.labels
        if labels is None:
            raise ValueError(f"label_lag=1 requires a goal with lagged_labels, {name} has none")
        wanted = as_labels(labels, name=f"{name}.labels")
        if missing := wanted.keys() - self.ranges.keys():
            raise ValueError(
                f"ranges must contain the labels of {name}, but lacks {sorted(map(str, missing))}"
            )
        if not all(map(math.isfinite, wanted.values())):
            raise ValueError(f"{name}.labels must be finite, got {wanted}")
        return wanted

    def is_success(
        self, labels: Mapping[str, float], goal_labels: Mapping[str, float], same: bool
    ) -> bool:
        """Return whether ending the episode now would be a success (§4.4).

        Args:
            labels: labels of the moment.
            goal_labels: labels of the goal.
            same: whether the pictures are equal, which decides if the goal has no labels.

        Raises:
            ValueError: `labels` lacks a label of the goal.
        """
        if not goal_labels:
            return same
        if missing := goal_labels.keys() - labels.keys():
            raise ValueError(
                f"the world's labels must contain the goal's, but lack {sorted(missing)}"
            )
        return all(
            abs(labels[name] - wanted) < self._tolerance[name]
            for name, wanted in goal_labels.items()
        )

    def compute_reward(
        self, achieved_goal: NDArray[Any], desired_goal: NDArray[Any], info: Infos
    ) -> float | NDArray[np.float32]:
        """Return the reward of a step that achieved `achieved_goal` when given `desired_goal`.

        ``"image"`` compares only the pictures; `info` may be empty. ``"labels"`` compares the
        ``labels`` and ``goal_labels`` in `info`, and so judges by the labels of the goal that the
        episode had, whatever `desired_goal` is: such rewards cannot be relabelled in hindsight.

        Args:
            achieved_goal: one achieved goal, or a batch (B, …) of them.
            desired_goal: one desired goal, or a batch (B, …) of them.
            info: what ``step`` returned; for a batch, a list or array of B infos.

        Returns:
            0.0 or 1.0; for a batch, float32 (B,).

        Raises:
            ValueError: the shapes do not fit, or `info` lacks an entry that ``"labels"`` needs.
            TypeError: `info` is neither a mapping nor a sequence of mappings.
        """
        equal = self._equal(achieved_goal, desired_goal)
        if self.reward == "image":
            return _unbatched(equal.astype(np.float32))
        over = _is_terminated(info) | _is_truncated(info)
        labels, goal_labels = _facts(info, "labels"), _facts(info, "goal_labels")
        if labels.shape != equal.shape:
            raise ValueError(
                f"info must be of as many moments as achieved_goal, {equal.shape or 'one'}, got "
                f"{labels.shape or 'one'}"
            )
        success = [
            self.is_success(one, wanted, bool(same))
            for one, wanted, same in zip(labels.flat, goal_labels.flat, equal.flat, strict=True)
        ]
        reached = over & np.array(success, np.bool_).reshape(equal.shape)
        return _unbatched(reached.astype(np.float32))

    def compute_terminated(
        self, achieved_goal: NDArray[Any], desired_goal: NDArray[Any], info: Infos
    ) -> bool | NDArray[np.bool_]:
        """Return whether STOP or the world ended the episode; the goals are not used.

        Arguments are those of :meth:`compute_reward`; a batch gives bool (B,).

        Raises:
            ValueError: `info` lacks a required entry.
            TypeError: `info` is neither a mapping nor a sequence of mappings.
        """
        return _unbatched(_is_terminated(info))

    def compute_truncated(
        self, achieved_goal: NDArray[Any], desired_goal: NDArray[Any], info: Infos
    ) -> bool | NDArray[np.bool_]:
        """Return whether the horizon or the world truncated the episode; the goals are not used.

        Arguments are those of :meth:`compute_reward`; a batch gives bool (B,).

        Raises:
            ValueError: `info` lacks a required entry.
            TypeError: `info` is neither a mapping nor a sequence of mappings.
        """
        return _unbatched(_is_truncated(info))

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


def as_reward(value: Any) -> Reward:
    """Return `value` as the kind of reward; ValueError for another."""
    return as_choice(value, get_args(Reward), name="reward")


def as_label_lag(value: Any) -> Literal[0, 1]:
    """Return `value` as the lag of goal labels in steps; ValueError for another."""
    return as_choice(value, (0, 1), name="label_lag")


def as_labels(labels: Mapping[str, Any], *, name: str = "labels") -> dict[str, float]:
    """Return labels as Python floats, since differences of unsigned bytes would wrap around.

    Args:
        labels: label → number.
        name: name of the argument in error messages.

    Raises:
        TypeError: `labels` is not a mapping to numbers.
    """
    try:
        return {label: float(value) for label, value in labels.items()}
    except (AttributeError, TypeError, ValueError):
        raise TypeError(f"{name} must map names to numbers, got {labels!r}") from None


def _facts(info: Infos, key: str) -> NDArray[Any]:
    """Return one entry of an info, or of each of a batch of infos: an array () or (B,)."""
    try:
        if isinstance(info, Mapping):
            return np.asarray(info[key])
        return np.asarray([one[key] for one in info])
    except KeyError:
        raise ValueError(
            f"info must contain {key!r}, as returned by step(); rewards by labels cannot be "
            'relabelled in hindsight: reward="image" can, without info'
        ) from None
    except (IndexError, TypeError):
        raise TypeError(
            f"info must be what step() returned, or a list of these, got {type(info).__name__}"
        ) from None


def _flag(info: Infos, key: str) -> NDArray[np.bool_]:
    return _facts(info, key).astype(np.bool_)  # an empty batch has no type of its own


def _is_terminated(info: Infos) -> NDArray[np.bool_]:
    return np.asarray(_flag(info, "stopped") | _flag(info, "world_terminated"))


def _is_truncated(info: Infos) -> NDArray[np.bool_]:
    cut_off = (_facts(info, "steps_left") <= 0) | _flag(info, "world_truncated")
    return np.asarray(cut_off & ~_is_terminated(info))


def _unbatched(values: NDArray[Any]) -> Any | NDArray[Any]:
    """Return an array () as a Python number, a batch unchanged."""
    return values if values.ndim else values.item()
