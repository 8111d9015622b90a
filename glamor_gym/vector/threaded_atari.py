"""A vector of Atari goal environments whose emulators run in C++ threads.

In: worlds whose consoles step in threads, and goals. Out: a Gymnasium vector environment on the
threads of ``ale_py.vector_env``, with exactly the observations, rewards and ends that
``vectorization_mode="sync"`` gives for the same seeds. These emulators do not expose their RAM, so
there are no labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import repeat
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np
from gymnasium import spaces
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from glamor_gym.checks import (
    as_choice,
    as_integer,
    as_render_mode,
)
from glamor_gym.snapshots import Snapshot, random_state, set_random_state
from glamor_gym.types import Goal
from glamor_gym.vector.atari_world import ThreadedAtariWorld
from glamor_gym.wrappers.display import side_by_side, to_picture
from glamor_gym.wrappers.frames import MOST_FRAMES
from glamor_gym.wrappers.goal_rules import (
    GoalRules,
    as_goals,
    as_horizon,
    goal_observations,
)

_REMEMBERED = ("_running", "_steps_left", "_lives", "_stacks", "_desired")
"""A vector's state of its episodes, one row per environment."""

_SPACES = ("action_space", "observation_space")
"""Attributes of one environment that a vector has under the name ``single_…``."""

_OWN = ("np_random", "np_random_seed")
"""Attributes that a vector has as a tuple, one entry per environment."""

_SETTABLE: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {"goals": as_goals, "render_mode": as_render_mode}
)
"""Attributes that :meth:`ThreadedAtariVectorEnv.set_attr` can set, and how a value is checked."""


def _fixed(name: str) -> Any:
    """Return a property that is set when a vector is made, and cannot be set after."""

    def refuse(self: Any, value: Any) -> NoReturn:
        raise AttributeError(
            f"{name} cannot be set to {value!r} here: pass {name}={value!r} to gym.make_vec"
        )

    return property(attrgetter(f"_{name}"), refuse)


