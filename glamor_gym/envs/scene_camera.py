"""Renders pictures of a MuJoCo scene in one of two styles.

In: dm_control's physics and the data to show. Out: RGB pictures, uint8 (height, width, 3).
"""

from __future__ import annotations

import os

import mujoco
import numpy as np
from dm_control.mujoco import Physics
from numpy.typing import NDArray

from glamor_gym.envs.rendering import RenderingError

_EFFECTS = (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION)
_MAX_GEOMS = 1000
"""More than any scene of the suite has, including decorations such as tendons."""


class SceneCamera:
    """Renders one model as seen by its first fixed camera.

    It gives the same pixels as ``dm_control.mujoco.Physics.render``, but reuses its scene from
    picture to picture, and can show other data than the running simulation's.
    """

    def __init__(self, physics: Physics, size: tuple[int, int], *, fast: bool) -> None:
        """Set up the scene and, if `physics` has none yet, the OpenGL context.

        Args:
            physics: its model is rendered in its OpenGL context, whose buffers are created only
                once: it must not have been rendered before in another style, or with buffers
                smaller than `size`.
            size: (height, width) of the pictures, in pixels.
            fast: without shadows, reflections and antialiasing, which is 8 to 27 times as fast in
                software rendering.

        Raises:
            RenderingError: OpenGL does not work; the message names the backend.
        """
        height, width = size
        self._model = physics.model.ptr
        visual = self._model.vis
        visual.global_.offheight = max(height, visual.global_.offheight)
        visual.global_.offwidth = max(width, visual.global_.offwidth)
        if fast:
            visual.quality.offsamples = visual.quality.shadowsize = 0
        try:
            self._contexts = physics.contexts
        except (RuntimeError, mujoco.FatalError) as error:
            backend = os.environ.get("MUJOCO_GL", "")
            raise RenderingError(
                f"OpenGL does not work with MUJOCO_GL={backend!r}: {error} (if dm_control is "
                "imported before glamor_gym, set MUJOCO_GL=egl or osmesa before both imports)"
            ) from error
        self._scene = mujoco.MjvScene(self._model, maxgeom=_MAX_GEOMS)
        if fast:
            for effect in _EFFECTS:
                self._scene.flags[effect] = False
        self._option = mujoco.MjvOption()
        self._perturbation = mujoco.MjvPerturb()
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._camera.fixedcamid = 0
        self._viewport = mujoco.MjrRect(0, 0, width, height)
        self._pixels = np.empty((height, width, 3), np.uint8)

    def draw(self, data: mujoco.MjData) -> NDArray[np.uint8]:
        """Return the picture of `data`, RGB, uint8 (height, width, 3), as a fresh array.

        Args:
            data: data of this camera's model, with up-to-date positions.
        """
        mujoco.mjv_updateScene(
            self._model,
            data,
            self._option,
            self._perturbation,
            self._camera,
            mujoco.mjtCatBit.mjCAT_ALL,
            self._scene,
        )
        with self._contexts.gl.make_current() as gl_thread:
            gl_thread.call(self._draw_scene)
        return self._pixels[::-1].copy()  # OpenGL's first row is the bottom one

    def _draw_scene(self) -> None:
        context = self._contexts.mujoco.ptr
        mujoco.mjr_render(self._viewport, self._scene, context)
        mujoco.mjr_readPixels(self._pixels, None, self._viewport, context)
