"""A task of the DeepMind Control Suite as a world (§4.1).

In: a row of the task table; a continuous action. Out: a grayscale screen, uint8 (height, width),
and the entity labels at the same moment.

The suite (Tassa et al., 2018) is used through Shimmy's compatibility layer. Labels are read from
the suite's observations; the agent sees the picture of camera 0.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any, cast

import cv2
import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from numpy.typing import NDArray

from glamor_gym.checks import as_render_mode
from glamor_gym.envs import RenderProfile
from glamor_gym.envs.rendering import choose_backend
from glamor_gym.snapshots import Snapshot, random_state, set_random_state
from glamor_gym.tasks import Task
from glamor_gym.types import GoalKind, Labels

choose_backend()  # MuJoCo and dm_control read the choice when they are imported

import mujoco  # noqa: E402
from dm_control import suite  # noqa: E402

with contextlib.redirect_stdout(None):
    # Without labmaze, Shimmy prints that it has not registered dm_control's locomotion tasks.
    from shimmy import DmControlCompatibilityV0

from glamor_gym.envs.scene_camera import SceneCamera  # noqa: E402

_STATE = mujoco.mjtState.mjSTATE_PHYSICS
"""The state stored in a goal: positions, velocities and activations."""

_WHOLE_STATE = mujoco.mjtState.mjSTATE_INTEGRATION
"""All state that the next step depends on, including the solver's warm start."""

_DRAWN_WITH_EPISODE = (
    "body_pos",
    "body_quat",
    "dof_damping",
    "geom_pos",
    "geom_size",
    "site_pos",
    "site_rgba",
    "site_size",
)
"""Entries of the model that the suite's tasks set at the start of an episode, such as targets."""


