"""Atari goal environments whose emulators run in C++ threads: ``gym.make_vec("glamor/Pong-v0")``.

In: what ``gym.make_vec`` is given. Out: a Gymnasium vector environment with the observations,
rewards and ends of ``vectorization_mode="sync"``, frame by frame and seed by seed, on the
threads of ``ale_py.vector_env``. Those emulators do not show their RAM, so there are no labels.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, get_args

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.vector.utils import batch_space
from gymnasium.wrappers import TimeLimit
from numpy.typing import NDArray

from glamor_gym.checks import (
    as_choice,
    as_integer,
    as_render_mode,
)
from glamor_gym.envs import RenderProfile
from glamor_gym.factory import choose_goals, make_goal_env
from glamor_gym.names import naming_options
from glamor_gym.snapshots import Snapshot, random_state, set_random_state
from glamor_gym.tasks import get_task
from glamor_gym.types import Goal
from glamor_gym.vector.atari_world import ThreadedAtariWorld
from glamor_gym.wrappers import FRAME_SIZE
from glamor_gym.wrappers.display import side_by_side, to_picture
from glamor_gym.wrappers.frames import MOST_FRAMES
from glamor_gym.wrappers.goal_rules import GoalRules, Reward, goal_observations

_REMEMBERED = ("_running", "_steps_left", "_lives", "_stacks", "_desired")
"""What a vector remembers of its episodes, a row an environment."""

_SPACES = ("action_space", "observation_space")
"""What one environment of a vector calls so is the vector's ``single_…``."""


