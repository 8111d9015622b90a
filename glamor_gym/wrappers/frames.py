"""From screens to frames, and from frames to stacks of frames (§4.1).

In: an environment whose observation is a screen, uint8 (H, W) or (H, W, 3). Out:
:class:`ScreenToFrame` gives small grayscale frames, uint8 (1, height, width);
:class:`StackFrames` gives the last n of them, uint8 (n, height, width).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, SupportsFloat, cast

import cv2
import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

from glamor_gym.checks import as_element, as_integer, as_size
from glamor_gym.snapshots import Snapshot, Stateless, restore, snapshot_of
from glamor_gym.wrappers.goal_screens import check_goal_screens, show_goal

MOST_FRAMES = 1_000
"""Maximum number of frames in a stack."""

FRAME_SIZE = (80, 104)
"""Height and width of a frame in the paper's experiments, in pixels."""


def to_frame(screen: NDArray[np.uint8], frame_size: tuple[int, int]) -> NDArray[Any]:
    """Return a screen as a grayscale frame of a given size, with a leading channel axis.

    Colours are converted with OpenCV's (ITU-R 601) weights; the screen is resized by area
    averaging (``cv2.INTER_AREA``).

    Args:
        screen: uint8 (H, W), (H, W, 1) or (H, W, 3).
        frame_size: (height, width) of the frame, in pixels.

    Returns:
        uint8 (1, height, width), a fresh array.
    """
    gray: NDArray[Any] = screen
    if gray.ndim == 3:
        gray = gray[:, :, 0] if gray.shape[2] == 1 else cv2.cvtColor(gray, cv2.COLOR_RGB2GRAY)
    if gray.shape == frame_size:
        return gray[np.newaxis].copy()
    height, width = frame_size
    return cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA)[np.newaxis]


class ScreenToFrame(
    gym.ObservationWrapper[NDArray[Any], Any, NDArray[np.uint8]], RecordConstructorArgs, Stateless
):
    """Turn screens into grayscale frames of one size, with a leading channel axis.

    See :func:`to_frame`. A world's goal screens are converted in the same way, so that goal
    pictures look like observations.
    """

    def __init__(self, env: gym.Env[Any, Any], frame_size: tuple[int, int] = FRAME_SIZE) -> None:
        """Wrap `env`.

        Args:
            env: an environment whose observations are uint8 (H, W), (H, W, 1) or (H, W, 3).
            frame_size: (height, width) of the frames, in pixels.

        Raises:
            ValueError: `env` has other observations, a wrapper in it changes observations in a way
                in which goals cannot be changed, or `frame_size` is not two positive integers.
        """
        RecordConstructorArgs.__init__(self, frame_size=frame_size)
        gym.ObservationWrapper.__init__(self, env)
        space = env.observation_space
        if (
            not isinstance(space, spaces.Box)
            or space.dtype != np.uint8
            or not (len(space.shape) == 2 or (len(space.shape) == 3 and space.shape[2] in (1, 3)))
        ):
            raise ValueError(
                f"env must show screens, uint8 (H, W), (H, W, 1) or (H, W, 3), got {space}"
            )
        check_goal_screens(env)
        self._frame_size = as_size(frame_size, name="frame_size")
        self.observation_space = spaces.Box(0, 255, (1, *self._frame_size), np.uint8)

    def observation(self, observation: NDArray[np.uint8]) -> NDArray[Any]:
        """Return the frame of a screen, uint8 (1, height, width), as a fresh array."""
        return to_frame(observation, self._frame_size)

    def goal_screen(self, content: NDArray[Any]) -> NDArray[Any]:
        """Return the frame of a goal as the world shows it, uint8 (1, height, width)."""
        return self.observation(show_goal(self.env, content))


class StackFrames(
    gym.Wrapper[NDArray[np.uint8], Any, NDArray[np.uint8], Any], RecordConstructorArgs
):
    """Stack the last `n` frames along the first axis, oldest first, zeros before the first frame.

    Gymnasium's ``FrameStackObservation`` would add an axis, (n, 1, H, W); here the frames become
    the channels, (n, H, W), as image encoders expect.
    """

    def __init__(self, env: gym.Env[Any, Any], n: int = 4) -> None:
        """Wrap `env`.

        Args:
            env: an environment whose observations are frames, uint8 (C, H, W).
            n: number of frames in a stack, at most :data:`MOST_FRAMES`.

        Raises:
            ValueError: `env` has other observations, or `n` is out of range.
            TypeError: `n` is not an integer.
        """
        RecordConstructorArgs.__init__(self, n=n)
        gym.Wrapper.__init__(self, env)
        space = env.observation_space
        if not isinstance(space, spaces.Box) or space.dtype != np.uint8 or len(space.shape) != 3:
            raise ValueError(f"env must show frames, uint8 (C, H, W), got {space}")
        n = as_integer(n, name="n", low=1, high=MOST_FRAMES)
        self._channels, height, width = space.shape
        self.observation_space = spaces.Box(0, 255, (n * self._channels, height, width), np.uint8)
        self._stack = np.zeros(self.observation_space.shape, np.uint8)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Reset the environment; all frames but the newest are zeros.

        Raises:
            TypeError: the environment returned something else than uint8, which would be cast.
            ValueError: the environment returned a frame of another shape than it said.
        """
        frame, info = self.env.reset(seed=seed, options=options)
        space = cast(spaces.Box, self.env.observation_space)
        as_element(frame, space, name="the world's observation")
        self._stack[:] = 0
        return self._push(frame), info

    def step(
        self, action: Any
    ) -> tuple[NDArray[np.uint8], SupportsFloat, bool, bool, dict[str, Any]]:
        """Take an action; the oldest frame drops out."""
        frame, reward, terminated, truncated, info = self.env.step(action)
        return self._push(frame), reward, terminated, truncated, info

    @property
    def snapshot(self) -> Snapshot:
        """The stack and the wrapped environment's snapshot; can be set."""
        return {"stack": self._stack.copy(), "env": snapshot_of(self.env)}

    @snapshot.setter
    def snapshot(self, snapshot: Mapping[str, Any]) -> None:
        self._stack[:] = snapshot["stack"]
        restore(self.env, snapshot["env"])

    def _push(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self._stack[: -self._channels] = self._stack[self._channels :]
        self._stack[-self._channels :] = frame
        return self._stack.copy()
