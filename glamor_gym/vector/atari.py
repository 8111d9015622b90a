"""Atari goal environments whose emulators run in C++ threads: ``gym.make_vec("glamor/Pong-v0")``.

In: what ``gym.make_vec`` is given. Out: a Gymnasium vector environment with the observations,
rewards and ends of ``vectorization_mode="sync"``, frame by frame and seed by seed, on the
threads of ``ale_py.vector_env``. Those emulators do not show their RAM, so there are no labels.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Literal, cast, get_args

import gymnasium as gym
import numpy as np
from ale_py.vector_env import AtariVectorEnv
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.typing import NDArray

from glamor_gym.checks import as_choice, as_element, as_integer, as_probability, as_size
from glamor_gym.envs import RenderProfile
from glamor_gym.envs.atari import NoopCounts
from glamor_gym.factory import choose_goals, make_goal_env
from glamor_gym.tasks import get_task
from glamor_gym.types import Goal, GoalKind
from glamor_gym.wrappers import FRAME_SIZE, GoalEnv
from glamor_gym.wrappers.frames import to_frame
from glamor_gym.wrappers.goal_env import Reward

SCREEN_SIZE = (210, 160)
"""Height and width of the console's screen for all the games of the task table."""

_NO_END = 2**31 - 1  # emulator frames; the goal environment cuts episodes off


