"""One thread a process: the suite runs in several, and threads that wait for each other crawl.

And fixtures of several folders.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import gymnasium as gym
import pytest

if TYPE_CHECKING:
    from stable_baselines3.common.callbacks import BaseCallback

# Before torch is imported anywhere; workers of vector environments inherit it.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("MPLBACKEND", "Agg")

# Kernels are interpreted where there is no GPU; Triton asks when it is imported.
if not Path("/dev/nvidiactl").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# SB3's workers too begin with everything imported, once for all of them.
multiprocessing.set_forkserver_preload(["__main__", "glamor_gym.vector.collector"])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a CUDA device where there is none."""
    on_gpu = [item for item in items if "gpu" in item.keywords]
    if not on_gpu:
        return
    import torch

    if not torch.cuda.is_available():
        for item in on_gpu:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


def pytest_collection_finish() -> None:
    """Have garbage collections pass over all that was imported: each run of an agent makes one."""
    gc.freeze()


@pytest.fixture
def blank_pages() -> Iterator[None]:
    """See :func:`tests.experiments.small_runs.blank_pages`."""
    from tests.experiments import small_runs  # not before threads are counted, above

    with small_runs.blank_pages():
        yield


@pytest.fixture
def half_minutes(monkeypatch: pytest.MonkeyPatch) -> BaseCallback:
    """A callback of training by whose clock each step takes half a minute."""
    from stable_baselines3.common.callbacks import BaseCallback  # not before threads are counted

    class HalfAMinute(BaseCallback):
        seconds = 0.0

        def _on_step(self) -> bool:
            self.seconds += 30
            return True

    callback = HalfAMinute()
    monkeypatch.setattr(time, "monotonic", lambda: callback.seconds)
    return callback


@pytest.fixture
def no_nohup() -> Iterator[None]:
    """SIGHUP as in a terminal, though the tests were started by nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def own_room(tmp_path: Path) -> Iterator[str]:
    """The id of an environment that the module `rooms` in `tmp_path` registers."""
    (tmp_path / "rooms.py").write_text(
        "import gymnasium as gym\n"
        "entry_point, task = 'glamor_gym.factory:make_goal_env', {'task': 'GridWorld'}\n"
        "gym.register('own/Room-v0', entry_point=entry_point, kwargs=task)\n"
    )
    yield "rooms:own/Room-v0"
    gym.registry.pop("own/Room-v0", None)
    sys.modules.pop("rooms", None)
