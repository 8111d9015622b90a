"""Collecting Atari steps against the bare emulator doing the same frames."""

from __future__ import annotations

from collections.abc import Iterator

import gymnasium as gym
import numpy as np
from ale_py import ALEInterface, roms

import glamor_gym  # noqa: F401  (registers the environments)
from benchmarks.timing import Comparison, compare
from glamor_gym.tasks import get_task

N_STEPS = 1_000


def run(n_steps: int = N_STEPS) -> Iterator[Comparison]:
    """Compare a thousand steps of Pong, in one environment and in a vector of them."""
    task = get_task("Pong")
    emulator = ALEInterface()
    emulator.setFloat("repeat_action_probability", task.sticky)
    emulator.loadROM(roms.get_rom_path(task.source))
    legal = emulator.getMinimalActionSet()
    rng = np.random.default_rng(0)

    def bare() -> None:
        for action in rng.integers(0, len(legal), n_steps):
            for _ in range(task.frame_skip):
                emulator.act(legal[action])
            emulator.getScreenGrayscale()
            if emulator.game_over():
                emulator.reset_game()

    single = gym.make(task.id)
    single.reset(seed=0)

    def one_environment() -> None:
        for action in rng.integers(0, len(legal), n_steps):
            if any(single.step(int(action))[2:4]):
                single.reset()

    vector = gym.make_vec(task.id, num_envs=8)
    vector.reset(seed=0)

    def several() -> None:
        for _ in range(n_steps // 8):
            vector.step(rng.integers(0, len(legal), 8))

    reference = "bare emulator, one thread, the same number of frames"
    for name, work, target in (
        (f"collect {n_steps} steps of Pong, one environment", one_environment, 0.7),
        (f"collect {n_steps} steps of Pong, a vector of 8", several, 1.6),
    ):
        yield compare(name, reference, work, bare, target=target, fast_repeats=1, turns=7)
    single.close()
    vector.close()
