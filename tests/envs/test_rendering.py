import ctypes
import os
import subprocess
import sys

import pytest

from glamor_gym.envs import rendering
from glamor_gym.envs.rendering import RenderingError, choose_backend, probe_backends


@pytest.fixture
def unchosen(monkeypatch):
    """A Linux process that has not imported dm_control, and where nothing was chosen."""
    monkeypatch.delitem(sys.modules, "dm_control._render", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    # Set first, so that what choose_backend sets is taken back afterwards.
    for name in ("MUJOCO_GL", "LP_NUM_THREADS"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return monkeypatch


def pretend(monkeypatch, **missing):
    monkeypatch.setattr(rendering, "probe_backends", lambda: missing)


@pytest.mark.parametrize(
    ("missing", "chosen"),
    [
        ({"egl": None, "osmesa": None}, "egl"),
        ({"egl": None, "osmesa": "no library"}, "egl"),
        ({"egl": "no device", "osmesa": None}, "osmesa"),
    ],
)
def test_egl_is_taken_first_and_osmesa_next(unchosen, missing, chosen):
    pretend(unchosen, **missing)
    assert choose_backend() == chosen
    assert os.environ["MUJOCO_GL"] == chosen


def test_without_any_backend_the_message_names_what_to_install(unchosen):
    unchosen.setattr(ctypes, "CDLL", no_library)
    unchosen.setattr(ctypes.util, "find_library", lambda name: None)
    with pytest.raises(RenderingError, match=r"apt-get install libegl1.*install libosmesa6"):
        choose_backend()
    assert "MUJOCO_GL" not in os.environ


@pytest.mark.parametrize("asked_for", ["egl", "osmesa", "glfw", "off"])
def test_a_backend_asked_for_is_kept(unchosen, asked_for):
    pretend(unchosen, egl=None, osmesa=None)
    unchosen.setenv("MUJOCO_GL", asked_for)
    assert choose_backend() == asked_for


def test_an_empty_name_asks_for_none(unchosen):
    pretend(unchosen, egl=None, osmesa=None)
    unchosen.setenv("MUJOCO_GL", "")
    assert choose_backend() == "egl"
    assert os.environ["MUJOCO_GL"] == "egl"


def test_a_backend_that_there_is_not_is_refused(unchosen):
    pretend(unchosen, egl=None, osmesa=None)
    unchosen.setenv("MUJOCO_GL", "bogus")
    with pytest.raises(RenderingError, match=r"MUJOCO_GL must be one of egl, .*; got 'bogus'"):
        choose_backend()


def test_the_known_backends_are_those_of_dm_control():
    code = (
        "from dm_control._render import constants as c\n"
        "from glamor_gym.envs.rendering import BACKENDS\n"
        "assert {*BACKENDS, ''} == {*c.EGL, *c.OSMESA, *c.GLFW, *c.NO_RENDERER}"
    )
    environment = {**os.environ, "MUJOCO_GL": "off"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_a_backend_asked_for_that_does_not_work_is_refused(unchosen):
    pretend(unchosen, egl="no device", osmesa=None)
    unchosen.setenv("MUJOCO_GL", "egl")
    with pytest.raises(RenderingError, match=r"MUJOCO_GL is 'egl'.*no device"):
        choose_backend()


def test_a_choice_that_dm_control_has_made_stands(unchosen):
    unchosen.setitem(sys.modules, "dm_control._render", object())
    unchosen.setenv("MUJOCO_GL", "glfw")
    pretend(unchosen, egl=None, osmesa=None)
    assert choose_backend() == "glfw"


def test_other_systems_are_left_to_dm_control(unchosen):
    unchosen.setattr(sys, "platform", "darwin")
    assert choose_backend() == ""
    assert "MUJOCO_GL" not in os.environ


def test_threads_of_the_software_renderer_stay_as_the_user_wants_them(unchosen):
    pretend(unchosen, egl=None, osmesa=None)
    unchosen.setenv("LP_NUM_THREADS", "4")
    choose_backend()
    assert os.environ["LP_NUM_THREADS"] == "4"


def no_library(name, *args, **kwargs):
    raise OSError(f"{name}: cannot open shared object file")


def without(missing):
    original = ctypes.CDLL
    return lambda name, *args: no_library(name) if name in missing else original(name, *args)


@pytest.mark.parametrize(
    ("missing", "package"),
    [({"libEGL.so.1"}, "libegl1"), ({"libOpenGL.so.0", "libGL.so.1"}, "libgl1")],
)
def test_a_missing_library_of_egl_is_named(monkeypatch, missing, package):
    monkeypatch.setattr(ctypes, "CDLL", without(missing))
    reason = probe_backends()["egl"]
    assert reason is not None
    assert reason.endswith(f"apt-get install {package})")


def test_an_egl_without_devices_does_not_work(monkeypatch):
    def no_device(egl, name, *signature):
        return lambda *arguments: 0

    monkeypatch.setattr(rendering, "_extension", no_device)
    assert "no device" in probe_backends()["egl"]


def test_an_old_egl_does_not_work(monkeypatch):
    monkeypatch.setattr(rendering, "_extension", lambda egl, name, *signature: None)
    assert "without a display" in probe_backends()["egl"]


def test_a_library_of_osmesa_that_is_found_is_enough(monkeypatch):
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: "libOSMesa.so.8")
    monkeypatch.setattr(ctypes, "CDLL", lambda name, *args: None)
    assert rendering._missing_for_osmesa() is None


def test_a_process_of_its_own_ends_up_with_a_backend_that_draws():
    code = (
        "from glamor_gym.envs import make_world; import os\n"
        "world = make_world('pendulum-swingup', render_profile='fast')\n"
        "print(os.environ['MUJOCO_GL'], world.reset(seed=0)[0].std() > 5)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "MUJOCO_GL"}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert run.stdout.split() in (["egl", "True"], ["osmesa", "True"])


@pytest.mark.triton
def test_pytorch_may_import_triton_after_a_picture_was_drawn():
    pytest.importorskip("triton")
    drawn = (
        "import gymnasium, glamor_gym\n"
        "gymnasium.make('glamor/pendulum-swingup-v0').reset(seed=0)\n"
        "import triton\n"
        "print('alive')"
    )
    done = subprocess.run([sys.executable, "-c", drawn], capture_output=True, text=True)
    assert done.stdout == "alive\n", (done.returncode, done.stderr)
