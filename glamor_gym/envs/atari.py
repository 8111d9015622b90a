"""Atari games as worlds: full-size grayscale screens, and entity labels read from the RAM (§4.1).

In: the name of a ROM and the RAM index of each label. Out: the screen after `frame_skip`
emulator frames as the observation, and the labels at the same frame.

Labels are those of AtariARI (Anand et al., NeurIPS 2019); sticky actions follow Machado et al.
(2018), "Revisiting the Arcade Learning Environment".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ale_py
import gymnasium as gym
import numpy as np
from ale_py import roms
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from glamor_gym.checks import as_element, as_integer, as_probability, as_render_mode
from glamor_gym.envs.reseeding import Reseeding
from glamor_gym.snapshots import Snapshot, random_state, set_random_state
from glamor_gym.types import GoalKind

NOOP = ale_py.Action.NOOP


class NoopCounts:
    """Draws the number of no-op frames at the start of each episode: uniform on [low, high].

    With ``low == 0``, the counts are those of ALE's own vector environment (``std::mt19937``
    with the ``std::uniform_int_distribution`` of libstdc++), so that a seed gives the same
    episodes in both.
    """

    def __init__(self, low: int, high: int, seed: int) -> None:
        """Begin a sequence of counts.

        Args:
            low: smallest count.
            high: largest count.
            seed: from 0 to 2³² − 1.
        """
        self._low = low
        self._size = high - low + 1
        # Of NumPy's generators, only the legacy one is seeded as std::mt19937 is.
        self.bits = np.random.RandomState(seed)

    def draw(self) -> int:
        """Return the next count, by unbiased multiply-and-shift (Lemire, 2019)."""
        while True:
            product = int(self.bits.randint(2**32, dtype=np.uint32)) * self._size
            if product % 2**32 >= 2**32 % self._size:
                return self._low + (product >> 32)


class AtariWorld(gym.Env[NDArray[np.uint8], np.int64]):
    """One Atari game in the Arcade Learning Environment.

    Observation: uint8 (H, W), normally (210, 160): the pixelwise maximum of the last two
    emulator frames, which removes the flicker of sprites that are drawn every other frame; after
    a reset, the only frame there is. Action: the game's minimal set, held for `frame_skip` frames;
    on each frame, the previous action is repeated instead with probability `sticky`. FIRE is
    never pressed on the agent's behalf.

    An episode begins with a random number of no-op frames. It is terminated if a life has been
    lost or the game is over at the end of a step; all frames of that step are played, so that
    the picture and the labels belong to the same moment.

    Info: ``labels`` (dict name → float, 0 to 255) and ``lives`` (int; 0 in games without lives).
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 15}  # noqa: RUF012
    goal_kind: GoalKind = "screen"
    reset_options: tuple[str, ...] = ()

    def __init__(
        self,
        game: str,
        labels: Mapping[str, int],
        *,
        frame_skip: int = 4,
        noops: tuple[int, int] = (0, 30),
        sticky: float = 0.25,
        render_mode: str | None = None,
    ) -> None:
        """Load a game.

        Args:
            game: name of the ROM, e.g. ``"ms_pacman"``.
            labels: label name → RAM index, 0 to 127.
            frame_skip: emulator frames per step.
            noops: minimum and maximum number of no-op frames at the start of an episode.
            sticky: probability per emulator frame that the previous action is repeated.
            render_mode: None, or ``"rgb_array"`` for the last frame in colour.

        Raises:
            ValueError: an argument is out of range, or there is no such ROM.
            TypeError: `frame_skip`, a label index or a value of `noops` is not an integer, or
                `sticky` is not a number.
        """
        rom = roms.get_rom_path(game) if game in roms.get_all_rom_ids() else None
        if rom is None:
            raise ValueError(f"game must be the name of a ROM that ale-py has, got {game!r}")
        self._labels = {
            name: as_integer(index, name=f"labels[{name!r}]", low=0, high=127)
            for name, index in labels.items()
        }
        self._frame_skip = as_integer(frame_skip, name="frame_skip", low=1)
        low, high = noops
        self._noop_range = (
            as_integer(low, name="noops[0]", low=0),
            as_integer(high, name="noops[1]", low=low),
        )
        self._rom = rom
        self.render_mode = as_render_mode(render_mode)

        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self._ale = ale_py.ALEInterface()
        self._ale.setFloat("repeat_action_probability", as_probability(sticky, name="sticky"))
        self._ale.loadROM(self._rom)
        self._actions = self._ale.getMinimalActionSet()
        self._reseeding = Reseeding()
        self._noops: NoopCounts | None = None
        self._lives = 0
        self._actions_taken: list[int] = []
        self._first_state = b""
        self._screen = np.zeros(self._ale.getScreenDims(), np.uint8)
        self._before_last = np.zeros_like(self._screen)
        self._last = np.zeros_like(self._screen)
        self._first_screen = np.zeros_like(self._screen)
        self._screens = spaces.Box(0, 255, self._screen.shape, np.uint8)
        self.observation_space = self._screens
        self.action_space = spaces.Discrete(len(self._actions))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Begin an episode with a random number of no-op frames.

        Args:
            seed: seeds the no-ops and sticky actions of this episode and those that follow.
            options: not used.
        """
        super().reset(seed=seed)
        if seed is not None or self._noops is None:
            self._noops = self._seeded(int(self.np_random.integers(2**31)))
        self._ale.reset_game()
        for _ in range(self._noops.draw()):
            self._ale.act(NOOP)
            if self._ale.game_over():
                self._ale.reset_game()
        self._ale.getScreenGrayscale(self._last)
        self._begin_episode()
        return self.goal_content(), self._info()

    def step(self, action: Any) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Hold an action for `frame_skip` frames; the reward is the game's score.

        Raises:
            TypeError: `action` is not a single integer.
            ValueError: `action` is out of range.
            ResetNeeded: no episode has begun.
        """
        action = as_integer(action, name="action", low=0, high=len(self._actions) - 1)
        if self._noops is None:
            raise ResetNeeded("call reset() first: no episode has begun")
        self._actions_taken.append(action)
        held = self._actions[action]
        score = 0.0
        for _ in range(self._frame_skip - 1):
            score += self._ale.act(held)
        # After a game over, the emulator no longer advances, and both screens are the last one.
        self._before_last, self._last = self._last, self._before_last
        if self._frame_skip > 1:
            self._ale.getScreenGrayscale(self._before_last)
        score += self._ale.act(held)
        self._ale.getScreenGrayscale(self._last)
        np.maximum(self._before_last, self._last, out=self._screen)
        lives_before, self._lives = self._lives, self._ale.lives()
        terminated = self._lives < lives_before or self._ale.game_over(with_truncation=False)
        return self.goal_content(), score, terminated, False, self._info()

    def goal_content(self) -> NDArray[np.uint8]:
        """Return the current screen, uint8 (H, W), as a fresh array."""
        return self._screen.copy()

    def goal_screen(self, content: NDArray[Any]) -> NDArray[np.uint8]:
        """Return a copy of `content`, a screen: Atari goals look the same in every episode.

        Raises:
            TypeError: `content` is not a uint8 array.
            ValueError: `content` does not have the shape of the screen.
        """
        return as_element(content, self._screens, name="content").copy()

    def get_action_meanings(self) -> list[str]:
        """Return the name of each action, e.g. ``"RIGHTFIRE"``, as ALE's own environments do."""
        return [action.name for action in self._actions]

    def render(self) -> NDArray[np.uint8] | None:
        """Return the last emulator frame in colour, uint8 (H, W, 3); None without a mode."""
        return None if self.render_mode is None else self._ale.getScreenRGB()

    @property
    def snapshot(self) -> Snapshot:
        """The console when the episode began, the actions since, and the generators; can be set.

        ALE's state holds neither the picture nor the last action, which a sticky action repeats.
        To restore both, the episode is replayed from its beginning, where they are known.
        """
        return {
            "random": random_state(self.np_random),
            "noops": None if self._noops is None else random_state(self._noops.bits),
            "screen": self._first_screen.copy(),
            "console": np.frombuffer(self._first_state, np.uint8),
            "actions": np.array(self._actions_taken, np.int64),
        }

    @snapshot.setter
    def snapshot(self, snapshot: Mapping[str, Any]) -> None:
        screen = as_element(snapshot["screen"], self._screens, name="snapshot['screen']")
        set_random_state(self.np_random, snapshot["random"])
        self._noops = None
        if snapshot["noops"] is None:
            return
        self._noops = NoopCounts(*self._noop_range, seed=0)
        set_random_state(self._noops.bits, snapshot["noops"])
        self._ale.reset_game()
        self._ale.restoreState(ale_py.ALEState(snapshot["console"].tobytes()))
        self._last[:] = screen
        self._begin_episode()
        for action in snapshot["actions"].tolist():
            self.step(action)

    def _begin_episode(self) -> None:
        """Record the console's state, and its screen in `_last`, as the start of an episode."""
        self._lives = self._ale.lives()
        self._screen[:] = self._last
        self._first_screen = self._last.copy()
        self._first_state = self._ale.cloneState(include_rng=True).serialize()
        self._actions_taken = []

    def _seeded(self, seed: int) -> NoopCounts:
        """Seed the console, as loading the ROM does, and return the counts of no-ops.

        Loading the ROM is ALE's only way to seed the sticky actions; see
        :class:`~glamor_gym.envs.reseeding.Reseeding` for the shortcut.
        """
        state = self._reseeding.state(seed)
        if state is None:
            self._ale.setInt("random_seed", seed)
            self._ale.loadROM(self._rom)
            self._reseeding.observe(seed, self._ale.cloneState(include_rng=True).serialize())
        else:
            self._ale.restoreState(ale_py.ALEState(state))
        return NoopCounts(*self._noop_range, seed)

    def _info(self) -> dict[str, Any]:
        ram = self._ale.getRAM()
        labels = {name: float(ram[index]) for name, index in self._labels.items()}
        return {"labels": labels, "lives": self._lives}
