"""One Atari world whose emulator runs in a C++ thread, so that several can step in parallel.

In: actions, started with :meth:`ThreadedAtariWorld.begin_step` and awaited by
:meth:`ThreadedAtariWorld.end_step`. Out: frames, equal to those of a wrapped
:class:`~glamor_gym.envs.atari.AtariWorld` for the same seed, but no labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from ale_py.vector_env import AtariVectorEnv
from gymnasium import spaces
from numpy.typing import NDArray

from glamor_gym.checks import (
    as_element,
    as_probability,
    as_size,
)
from glamor_gym.envs.atari import NoopCounts
from glamor_gym.snapshots import Snapshot, random_state, set_random_state
from glamor_gym.types import GoalKind
from glamor_gym.wrappers.frames import to_frame

SCREEN_SIZE = (210, 160)
"""Height and width of the console's screen for all games of the task table."""

_PADDLE = np.ones(1, np.float32)
"""Strength of the paddle, which discrete actions use in full."""

_RESET = 255
"""Marks a reset among the actions of a journal."""

_NO_END = 2**31 - 1  # emulator frames; the goal environment truncates episodes


class ThreadedAtariWorld(gym.Env[NDArray[Any], np.int64]):
    """:class:`~glamor_gym.envs.atari.AtariWorld` as frames, emulated in a C++ thread of its own.

    :meth:`step` is :meth:`begin_step` and :meth:`end_step`, so that several worlds can step in
    parallel. The same seed gives the same frames as an `AtariWorld` in a `ScreenToFrame`.

    Observation: uint8 (1, height, width). Info: ``lives``; no labels. A game over raises an error,
    as its screen is not available (ALE returns the one before it).

    Attributes:
        lives: number of lives left.
    """

    goal_kind: GoalKind = "screen"
    reset_options: tuple[str, ...] = ()
    observation_space: spaces.Box
    action_space: spaces.Discrete

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
            most_noops: maximum number of no-op frames at the start of an episode; the minimum is 0.
            sticky: probability per emulator frame that the previous action is repeated.

        Raises:
            ValueError: `frame_size` or `sticky` is out of range.
            TypeError: `sticky` is not a number.
        """
        self._frame_size = as_size(frame_size, name="frame_size")
        self._make_console = partial(
            AtariVectorEnv,
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
        self._action = np.zeros(1, np.int32)
        self.lives = 0
        self.restart()
        self._screens = spaces.Box(0, 255, SCREEN_SIZE, np.uint8)
        self.observation_space = spaces.Box(0, 255, (1, *self._frame_size), np.uint8)
        self.action_space = spaces.Discrete(len(self._console.ale.get_action_set()))

    def get_action_meanings(self) -> list[str]:
        """Return the name of each action, e.g. ``"RIGHTFIRE"``, as ALE's own environments do."""
        return [action.name for action in self._console.ale.get_action_set()]

    def restart(self) -> None:
        """Load the game into a new console, whatever the old one was doing; then call `reset`."""
        self._console = self._make_console()
        self._noops: NoopCounts | None = None
        self._seed: int | None = None
        self._journal = bytearray()
        self._stepping = False

    def begin_step(self, action: int) -> None:
        """Start to hold an action for `frame_skip` frames; :meth:`end_step` waits for it."""
        self._journal.append(action)
        self._action[0] = action
        # Not through AtariVectorEnv, whose checks take longer than the call.
        self._console.ale.send(self._action, _PADDLE)
        self._stepping = True

    def end_step(self) -> tuple[NDArray[np.uint8], float, bool]:
        """Wait for the step that was started.

        Returns:
            Frame, reward, and whether a life was lost.

        Raises:
            RuntimeError: the game is over, and its last screen is not available.
        """
        self._stepping = False
        frames, rewards, game_over, _, info = self._console.ale.recv()
        if game_over[0]:
            raise RuntimeError(
                "the game is over, and ALE's threads do not provide its last screen; make the "
                "environment with vectorization_mode='sync' or 'async'"
            )
        lives_before, self.lives = self.lives, int(info["lives"][0])
        return frames[0], float(rewards[0]), self.lives < lives_before

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Begin an episode with a random number of no-op frames.

        Args:
            seed: seeds the no-ops and sticky actions of this episode and those that follow.
            options: not used.

        Raises:
            RuntimeError: this build of ale-py draws the no-ops differently from `AtariWorld`.
        """
        super().reset(seed=seed)
        self._finish_step()
        if seed is not None or self._noops is None:
            return self._begin_seeded(int(self.np_random.integers(2**31)))
        self._journal.append(_RESET)
        return self._begin(self._noops, *self._console.reset())

    def _begin_seeded(self, seed: int) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Begin an episode with a seed, and a new journal."""
        self._seed, self._journal = seed, bytearray()
        self._noops = NoopCounts(0, self._most_noops, seed)
        return self._begin(self._noops, *self._console.reset(seed=np.array([seed])))

    def _begin(
        self, noops: NoopCounts, frames: NDArray[np.uint8], info: Mapping[str, Any]
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Process what a reset of the console returned."""
        if info["episode_frame_number"][0] != noops.draw():
            raise RuntimeError(
                "this build of ale-py draws no-ops in an unexpected way; make the environment with "
                "vectorization_mode='sync' or 'async'"
            )
        self.lives = int(info["lives"][0])
        return frames[0], self._info()

    def step(self, action: Any) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Hold an action for `frame_skip` frames.

        Raises:
            RuntimeError: the game is over, and its last screen is not available.
        """
        self.begin_step(int(action))
        frame, reward, lost = self.end_step()
        return frame, reward, lost, False, self._info()

    def goal_screen(self, content: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the frame of a screen that was stored as a goal, uint8 (1, height, width).

        Raises:
            TypeError: `content` is not a uint8 array.
            ValueError: `content` does not have the shape of the screen.
        """
        return to_frame(as_element(content, self._screens, name="content"), self._frame_size)

    @property
    def snapshot(self) -> Snapshot:
        """The last seed, and every reset and action since; can be set.

        These consoles do not expose their state: setting it replays all of these, at about a
        thousand steps per second.
        """
        return {
            "random": random_state(self.np_random),
            "seed": self._seed,
            "journal": np.frombuffer(bytes(self._journal), np.uint8),
        }

    @snapshot.setter
    def snapshot(self, snapshot: Mapping[str, Any]) -> None:
        self._finish_step()
        if snapshot["seed"] is not None:
            self._begin_seeded(snapshot["seed"])
            for action in snapshot["journal"].tolist():
                if action == _RESET:
                    self.reset()
                else:
                    self.step(action)
        set_random_state(self.np_random, snapshot["random"])

    def close(self) -> None:
        """Wait for a step in progress; the thread ends with the object."""
        self._finish_step()

    def _finish_step(self) -> None:
        """Wait for a step in progress, and drop what it returns."""
        if self._stepping:
            self._stepping = False
            self._console.recv()

    def _info(self) -> dict[str, Any]:
        return {"lives": self.lives}