class ThreadedAtariWorld(gym.Env[NDArray[np.uint8], np.int64]):
    """:class:`~glamor_gym.envs.atari.AtariWorld` as frames, played by a C++ thread of its own.

    :meth:`begin_step` and :meth:`begin_reset` start what the :meth:`step` or :meth:`reset` after
    them waits for, so that several worlds can be at work at once. The same seed gives the same
    frames as in an `AtariWorld` within a `ScreenToFrame`.

    Observation: uint8 (1, height, width). Info: ``lives``; no labels. A game over is not shown
    as it is (ALE returns the picture before it), so that it is an error.
    """

    goal_kind: GoalKind = "screen"

    def __init__(
        self,
        game: str,
        *,
        frame_size: tuple[int, int],
        frame_skip: int,
        most_noops: int,
        sticky: float,
    ) -> None:
        """Load a game.

        Args:
            game: name of the ROM.
            frame_size: (height, width) of the frames, in pixels.
            frame_skip: emulator frames per step.
            most_noops: greatest number of no-op frames at the beginning; the least is 0.
            sticky: probability per emulator frame that the previous action is repeated.

        Raises:
            ValueError: `frame_size` or `sticky` is out of range.
        """
        self._frame_size = as_size(frame_size, name="frame_size")
        self._console = AtariVectorEnv(
            game,
            num_envs=1,
            num_threads=1,
            img_height=self._frame_size[0],
            img_width=self._frame_size[1],
            stack_num=1,
            frameskip=frame_skip,
            noop_max=most_noops + 1,
            repeat_action_probability=as_probability(sticky, name="sticky"),
            max_num_frames_per_episode=_NO_END,
            reward_clipping=False,
            use_fire_reset=False,
        )
        self._most_noops = most_noops
        self._noops: NoopCounts | None = None
        self._lives = 0
        self._stepping = False
        self._resetting: Future[Any] | None = None
        self._screens = spaces.Box(0, 255, SCREEN_SIZE, np.uint8)
        self.observation_space = spaces.Box(0, 255, (1, *self._frame_size), np.uint8)
        self.action_space = spaces.Discrete(len(self._console.ale.get_action_set()))

    def begin_step(self, action: int) -> None:
        """Start the step that the next call of :meth:`step`, with the same action, returns."""
        self._console.send(np.array([action]))
        self._stepping = True

    def begin_reset(self, pool: ThreadPoolExecutor) -> None:
        """Start, on a thread of `pool`, the reset that the next call of :meth:`reset` returns."""
        self._resetting = pool.submit(self._console.reset)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Begin an episode with a random number of no-op frames.

        Args:
            seed: seeds no-ops and sticky actions of this episode and of those that follow.
            options: not used.

        Raises:
            RuntimeError: this build of ale-py draws no-ops in another way than `AtariWorld`.
        """
        super().reset(seed=seed)
        self._finish_step()
        begun, self._resetting = self._resetting, None
        if begun is not None:
            frames, info = begun.result()
        if seed is not None or self._noops is None:
            console_seed = int(self.np_random.integers(2**31))
            self._noops = NoopCounts(0, self._most_noops, console_seed)
            frames, info = self._console.reset(seed=np.array([console_seed]))
        elif begun is None:
            frames, info = self._console.reset()
        if info["episode_frame_number"][0] != self._noops.draw():
            raise RuntimeError(
                "this build of ale-py draws no-ops in its own way; make the environment with "
                "vectorization_mode='sync' or 'async'"
            )
        self._lives = int(info["lives"][0])
        return frames[0], self._info()

    def step(self, action: Any) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Hold an action for the frame-skip, or wait for the step that was begun with it.

        Raises:
            RuntimeError: the game is over, which ALE's threads do not show.
        """
        if not self._stepping:
            self.begin_step(int(action))
        frames, rewards, game_over, _, info = self._finish_step()
        if game_over[0]:
            raise RuntimeError(
                "the game is over; make the environment with vectorization_mode='sync' or 'async'"
            )
        lives_before, self._lives = self._lives, int(info["lives"][0])
        terminated = self._lives < lives_before
        return frames[0], float(rewards[0]), terminated, False, self._info()

    def goal_screen(self, content: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the frame of a screen that was kept as a goal, uint8 (1, height, width).

        Raises:
            TypeError: it is no array, or not of uint8.
            ValueError: its shape is another than the screen's.
        """
        return to_frame(as_element(content, self._screens, name="content"), self._frame_size)

    def close(self) -> None:
        """Wait for what was begun; the threads end with the object."""
        self._finish_step()
        if self._resetting is not None:
            self._resetting.result()

    def _finish_step(self) -> Any:
        if self._stepping:
            self._stepping = False
            return self._console.recv()
        return None

    def _info(self) -> dict[str, Any]:
        return {"lives": self._lives}


class UnlabelledGoalEnv(GoalEnv):
    """A goal environment over a world without labels: success is equality of pictures."""

    def _labels_of(self, goal: Goal) -> dict[str, float]:
        return {}


class ThreadedAtariVectorEnv(SyncVectorEnv):
    """A vector of Atari goal environments that step, and reset, at the same time.

    Everything but the time it takes is :class:`~gymnasium.vector.SyncVectorEnv`: each emulator
    is told of its action before the first of them is waited for.
    """

    def __init__(
        self,
        worlds: Sequence[ThreadedAtariWorld],
        goals: Sequence[Goal],
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        **kwargs: Any,
    ) -> None:
        """Put goals to each of the worlds.

        Args:
            worlds: one for each environment.
            goals: what ``reset()`` draws from; their labels are not looked at.
            autoreset_mode: when an environment that ended is reset; see Gymnasium.
            **kwargs: those of :class:`~glamor_gym.wrappers.GoalEnv`.
        """
        self._worlds = worlds
        make = partial(UnlabelledGoalEnv, goals=goals, ranges={}, **kwargs)
        super().__init__([partial(make, world) for world in worlds], autoreset_mode=autoreset_mode)
        self._goal_envs = cast(list[GoalEnv], self.envs)
        self._pool = ThreadPoolExecutor(len(worlds), thread_name_prefix="atari-reset")

    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[Any, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Take one action in each environment; see :class:`~glamor_gym.wrappers.GoalEnv`.

        Raises:
            ValueError: `actions` is no batch of actions.
        """
        actions = np.asarray(actions)
        if not self.action_space.contains(actions):
            raise ValueError(f"actions must be in {self.action_space}, got {actions!r}")
        for env, world, action in zip(self._goal_envs, self._worlds, actions.tolist(), strict=True):
            if env.is_running:
                if action != env.stop_action:
                    world.begin_step(action)
            elif self.autoreset_mode == AutoresetMode.NEXT_STEP:
                world.begin_reset(self._pool)
        return super().step(actions)

    def close_extras(self, **kwargs: Any) -> None:
        """Close the environments and end the threads that reset them."""
        super().close_extras(**kwargs)
        self._pool.shutdown()


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
    autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
) -> SyncVectorEnv:
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
        autoreset_mode: when an environment that ended is reset; see Gymnasium.

    Raises:
        ValueError: an argument is out of range; the message names it.
        TypeError: an argument is of the wrong type.
    """
    num_envs = as_integer(num_envs, name="num_envs", low=1)
    row = get_task(task)
    steps = row.horizon if horizon is None else as_integer(horizon, name="horizon", low=1)
    unlabelled = reward == "image" and label_lag == 0
    if not unlabelled or steps > row.horizon or row.noops[0] > 0:
        make = partial(
            make_goal_env,
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
