"""Collecting Atari steps, compared with bare emulators that play the same kind of episodes.

The reference has no goals, resized frames or frame stacks: it repeats each action for the frame
skip and fetches one screen per step. Resizing that screen is a fixed part of every step's work, so
a row's note says what ratio it alone would leave. The reference starts an episode like the task (a
reset of the console, then no-ops) and ends it at the task's horizon. With several threads, it is
as many processes that share the steps. The vector environment is also compared with ALE's own,
which scales and stacks frames but has no goals.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection

import cv2
import gymnasium as gym
import numpy as np
from ale_py import ALEInterface, LoggerMode, roms
from ale_py.vector_env import AtariVectorEnv

import glamor_gym  # noqa: F401  (registers the environments)
from benchmarks.timing import Comparison, compare, seconds
from glamor_gym.names import counted
from glamor_gym.tasks import Task, get_task
from glamor_gym.vector.atari_world import SCREEN_SIZE
from glamor_gym.wrappers import FRAME_SIZE

N_STEPS = 1_000
N_ENVS = 8
N_THREADS = min(N_ENVS, os.cpu_count() or 1)
"""Threads of the references of a vector, which itself has a thread for each environment."""


def run(n_steps: int = N_STEPS) -> Iterator[Comparison]:
    """Compare a thousand steps of Pong, in one environment and in a vector environment."""
    task = get_task("Pong")
    rng = np.random.default_rng(0)

    single = gym.make(task.id)
    single.reset(seed=0)
    n_actions = single.get_wrapper_attr("stop_action")

    def one_environment() -> None:
        for action in rng.integers(0, n_actions, n_steps):
            if any(single.step(int(action))[2:4]):
                single.reset()

    vector = gym.make_vec(task.id, num_envs=N_ENVS)
    vector.reset(seed=0)

    def several() -> None:
        for _ in range(n_steps // N_ENVS):
            vector.step(rng.integers(0, n_actions, N_ENVS))

    for name, work, threads, target in (
        ("one environment", one_environment, 1, 0.7),
        (f"a vector of {N_ENVS}", several, N_THREADS, 0.8),
    ):
        with BareEmulators(task.name, threads) as bare:
            comparison = compare(
                f"collect {n_steps} steps of Pong, {name}",
                f"bare emulator on {counted(threads, 'thread')}, the same episodes",
                work,
                partial(bare.play, n_steps),
                target=target,
                fast_repeats=1,
                turns=9,
            )
            resized, played = (
                1e6 * seconds(part) / n_steps
                for part in (partial(resize_screens, n_steps), partial(bare.play, n_steps))
            )
        played *= threads  # what one step takes on its thread
        note = (
            f"a bare step takes {played:.0f} µs, resizing its screen {resized:.0f} µs: "
            f"with no more than that, {played / (played + resized):.2f}×"
        )
        yield replace(comparison, note=note)
    plain = make_plain_vector(task)

    def several_plain() -> None:
        for _ in range(n_steps // N_ENVS):
            plain.step(rng.integers(0, n_actions, N_ENVS))

    yield compare(
        f"collect {n_steps} steps of Pong, a vector of {N_ENVS}",
        f"ALE's own vector of {N_ENVS} on {counted(N_THREADS, 'thread')}, "
        "the same episodes without goals",
        several,
        several_plain,
        target=0.8,
        fast_repeats=1,
        turns=9,
    )
    single.close()
    vector.close()
    plain.close()


def resize_screens(number: int) -> None:
    """Resize that many screens to the frames of the task, as every environment of it has to."""
    screen = np.random.default_rng(0).integers(0, 256, SCREEN_SIZE, dtype=np.uint8)
    for _ in range(number):
        cv2.resize(screen, FRAME_SIZE[::-1], interpolation=cv2.INTER_AREA)


def make_plain_vector(task: Task) -> AtariVectorEnv:
    """Make and reset ALE's own vector environment, with episodes and frames like the task's."""
    plain = AtariVectorEnv(
        task.source,
        num_envs=N_ENVS,
        num_threads=N_THREADS,
        img_height=FRAME_SIZE[0],
        img_width=FRAME_SIZE[1],
        stack_num=4,
        frameskip=task.frame_skip,
        noop_max=task.noops[1] + 1,
        repeat_action_probability=task.sticky,
        # No-ops count as frames.
        max_num_frames_per_episode=task.horizon * task.frame_skip + sum(task.noops) // 2,
        use_fire_reset=False,
    )
    plain.reset(seed=0)
    return plain


class BareEmulators:
    """Context manager of bare emulators, each in a process of its own.

    Args:
        task: name of the task to play.
        number: number of processes.
    """

    def __init__(self, task: str, number: int) -> None:
        context = multiprocessing.get_context("forkserver")
        self._pipes: list[Connection] = []
        for _ in range(number):
            here, there = context.Pipe()
            context.Process(target=_serve, args=(task, there), daemon=True).start()
            self._pipes.append(here)

    def __enter__(self) -> BareEmulators:
        return self

    def __exit__(self, *error: object) -> None:
        for pipe in self._pipes:
            pipe.send(0)

    def play(self, n_steps: int) -> None:
        """Take `n_steps` random steps in total, and wait for them."""
        for pipe in self._pipes:
            pipe.send(n_steps // len(self._pipes))
        for pipe in self._pipes:
            pipe.recv()


def _serve(name: str, pipe: Connection) -> None:
    """Play the number of steps received from the pipe, repeatedly, until that is 0."""
    task = get_task(name)
    ALEInterface.setLoggerMode(LoggerMode.Error)
    emulator = ALEInterface()
    emulator.setFloat("repeat_action_probability", task.sticky)
    rom = roms.get_rom_path(task.source)
    assert rom is not None
    emulator.loadROM(rom)
    legal = emulator.getMinimalActionSet()
    rng = np.random.default_rng(0)
    taken = 0
    while n_steps := pipe.recv():
        for action in rng.integers(0, len(legal), n_steps):
            if taken % task.horizon == 0 or emulator.game_over():
                emulator.reset_game()
                for _ in range(rng.integers(task.noops[0], task.noops[1] + 1)):
                    emulator.act(legal[0])
            for _ in range(task.frame_skip):
                emulator.act(legal[action])
            emulator.getScreenGrayscale()
            taken += 1
        pipe.send(taken)