class ThreadedAtariVectorEnv(GoalRules, VectorEnv[Any, NDArray[np.int64], NDArray[Any]]):
    """A vector of Atari goal environments that step, and reset, at the same time.

    Each emulator is told of its action before the first of them is waited for; what is not the
    emulators' is done for all environments at once. Spaces, rules and seeds are those of a
    :class:`~gymnasium.vector.SyncVectorEnv` of :class:`~glamor_gym.wrappers.GoalEnv`, without
    labels: success is equality of pictures.

    Attributes:
        stop_action: the number of the STOP action.
        horizon: T, the most steps in an episode.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 15}  # noqa: RUF012

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
        """Put goals to each of the worlds.

        Args:
            worlds: one for each environment, all of one game and frame size.
            goals: what ``reset()`` draws from; their labels are not looked at.
            horizon: T, the most steps in an episode.
            frame_stack: number of frames in ``observation``.
            render_mode: None or ``"rgb_array"``: the newest frames beside the goals.
            autoreset_mode: when an environment that ended is reset; see Gymnasium.

        Raises:
            ValueError: an argument is out of range; the message names it.
            TypeError: `horizon` or `frame_stack` is not an integer.
        """
        frames = worlds[0].observation_space
        GoalRules.__init__(self, goals, {}, frames, reward="image", label_lag=0)
        self.horizon = as_integer(horizon, name="horizon", low=1)
        frame_stack = as_integer(frame_stack, name="frame_stack", low=1, high=MOST_FRAMES)
        self.render_mode = as_render_mode(render_mode)
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.num_envs = len(worlds)
        self.stop_action = int(worlds[0].action_space.n)
        self.single_action_space = spaces.Discrete(self.stop_action + 1)
        self.single_observation_space = goal_observations(
            spaces.Box(0, 255, (frame_stack, *frames.shape[1:]), np.uint8), frames, self.horizon
        )
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

        self._worlds = worlds
        self._rngs = [seeding.np_random()[0] for _ in worlds]
        self._pool = ThreadPoolExecutor(self.num_envs, thread_name_prefix="atari-reset")
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

        Args:
            seed: of the first environment, the next ones have the next numbers; or one for each.
            options: see :meth:`GoalEnv.reset <glamor_gym.wrappers.GoalEnv.reset>`; and
                ``reset_mask``, bool (num_envs,), for the environments that begin anew.

        Raises:
            ValueError: an option, a goal, a seed or their number is not as described.
            TypeError: a goal or a seed is of the wrong type or dtype.
        """
        options = dict(options or {})
        mask = np.asarray(options.pop("reset_mask", np.ones(self.num_envs, np.bool_)))
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_:
            raise ValueError(
                f"options['reset_mask'] must be bool of shape ({self.num_envs},), got {mask!r}"
            )
        seeds = self._seeds(seed)
        self._end_reset(self._begin_reset(np.flatnonzero(mask), seeds, options))
        self._begun = True
        return self._observe(), self._inform(among=mask)

    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[Any, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Take one action in each environment; see :class:`~glamor_gym.wrappers.GoalEnv`.

        Raises:
            ValueError: `actions` is no batch of actions.
            ResetNeeded: no episode was begun, or one is over that is not begun anew by itself.
        """
        actions = np.asarray(actions)
        if not self.action_space.contains(actions):
            raise ValueError(f"actions must be in {self.action_space}, got {actions!r}")
        next_step = self.autoreset_mode == AutoresetMode.NEXT_STEP
        if not (self._begun and (next_step or self._running.all())):
            raise ResetNeeded("call reset() first: an episode is over, or none was begun")
        running = self._running.copy()  # before those that begin anew in this step
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
        return self._observe(), rewards, terminated, truncated, infos

    def _seeds(self, seed: int | Sequence[int | None] | None) -> list[int | None]:
        """Return the seed of each environment."""
        if seed is None:
            return [None] * self.num_envs
        if not isinstance(seed, Sequence | np.ndarray):
            first = as_integer(seed, name="seed", low=0)
            return [first + k for k in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ValueError(
                f"seed must be an integer or a list of {self.num_envs}, got {len(seed)} of them"
            )
        return [None if one is None else as_integer(one, name="seed", low=0) for one in seed]

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Call a method that the environments have in common; return what it says for each.

        Where the name is that of an attribute, that is returned instead, as Gymnasium does. Spaces
        are those of one environment, and each has a picture of its own.
        """
        if name == "render":
            return self.render() or (None,) * self.num_envs
        value = getattr(self, f"single_{name}" if name in _SPACES else name)
        return (value(*args, **kwargs) if callable(value) else value,) * self.num_envs

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Return an attribute that the environments have in common, for each; see :meth:`call`."""
        return self.call(name)

    def has_wrapper_attr(self, name: str) -> bool:
        """Return whether the environments have an attribute in common."""
        return hasattr(self, name)

    @property
    def task_id(self) -> str | None:
        """The id by which ``gym.make_vec`` made it; None where it was made otherwise."""
        return None if self.spec is None else self.spec.id

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Return for each environment the newest frame beside the goal, uint8 (H, W, 3)."""
        if self.render_mode is None:
            return None
        pairs = zip(self._stacks[:, -1:], self._desired, strict=True)
        return tuple(side_by_side(to_picture(newest), to_picture(goal)) for newest, goal in pairs)

    def get_action_meanings(self) -> list[str]:
        """Return the name of each action: the game's, and STOP."""
        return [*self._worlds[0].get_action_meanings(), "STOP"]

    @property
    def snapshot(self) -> Snapshot:
        """The episodes and their goals, the generators, and the worlds; can be set."""
        return {
            "random": [random_state(rng) for rng in self._rngs],
            "begun": self._begun,
            "rows": {name: getattr(self, name).copy() for name in _REMEMBERED},
            "worlds": [world.snapshot for world in self._worlds],
        }

    @snapshot.setter
    def snapshot(self, snapshot: Mapping[str, Any]) -> None:
        if len(snapshot["worlds"]) != self.num_envs:
            raise ValueError(f"snapshot is of {len(snapshot['worlds'])} of {self.num_envs} worlds")
        self._begun = snapshot["begun"]
        for name in _REMEMBERED:
            getattr(self, name)[:] = snapshot["rows"][name]
        for rng, state in zip(self._rngs, snapshot["random"], strict=True):
            set_random_state(rng, state)
        # Each on a thread: journals may be long.
        list(self._pool.map(_restore, self._worlds, snapshot["worlds"]))

    def close_extras(self, **kwargs: Any) -> None:
        """Wait for the emulators and end the threads that reset them."""
        self._pool.shutdown()
        for world in self._worlds:
            world.close()

    def _move(self, rows: NDArray[np.intp], actions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Play one action in the worlds of `rows` at once; return where a life was lost."""
        lost = np.zeros(self.num_envs, np.bool_)
        for k in rows:
            self._worlds[k].begin_step(int(actions[k]))
        for k in rows:
            frame, _, lost[k], _, info = self._worlds[k].step(int(actions[k]))
            self._stacks[k, :-1] = self._stacks[k, 1:]
            self._stacks[k, -1:] = frame
            self._lives[k] = info["lives"]
        return lost

    def _begin_reset(
        self,
        rows: NDArray[np.intp],
        seeds: Sequence[int | None] | None = None,
        options: Mapping[str, Any] = MappingProxyType({}),
    ) -> list[tuple[int, NDArray[Any], Future[Any]]]:
        """Start the resets of some worlds, each on a thread, with pictures of their goals."""
        chosen: list[tuple[int, NDArray[Any], int | None]] = []
        for k in map(int, rows):
            world_seed = None
            if seeds is not None and seeds[k] is not None:
                self._rngs[k], _ = seeding.np_random(seeds[k])
                world_seed = int(self._rngs[k].integers(2**31))  # as GoalEnv draws it
            goal = self.choose_goal(options, self._rngs[k])
            chosen.append((k, self.picture_of(goal, self._worlds[k]), world_seed))
        # Only now, when nothing can be refused any more: no reset may be left running.
        return [
            (k, desired, self._pool.submit(self._worlds[k].reset, seed=world_seed))
            for k, desired, world_seed in chosen
        ]

    def _end_reset(self, begun: Sequence[tuple[int, NDArray[Any], Future[Any]]]) -> None:
        """Wait for resets, and set the environments to the beginnings of their episodes."""
        wait(reset for *_, reset in begun)  # all of them, even where one is an error
        for k, desired, reset in begun:
            frame, info = reset.result()
            self._stacks[k] = 0
            self._stacks[k, -1:] = frame
            self._desired[k] = desired
            self._lives[k] = info["lives"]
            self._steps_left[k] = self.horizon
            self._running[k] = True

    def _begin_anew(self, infos: dict[str, Any]) -> dict[str, Any]:
        """Reset the environments that ended in this step, whose infos are `infos`."""
        ended = ~self._running
        seen = self._observe()
        last = np.full(self.num_envs, None, np.object_)
        for k in np.flatnonzero(ended):
            last[k] = {key: value[k] for key, value in seen.items()}
        final = {
            name: (ended.copy() if name.startswith("_") else value) for name, value in infos.items()
        }
        self._end_reset(self._begin_reset(np.flatnonzero(ended)))
        kept = {name: infos[name] & ~ended for name in ("stopped", "world_terminated")}
        return {
            **self._inform(stopped=kept["stopped"], lost=kept["world_terminated"]),
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
        """Return what the infos of the environments say, as Gymnasium's vectors put it."""
        nowhere = np.zeros(self.num_envs, np.bool_)
        infos: dict[str, Any] = {
            "lives": self._lives.copy(),
            "labels": {},
            "goal_labels": {},
            "is_success": (self._stacks[:, -1:] == self._desired).all(axis=(1, 2, 3)),
            "stopped": nowhere if stopped is None else stopped,
            "world_terminated": nowhere if lost is None else lost,
            "world_truncated": nowhere.copy(),
            "steps_left": self._steps_left.copy(),
        }
        present = ~nowhere if among is None else among
        return infos | {f"_{name}": present.copy() for name in infos}


def _restore(world: ThreadedAtariWorld, snapshot: Mapping[str, Any]) -> None:
    world.snapshot = snapshot


def _make_single(
    max_episode_steps: int | None, task: str, **kwargs: Any
) -> gym.Env[dict[str, Any], np.int64]:
    env = make_goal_env(task, **kwargs)
    return env if max_episode_steps is None else TimeLimit(env, max_episode_steps)


@naming_options
def make_atari_vector_env(
    num_envs: int,
    task: str,
    *,
    goals: str | os.PathLike[str] = "train",
    reward: Reward = "image",
    frame_size: tuple[int, int] = FRAME_SIZE,
    frame_stack: int = 4,
    horizon: int | None = None,
    sticky: float | None = None,
    render_profile: RenderProfile = "paper",
    label_lag: Literal[0, 1] = 0,
    render_mode: str | None = None,
    max_episode_steps: int | None = None,
    autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
) -> SyncVectorEnv | ThreadedAtariVectorEnv:
    """Build a vector of Atari goal environments, on threads where that changes no frame.

    The threads know neither labels nor the last picture of a game that is over, and draw their
    no-ops from 0 on. So a reward by labels, a label lag, a horizon beyond the task's own (within
    which no game ends) or a task with a least number of no-ops gets a plain `SyncVectorEnv`.

    Args:
        num_envs: number of environments.
        task: name or id of an Atari task.
        goals: as in :func:`~glamor_gym.factory.make_goal_env`, like those that follow.
        reward: ``"image"`` or ``"labels"``.
        frame_size: (height, width) of the frames, in pixels.
        frame_stack: number of frames in ``observation``.
        horizon: T, the most steps in an episode; None for the task's own.
        sticky: probability per emulator frame that the previous action is repeated.
        render_profile: taken, for the sake of one signature; Atari has one look.
        label_lag: 0 or 1.
        render_mode: None or ``"rgb_array"``.
        max_episode_steps: Gymnasium's, which cuts episodes off without their knowing; `horizon`
            is what agents are told of. With it, there are no threads.
        autoreset_mode: when an environment that ended is reset; see Gymnasium.

    Raises:
        ValueError: an argument is out of range; the message names it.
        TypeError: an argument is of the wrong type.
    """
    num_envs = as_integer(num_envs, name="num_envs", low=1)
    row = get_task(task)
    steps = row.horizon if horizon is None else as_integer(horizon, name="horizon", low=1)
    unlabelled = reward == "image" and label_lag == 0
    if not unlabelled or steps > row.horizon or row.noops[0] > 0 or max_episode_steps is not None:
        make = partial(
            _make_single,
            max_episode_steps,
            task,
            goals=goals,
            reward=reward,
            frame_size=frame_size,
            frame_stack=frame_stack,
            horizon=steps,
            sticky=sticky,
            render_profile=render_profile,
            label_lag=label_lag,
            render_mode=render_mode,
        )
        return SyncVectorEnv([make] * num_envs, autoreset_mode=autoreset_mode)
    as_choice(render_profile, get_args(RenderProfile), name="render_profile")
    worlds = [
        ThreadedAtariWorld(
            row.source,
            frame_size=frame_size,
            frame_skip=row.frame_skip,
            most_noops=row.noops[1],
            sticky=row.sticky if sticky is None else sticky,
        )
        for _ in range(num_envs)
    ]
    chosen, _ = choose_goals(row, worlds[0], goals)
    return ThreadedAtariVectorEnv(
        worlds,
        chosen,
        horizon=steps,
        frame_stack=frame_stack,
        render_mode=render_mode,
        autoreset_mode=autoreset_mode,
    )