class ControlWorld(gym.Env[NDArray[np.uint8], NDArray[np.float64]]):
    """One control task, seen by its first camera.

    An action is held for the task's ``frame_skip`` control steps, of which only the last is
    rendered. Episodes end only by the suite's own terminations, which these tasks do not have;
    the suite's time limit is removed, as the horizon is set by the goal environment.

    Observation: the screen, grayscale by ITU-R 601, uint8 (height, width). Action: the suite's
    own, float64 (A,) in its bounds. Reward: the suite's, summed over the control steps.
    Info: ``labels``, name → float, at the moment of the screen.

    A goal is a physics state (positions, velocities and activations, float64). It is shown as it
    would look in the running episode: the targets of reacher and manipulator, which are not part
    of the state, stay where they are.

    A world must be used from a single thread, like its OpenGL context.
    """

    goal_kind: GoalKind = "state"
    reset_options: tuple[str, ...] = ()

    def __init__(
        self,
        task: Task,
        *,
        frame_size: tuple[int, int] = (80, 104),
        render_profile: RenderProfile | None = "paper",
        render_mode: str | None = None,
    ) -> None:
        """Load the simulation of a task.

        Args:
            task: a row of the task table: `source` names the suite's domain and task, `labels` the
                entries of the suite's observation, `frame_skip` the control steps per action.
            frame_size: (height, width) of the screen, in pixels.
            render_profile: ``"paper"``: the suite's own look; ``"fast"``: see
                :class:`~glamor_gym.envs.scene_camera.SceneCamera`; None: black screens, without
                using OpenGL, for runs that need only labels and states (with ``MUJOCO_GL=off``,
                OpenGL need not even be installed).
            render_mode: None or ``"rgb_array"``, see :meth:`render`.

        Raises:
            ValueError: `render_mode` is not one of the values above, or the task's row does not fit
                the suite.
            RenderingError: OpenGL does not work on this machine.
        """
        self.render_mode = as_render_mode(render_mode)
        domain, _, name = task.source.partition("/")
        if (domain, name) not in suite.ALL_TASKS:
            raise ValueError(f"source must be 'domain/task' of dm_control, got {task.source!r}")
        self._simulation = DmControlCompatibilityV0(
            suite.load(domain, name, task_kwargs={"time_limit": float("inf")})
        )
        self._physics = self._simulation.physics
        self._labels = cast(Mapping[str, tuple[str, int]], task.labels)
        observed = self._simulation.observation_space.spaces
        sizes = {entry: spaces.flatdim(space) for entry, space in observed.items()}
        for label, (entry, index) in self._labels.items():
            if not 0 <= index < sizes.get(entry, 0):
                raise ValueError(
                    f"labels[{label!r}] must index the observation, whose entries have the sizes "
                    f"{sizes}, got {index} of {entry!r}"
                )
        self._frame_skip = task.frame_skip
        self._render_profile = render_profile
        self._picture = np.zeros((*frame_size, 3), np.uint8)
        self._begun = False
        self._closed = False
        self.action_space = self._simulation.action_space
        self.observation_space = spaces.Box(0, 255, frame_size, np.uint8)
        # Shimmy's own rate is wrong, and set on its class.
        self.metadata = {
            "render_modes": ["rgb_array"],
            "render_fps": round(1 / (self._simulation.dt * self._frame_skip)),
        }

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Begin an episode in a state drawn by the suite.

        Args:
            seed: seeds this episode and all that follow it.
            options: not used.

        Returns:
            Screen and info, see the class.

        Raises:
            ClosedEnvironmentError: after :meth:`close`.
        """
        self._check_open()
        super().reset(seed=seed)
        # The suite's generator accepts a smaller range of seeds than Gymnasium's.
        suite_seed = None if seed is None else int(self.np_random.integers(2**32))
        observation, _ = self._simulation.reset(seed=suite_seed)
        self._begun = True
        return self._screen(), {"labels": self._read_labels(observation)}

    def step(
        self, action: NDArray[np.float64]
    ) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Hold `action` for the task's control steps.

        Raises:
            ValueError: `action` is not in :attr:`action_space`.
            ResetNeeded: no episode has begun.
            ClosedEnvironmentError: after :meth:`close`.
        """
        self._check_open()
        if not self._begun:
            raise ResetNeeded("call reset() first: no episode has begun")
        if not self.action_space.contains(action):
            raise ValueError(f"action must be in {self.action_space}, got {action!r}")
        total = 0.0
        for _ in range(self._frame_skip):
            observation, reward, terminated, truncated, _ = self._simulation.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        return (
            self._screen(),
            total,
            bool(terminated),
            bool(truncated),
            {"labels": self._read_labels(observation)},
        )

    def goal_content(self) -> NDArray[np.float64]:
        """Return the current physics state, float64 (n,), as a fresh array.

        Raises:
            ClosedEnvironmentError: after :meth:`close`.
        """
        self._check_open()
        state: NDArray[np.float64] = self._physics.get_state(_STATE)
        return state

    def goal_screen(self, content: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the screen that a physics state would show now, uint8 (height, width).

        The simulation is not affected: the state is set in separate data.

        Args:
            content: what :meth:`goal_content` returned, in this world or another of its task.

        Raises:
            ValueError: `content` is not a finite float64 array of that shape.
            ClosedEnvironmentError: after :meth:`close`.
        """
        self._check_open()
        size = mujoco.mj_stateSize(self._physics.model.ptr, _STATE)
        if (
            not isinstance(content, np.ndarray)
            or content.shape != (size,)
            or content.dtype != np.float64
            or not np.isfinite(content).all()
        ):
            raise ValueError(
                f"content must be a finite float64 array of shape ({size},), got {content!r}"
            )
        mujoco.mj_setState(self._physics.model.ptr, self._goal_data, content, _STATE)
        mujoco.mj_forward(self._physics.model.ptr, self._goal_data)
        return _gray(self._draw(self._goal_data))

    def render(self) -> NDArray[np.uint8] | None:
        """Return the last screen in colour, uint8 (height, width, 3); None without a mode."""
        return None if self.render_mode is None else self._picture.copy()

    def close(self) -> None:
        """Free the simulation and its OpenGL context."""
        if not self._closed:
            self._closed = True
            self._simulation.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedEnvironmentError("the environment is closed: its simulation is freed")

    @property
    def snapshot(self) -> Snapshot:
        """The physics, the episode's targets, the generators and the last picture; can be set.

        Raises:
            ClosedEnvironmentError: after :meth:`close`.
        """
        self._check_open()
        model = self._physics.model
        return {
            "random": random_state(self.np_random),
            "suite_random": random_state(self._simulation.np_random),
            "begun": self._begun,
            "state": self._physics.get_state(_WHOLE_STATE),
            "model": {name: getattr(model, name).copy() for name in _DRAWN_WITH_EPISODE},
            "picture": self._picture.copy(),
        }

    @snapshot.setter
    def snapshot(self, snapshot: Mapping[str, Any]) -> None:
        self._check_open()
        if snapshot["begun"]:
            self._simulation.reset()  # else the suite would treat the next step as a reset
            model, data = self._physics.model, self._physics.data.ptr
            for name in _DRAWN_WITH_EPISODE:
                getattr(model, name)[:] = snapshot["model"][name]
            mujoco.mj_setState(model.ptr, data, snapshot["state"], _WHOLE_STATE)
            mujoco.mj_step1(model.ptr, data)  # as every step of dm_control ends
        set_random_state(self.np_random, snapshot["random"])
        set_random_state(self._simulation.np_random, snapshot["suite_random"])
        self._begun = snapshot["begun"]
        self._picture = snapshot["picture"].copy()

    @cached_property
    def _camera(self) -> SceneCamera | None:
        # Created when first needed: an OpenGL context does not survive a fork, and vector
        # environments make and close one world before they fork.
        if self._render_profile is None:
            return None
        height, width, _ = self._picture.shape
        return SceneCamera(self._physics, (height, width), fast=self._render_profile == "fast")

    @cached_property
    def _goal_data(self) -> mujoco.MjData:
        return mujoco.MjData(self._physics.model.ptr)

    def _read_labels(self, observation: Mapping[str, NDArray[np.float64]]) -> Labels:
        return {
            name: observation[entry].item(index) for name, (entry, index) in self._labels.items()
        }

    def _screen(self) -> NDArray[np.uint8]:
        self._picture = self._draw(self._physics.data.ptr)
        return _gray(self._picture)

    def _draw(self, data: mujoco.MjData) -> NDArray[np.uint8]:
        return np.zeros_like(self._picture) if self._camera is None else self._camera.draw(data)


def _gray(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
