"""Selects an OpenGL backend for the control worlds that works here without a display.

In: this machine's libraries and the environment variable ``MUJOCO_GL``. Out: that variable, set.

MuJoCo and dm_control read it once, when they are imported, and default to a backend that needs a
display. :func:`choose_backend` therefore has to run first, and this module imports neither.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import importlib
import os
import sys
from typing import Any

_EGL_PLATFORM_DEVICE_EXT = 0x313F
_MAX_DEVICES = 16

_WINDOW = ("glfw", "on", "enable", "enabled", "true", "1")
_NOTHING = ("off", "disable", "disabled", "false", "0")
BACKENDS = ("egl", "osmesa", *_WINDOW, *_NOTHING)
"""The values of ``MUJOCO_GL`` that dm_control and MuJoCo accept."""


class RenderingError(RuntimeError):
    """Nothing can be rendered on this machine; the message says what is missing and the fix."""


def probe_backends() -> dict[str, str | None]:
    """Find out which OpenGL backends work here without a display.

    Takes a few milliseconds, more where Triton is installed, and does not disturb an OpenGL context
    already in use.

    Returns:
        Backend → None if it works, else what is missing and the fix; in order of preference.
    """
    # Triton and Mesa's software renderer each bring an LLVM. If Mesa's is loaded first, importing
    # Triton kills the process, and PyTorch's CUDA builds import it when an optimiser is made.
    with contextlib.suppress(ImportError):
        importlib.import_module("triton")
    return {"egl": _missing_for_egl(), "osmesa": _missing_for_osmesa()}


def choose_backend() -> str:
    """Make sure that dm_control renders with a backend that works here.

    A backend named in ``MUJOCO_GL`` is kept; if it is unset or empty, EGL is selected if it works,
    else OSMesa. If dm_control has already been imported, its choice stands. Systems other than
    Linux render without a display in ways of their own, and the choice is left to dm_control.

    Mesa's software renderer is set to use no threads (unless ``LP_NUM_THREADS`` is set): pictures
    this small gain nothing from them, and a process forked by a vector environment, which does not
    inherit threads, would wait for them forever.

    Returns:
        The value of ``MUJOCO_GL``, or an empty string if dm_control chooses.

    Raises:
        RenderingError: ``MUJOCO_GL`` names an unknown backend or one that does not work here, or
            no backend works.
    """
    if "dm_control._render" in sys.modules or sys.platform != "linux":
        return os.environ.get("MUJOCO_GL", "")
    os.environ.setdefault("LP_NUM_THREADS", "0")
    missing = probe_backends()
    asked_for = os.environ.get("MUJOCO_GL")
    if not asked_for:
        working = [backend for backend, reason in missing.items() if reason is None]
        if not working:
            reasons = "; ".join(f"{backend}: {reason}" for backend, reason in missing.items())
            raise RenderingError(
                f"control tasks need OpenGL, and no backend works here: {reasons}. One is enough."
            )
        os.environ["MUJOCO_GL"] = working[0]
    elif asked_for not in BACKENDS:
        raise RenderingError(f"MUJOCO_GL must be one of {', '.join(BACKENDS)}; got {asked_for!r}")
    elif reason := missing.get(asked_for):
        raise RenderingError(f"MUJOCO_GL is {asked_for!r}, which does not work here: {reason}")
    return os.environ["MUJOCO_GL"]


def _missing_for_egl() -> str | None:
    try:
        egl = ctypes.CDLL("libEGL.so.1")
    except OSError:
        return "libEGL.so.1 is missing (Debian, Ubuntu: apt-get install libegl1)"
    if not any(_loads(library) for library in ("libOpenGL.so.0", "libGL.so.1")):
        return "libGL.so.1 is missing (Debian, Ubuntu: apt-get install libgl1)"
    query_devices = _extension(
        egl, b"eglQueryDevicesEXT", ctypes.c_uint, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p
    )
    platform_display = _extension(
        egl,
        b"eglGetPlatformDisplayEXT",
        ctypes.c_void_p,
        ctypes.c_uint,
        ctypes.c_void_p,
        ctypes.c_void_p,
    )
    if query_devices is None or platform_display is None:
        return "libEGL.so.1 cannot render without a display (a newer driver can)"
    devices = (ctypes.c_void_p * _MAX_DEVICES)()
    count = ctypes.c_int()
    query_devices(_MAX_DEVICES, devices, ctypes.byref(count))
    egl.eglInitialize.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    for device in devices[: count.value]:
        display = platform_display(_EGL_PLATFORM_DEVICE_EXT, device, None)
        # Not terminated afterwards: it may be the display that dm_control is rendering to.
        if display and egl.eglInitialize(display, None, None):
            return None
    return "libEGL.so.1 finds no device (Debian, Ubuntu: apt-get install libegl-mesa0)"


def _missing_for_osmesa() -> str | None:
    library = ctypes.util.find_library("OSMesa")
    if library is None or not _loads(library):
        return "libOSMesa is missing (Debian, Ubuntu: apt-get install libosmesa6)"
    return None


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _extension(egl: ctypes.CDLL, name: bytes, *signature: Any) -> Any:
    """Return a function of an EGL extension, or None.

    Args:
        egl: the EGL library.
        name: name of the function.
        *signature: type of its result, then those of its arguments.
    """
    egl.eglGetProcAddress.restype = ctypes.c_void_p
    address = egl.eglGetProcAddress(name)
    return ctypes.CFUNCTYPE(*signature)(address) if address else None