class ThreadedAtariVectorEnv(GoalRules, VectorEnv[Any, NDArray[np.int64], NDArray[Any]]):
    """A vector of Atari goal environments that are stepped, and reset, in parallel.

    All emulators receive their actions before any of them is waited for; everything else is
    computed for all environments at once. Spaces, rules and seeding are those of a
    :class:`~gymnasium.vector.SyncVectorEnv` of :class:`~glamor_gym.wrappers.GoalEnv`, without
    labels: success is equality of pictures.

    Attributes:
        stop_action: index of the STOP action.
        horizon: T, the maximum number of steps in an episode; cannot be set.
        reward: ``"image"``; cannot be set.
        label_lag: 0; cannot be set.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 15}  # noqa: RUF012
    # They decide whether there may be threads at all: see why_no_threads.
    horizon = _fixed("horizon")
    reward = _fixed("reward")
    label_lag = _fixed("label_lag")

    def __init__(
        self,
        worlds: Sequence[ThreadedAtariWorld],
        goals: Sequence[Goal],
        *,
        horizon: int,
        frame_stack: int = 4,
        render_mode: str | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    ) -> None:
        """Combine worlds and goals.

        Args:
            worlds: one per environment, all of the same game and frame size.
            goals: the goals that ``reset()`` draws from; their labels are not used.
            horizon: T, the maximum number of steps in an episode, at most 2²⁴.
            frame_stack: number of frames in ``observation``.
            render_mode: None, or ``"rgb_array"`` for the newest frames beside the goals.
            autoreset_mode: when an environment whose episode has ended is reset; see Gymnasium.

        Raises:
            ValueError: an argument is out of range; the message names it.
            TypeError: an argument has the wrong type.
        """
        frames = worlds[0].observation_space
        GoalRules.__init__(self, goals, {}, frames, reward="image", label_lag=0)
        self._horizon = as_horizon(horizon)
        frame_stack = as_integer(frame_stack, name="frame_stack", low=1, high=MOST_FRAMES)
        self.render_mode = as_render_mode(render_mode)
        self.autoreset_mode = as_autoreset_mode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.num_envs = len(worlds)
        self.stop_action = int(worlds[0].action_space.n)
        self.single_action_space = spaces.Discrete(self.stop_action + 1)
        self.single_observation_space = goal_observations(
            spaces.Box(0, 255, (frame_stack, *frames.shape[1:]), np.uint8), frames, self._horizon
        )
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

        self._worlds = worlds
        seeded = [seeding.np_random() for _ in worlds]
        self._rngs = [rng for rng, _ in seeded]
        self._seeds = [seed for _, seed in seeded]
        self._pool = ThreadPoolExecutor(self.num_envs, thread_name_prefix="atari-reset")
        self._resets: list[Future[Any]] = []
        self._intact = True  # False from when emulators are moved until all of them have answered
        self._begun = False
        self._running = np.zeros(self.num_envs, np.bool_)
        self._steps_left = np.zeros(self.num_envs, np.int64)
        self._lives = np.zeros(self.num_envs, np.int64)
        self._stacks = np.zeros((self.num_envs, frame_stack, *frames.shape[1:]), np.uint8)
        self._desired = np.zeros((self.num_envs, *frames.shape), np.uint8)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: Any = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Begin an episode in every environment.

        A reset whose arguments are refused leaves the running episodes as they were.

        Args:
            seed: seed of the first environment, from which the others count up; or one for each.
            options: see :meth:`GoalEnv.reset <glamor_gym.wrappers.GoalEnv.reset>`; and
                ``reset_mask``, bool (num_envs,), which selects the environments to reset.

        Raises:
            ValueError: an option, the goal or a seed is not valid, or the number of seeds is wrong.
            TypeError: `options`, the goal or a seed has the wrong type or dtype.
            ClosedEnvironmentError: after :meth:`close`.
        """
        self._check_open()
        if not isinstance(options, Mapping | None):
            raise TypeError(f"options must be a dict, got {type(options).__name__}")
        options = dict(options or {})
        mask = np.asarray(options.pop("reset_mask", np.ones(self.num_envs, np.bool_)))
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_ or not mask.any():
            raise ValueError(
                f"options['reset_mask'] must be bool of shape ({self.num_envs},) and True "
                f"somewhere, got {mask!r}"
            )
        seeds = self._one_each(seed)
        if not self._intact:
            self._recover()
        self._end_reset(self._begin_reset(np.flatnonzero(mask), seeds, options))
        self._intact = self._begun = True
        return self._observe(), self._inform(among=mask)

    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[Any, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Take one action in each environment; see :class:`~glamor_gym.wrappers.GoalEnv`.

        Raises:
            ValueError: `actions` is not in :attr:`action_space`.
            ResetNeeded: no episode has begun, one is over and is not reset automatically, or the
                last call was interrupted, for example by Ctrl-C.
            ClosedEnvironmentError: after :meth:`close`.
        """
        self._check_open()
        actions = np.asarray(actions)
        if not self.action_space.contains(actions):
            raise ValueError(f"actions must be in {self.action_space}, got {actions!r}")
        next_step = self.autoreset_mode == AutoresetMode.NEXT_STEP
        if not (self._begun and (next_step or self._running.all())):
            raise ResetNeeded("call reset() first: an episode is over, or none has begun")
        if not self._intact:
            raise ResetNeeded("call reset() first: the last call did not reach its end")
        running = self._running.copy()  # without those that are reset in this step
        resetting = self._begin_reset(np.flatnonzero(~running))
        stopped = running & (actions == self.stop_action)
        lost = self._move(np.flatnonzero(running & ~stopped), actions)
        self._end_reset(resetting)

        self._steps_left -= running
        terminated = stopped | lost
        truncated = running & ~terminated & (self._steps_left == 0)
        self._running = ~(terminated | truncated)
        infos = self._inform(stopped=stopped, lost=lost)
        rewards = (infos["is_success"] & running).astype(np.float64)
        if self.autoreset_mode == AutoresetMode.SAME_STEP and not self._running.all():
            infos = self._begin_anew(infos)
        self._intact = True
        return self._observe(), rewards, terminated, truncated, infos

    def _check_open(self) -> None:
        if self.closed:
            raise ClosedEnvironmentError("the vector environment is closed")

    def _recover(self) -> None:
        """Replace emulators that an interrupted call left in the middle of something."""
        wait(self._resets)
        for world in self._worlds:
            world.restart()
        self._running[:] = False

    def _one_each(self, seed: Any) -> list[int | None]:
        """Return the seed of each environment."""
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, np.ndarray):
            seed = seed.tolist()
        if not isinstance(seed, Sequence):
            first = as_integer(seed, name="seed", low=0)
            return [first + k for k in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ValueError(
                f"seed must be an integer or a list of {self.num_envs} seeds, got {len(seed)}"
            )
        return [None if one is None else as_integer(one, name="seed", low=0) for one in seed]

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Call a method that the environments share, and return its result once for each.

        An attribute of that name is returned instead of called, as in Gymnasium. Spaces are those
        of a single environment; pictures (``render``), generators and seeds are each
        environment's own.
        """
        if name == "render":
            return self.render() or (None,) * self.num_envs
        if name in _OWN:
            return getattr(self, name)  # type: ignore[no-any-return]
        value = getattr(self, f"single_{name}" if name in _SPACES else name)
        return (value(*args, **kwargs) if callable(value) else value,) * self.num_envs

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Return an attribute of each environment; see :meth:`call`."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Set an attribute that the environments share: ``goals`` or ``render_mode``.

        Args:
            name: the attribute.
            values: the value, or a list or tuple of it, once for each environment.

        Raises:
            AttributeError: the environments share no such attribute, or it cannot be set.
            ValueError: the values differ, their number is not that of the environments, or the
                attribute cannot have this value.
            TypeError: the goals are not a sequence.
        """
        if name not in _SETTABLE:
            raise AttributeError(
                f"only {' and '.join(_SETTABLE)} can be set here, not {name!r}; an environment "
                "made with vectorization_mode='sync' or 'async' has attributes of its own"
            )
        if not isinstance(values, list | tuple):
            values = [values] * self.num_envs
        if len(values) != self.num_envs or any(value is not values[0] for value in values):
            raise ValueError(f"{name} must be the same for all {self.num_envs} environments")
        setattr(self, name, _SETTABLE[name](values[0]))

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """The generator of each environment, from which its goals are drawn."""
        return tuple(self._rngs)

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seed of each environment: of its last seeded reset, else drawn when it was made."""
        return tuple(self._seeds)

    def has_wrapper_attr(self, name: str) -> bool:
        """Return whether the environments have an attribute."""
        return hasattr(self, name)

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Return the newest frame beside the goal, uint8 (H, W, 3), for each environment.

        None without a render mode. Threads do not show the screen in colour, as
        :class:`~glamor_gym.wrappers.GoalEnv` does.

        Raises:
            ResetNeeded: no episode has begun.
        """
        if self.render_mode is None:
            return None
        if not self._begun:
            raise ResetNeeded("call reset() first: there is no picture to render yet")
        pairs = zip(self._stacks[:, -1:], self._desired, strict=True)
        return tuple(side_by_side(to_picture(newest), to_picture(goal)) for newest, goal in pairs)

    def get_action_meanings(self) -> list[str]:
        """Return the name of each action: the game's, and STOP."""
        return [*self._worlds[0].get_action_meanings(), "STOP"]

    @property
    def snapshot(self) -> Snapshot:
        """The state of episodes, goals, generators and worlds; can be set."""
        return {
            "random": [random_state(rng) for rng in self._rngs],
            "begun": self._begun,
            "rows": {name: getattr(self, name).copy() for name in _REMEMBERED},
            "worlds": [world.snapshot for world in self._worlds],
        }

    @snapshot.setter
    def snapshot(self, snapshot: Mapping[str, Any]) -> None:
        if len(snapshot["worlds"]) != self.num_envs:
            raise ValueError(
                f"snapshot must have {self.num_envs} worlds, got {len(snapshot['worlds'])}"
            )
        wait(self._resets)  # which an interrupted call may have left running
        self._begun = snapshot["begun"]
        for name in _REMEMBERED:
            getattr(self, name)[:] = snapshot["rows"][name]
        for rng, state in zip(self._rngs, snapshot["random"], strict=True):
            set_random_state(rng, state)
        # Each in a thread: journals may be long.
        list(self._pool.map(setattr, self._worlds, repeat("snapshot"), snapshot["worlds"]))
        self._intact = True

    def close_extras(self, **kwargs: Any) -> None:
        """Wait for the emulators and stop the threads that reset them."""
        self._pool.shutdown()
        for world in self._worlds:
            world.close()

    def _move(self, rows: NDArray[np.intp], actions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Take one action in each of the worlds `rows`; return which of them lost a life."""
        lost = np.zeros(self.num_envs, np.bool_)
        self._intact = False
        chosen = actions.tolist()
        for k in rows:
            self._worlds[k].begin_step(chosen[k])
        self._stacks[rows, :-1] = self._stacks[rows, 1:]  # while the emulators run
        for k in rows:
            world = self._worlds[k]
            self._stacks[k, -1:], _, lost[k] = world.end_step()
            self._lives[k] = world.lives
        return lost

    def _begin_reset(
        self,
        rows: NDArray[np.intp],
        seeds: Sequence[int | None] | None = None,
        options: Mapping[str, Any] = MappingProxyType({}),
    ) -> list[tuple[int, NDArray[Any], Future[Any]]]:
        """Choose goals for the environments `rows` and start their resets, each in a thread.

        Returns:
            For each environment, its index, the picture of its goal, and its reset in progress.
        """
        chosen: list[tuple[int, NDArray[Any], int | None]] = []
        rngs, taken = self._rngs.copy(), self._seeds.copy()
        for k in map(int, rows):
            world_seed = None
            if seeds is not None and seeds[k] is not None:
                rngs[k], taken[k] = seeding.np_random(seeds[k])
                world_seed = int(rngs[k].integers(2**31))  # as GoalEnv draws it
            goal, name = self.choose_goal(options, rngs[k], self._worlds[k])
            chosen.append((k, self.picture_of(goal, self._worlds[k], name=name), world_seed))
        # Only now that no error can be raised any more: no reset may be left running, and one that
        # is refused leaves the running episodes as they were.
        self._rngs, self._seeds = rngs, taken
        self._intact, self._resets = False, []
        for k, _, world_seed in chosen:
            self._resets.append(self._pool.submit(self._worlds[k].reset, seed=world_seed))
        return [
            (k, desired, reset) for (k, desired, _), reset in zip(chosen, self._resets, strict=True)
        ]

    def _end_reset(self, begun: Sequence[tuple[int, NDArray[Any], Future[Any]]]) -> None:
        """Wait for resets, and set the environments to the start of their episodes."""
        if begun:
            wait(reset for *_, reset in begun)  # for all of them, even if one fails
        for k, desired, reset in begun:
            frame, info = reset.result()
            self._stacks[k] = 0
            self._stacks[k, -1:] = frame
            self._desired[k] = desired
            self._lives[k] = info["lives"]
            self._steps_left[k] = self.horizon
            self._running[k] = True

    def _begin_anew(self, infos: dict[str, Any]) -> dict[str, Any]:
        """Reset the environments that ended in this step; return their infos.

        Args:
            infos: the infos of the step.
        """
        ended = ~self._running
        seen = self._observe()
        last = np.full(self.num_envs, None, np.object_)
        for k in np.flatnonzero(ended):
            last[k] = {key: value[k] for key, value in seen.items()}
        final = {
            name: (ended.copy() if name.startswith("_") else value) for name, value in infos.items()
        }
        self._end_reset(self._begin_reset(np.flatnonzero(ended)))
        return {
            **self._inform(),
            **{"final_obs": last, "_final_obs": ended, "final_info": final, "_final_info": ended},
        }

    def _observe(self) -> dict[str, NDArray[Any]]:
        return {
            "observation": self._stacks.copy(),
            "achieved_goal": self._stacks[:, -1:].copy(),
            "desired_goal": self._desired.copy(),
            "steps_left": self._steps_left[:, np.newaxis].astype(np.float32),
        }

    def _inform(
        self,
        *,
        stopped: NDArray[np.bool_] | None = None,
        lost: NDArray[np.bool_] | None = None,
        among: NDArray[np.bool_] | None = None,
    ) -> dict[str, Any]:
        """Return the infos of the environments in the format of Gymnasium's vectors.

        Args:
            stopped: (num_envs,), whether STOP ended the episode; None for nowhere.
            lost: (num_envs,), whether a lost life ended the episode; None for nowhere.
            among: (num_envs,), the environments that have infos; None for all.
        """
        nowhere = np.zeros(self.num_envs, np.bool_)
        infos: dict[str, Any] = {
            "lives": self._lives.copy(),
            "labels": {},
            "goal_labels": {},
            "is_success": (self._stacks[:, -1:] == self._desired).all(axis=(1, 2, 3)),
            "stopped": nowhere.copy() if stopped is None else stopped,
            "world_terminated": nowhere.copy() if lost is None else lost,
            "world_truncated": nowhere.copy(),
            "steps_left": self._steps_left.copy(),
        }
        present = ~nowhere if among is None else among
        return infos | {f"_{name}": present.copy() for name in infos}


def as_autoreset_mode(value: AutoresetMode | str) -> AutoresetMode:
    """Return a mode given as such or by its name, e.g. ``"SameStep"``.

    Raises:
        ValueError: there is no such mode.
    """
    if isinstance(value, AutoresetMode):
        return value
    names = [mode.value for mode in AutoresetMode]
    return AutoresetMode(as_choice(value, names, name="autoreset_mode"))
