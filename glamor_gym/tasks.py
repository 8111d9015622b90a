"""The task table: one row per task, and the only place where facts about a task are kept.

RAM indices follow AtariARI (Anand et al., "Unsupervised State Representation Learning in Atari",
NeurIPS 2019, MIT licence); the choice of labels among them, horizons, frame-skips and action sets
follow Paster, McIlraith & Ba (2020), §4, and the code they released.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from glamor_gym.names import nearest_names, without_module

Suite = Literal["atari", "control", "small"]
ActionSet = Literal["minimal", "cartesian", "diagonal", "native"]

NAMESPACE = "glamor"
VERSION = 0


@dataclass(frozen=True)
class Task:
    """One task, as data.

    Attributes:
        name: the name in the id ``glamor/<name>-v0``.
        suite: the kind of world: ``"atari"``, ``"control"`` or ``"small"``.
        horizon: T, the maximum number of steps in an episode.
        labels: label name → where it is read. Atari: RAM index. Control: (entry of dm_control's
            observation, index in it). Small worlds: unused (0).
        frame_skip: simulator steps per action (Atari: emulator frames; control: control steps).
        noops: (low, high), both inclusive: range of the number of no-op *frames* at the start of
            an episode; Atari only.
        sticky: probability per emulator frame that the previous action is repeated; Atari only.
        actions: ``"minimal"``: the game's minimal set; ``"cartesian"``: {−1, 0, 1}^A;
            ``"diagonal"``: all zeros, and ±1 in one dimension at a time (2A + 1 actions);
            ``"native"``: the world's own Discrete actions.
        source: ROM name; ``domain/task`` of dm_control; or the class in `glamor_gym.envs`.
        moves_by_itself: whether anything moves but what the agent has set in motion.
        caveat: a known weakness of the labels; shown by ``glamor-gym tasks --verbose``.
    """

    name: str
    suite: Suite
    horizon: int
    source: str
    labels: Mapping[str, int | tuple[str, int]]
    frame_skip: int = 1
    noops: tuple[int, int] = (0, 0)
    sticky: float = 0.0
    actions: ActionSet = "native"
    moves_by_itself: bool = True
    caveat: str = ""

    @property
    def id(self) -> str:
        """The Gymnasium id, e.g. ``"glamor/Pong-v0"``."""
        return f"{NAMESPACE}/{self.name}-v{VERSION}"


def _atari(
    name: str,
    source: str,
    noops: tuple[int, int] = (0, 30),
    moves_by_itself: bool = True,
    caveat: str = "",
    **ram: int,
) -> Task:
    return Task(
        name,
        suite="atari",
        horizon=50,
        source=source,
        labels=ram,
        frame_skip=4,
        noops=noops,
        sticky=0.25,
        actions="minimal",
        moves_by_itself=moves_by_itself,
        caveat=caveat,
    )


def _control(
    source: str,
    labels: Mapping[str, tuple[str, int]],
    frame_skip: int = 1,
    actions: ActionSet = "cartesian",
    caveat: str = "",
) -> Task:
    return Task(
        source.replace("/", "-"),
        suite="control",
        horizon=100,
        source=source,
        labels=labels,
        frame_skip=frame_skip,
        actions=actions,
        moves_by_itself=False,
        caveat=caveat,
    )


def _entries(observation: str, *names: str) -> dict[str, tuple[str, int]]:
    """Name the entries of one (flattened) dm_control observation in order."""
    return {name: (observation, index) for index, name in enumerate(names)}


_ARM_JOINTS = (
    "arm_root", "arm_shoulder", "arm_elbow", "arm_wrist",
    "finger", "fingertip", "thumb", "thumbtip",
)  # fmt: skip
_TARGET_CAVEAT = "the picture shows a target, random in each episode, that is not in the labels"

_TASKS = (
    _atari(
        "Bowling",
        "bowling",
        moves_by_itself=False,
        ball_x=30,
        ball_y=41,
        player_x=29,
        player_y=40,
    ),
    _atari("Boxing", "boxing", player_x=32, player_y=34, enemy_x=33, enemy_y=35),
    _atari(
        "Breakout",
        "breakout",
        caveat="0 means that there is no ball",
        player_x=72,
        ball_x=99,
        ball_y=101,
    ),
    _atari("Frostbite", "frostbite", player_x=102, player_y=100),
    _atari(
        "MontezumaRevenge",
        "montezuma_revenge",
        caveat="the room (RAM 3) is not part of the labels",
        player_x=42,
        player_y=43,
    ),
    # The player of MsPacman cannot move for the first ~200 frames.
    _atari("MsPacman", "ms_pacman", noops=(200, 230), player_x=10, player_y=16),
    _atari("Pitfall", "pitfall", player_x=97, player_y=105),
    _atari(
        "Pong",
        "pong",
        caveat="0 means that there is no ball",
        ball_x=49,
        ball_y=54,
        enemy_y=50,
        player_y=51,
    ),
    _atari(
        "PrivateEye",
        "private_eye",
        caveat="the room (RAM 92) is not part of the labels",
        player_x=63,
        player_y=86,
    ),
    _atari(
        "Qbert",
        "qbert",
        caveat="y is 255 while the player falls, which widens its range",
        player_x=43,
        player_y=67,
    ),
    _atari("Riverraid", "riverraid", player_x=51),
    _atari("Seaquest", "seaquest", player_x=70, player_y=97),
    _atari(
        "Skiing",
        "skiing",
        caveat="RAM 87 is one slot of a table that shifts",
        player_x=25,
        object_y_0=87,
    ),
    _atari(
        "Tennis",
        "tennis",
        caveat="RAM 17 behaves as the bounce height; OCAtari names 54 as the ball's y",
        player_x=26,
        player_y=24,
        enemy_x=27,
        enemy_y=25,
        ball_x=16,
        ball_y=17,
    ),
    _control("ball_in_cup/catch", _entries("position", "cup_x", "cup_z", "ball_x", "ball_z")),
    _control("cartpole/balance", _entries("position", "cart_x", "pole_cos", "pole_sin")),
    _control(
        "finger/spin", _entries("position", "proximal", "distal", "spinner_tip_x", "spinner_tip_z")
    ),
    _control(
        "manipulator/bring_ball",
        _entries(
            "arm_pos", *(f"{joint}_{part}" for joint in _ARM_JOINTS for part in ("sin", "cos"))
        )
        | _entries("hand_pos", "hand_x", "hand_z", "hand_qw", "hand_qy")
        | _entries("object_pos", "object_x", "object_z", "object_qw", "object_qy"),
        actions="diagonal",
        caveat=_TARGET_CAVEAT,
    ),
    _control("pendulum/swingup", _entries("orientation", "cos", "sin")),
    _control("point_mass/easy", _entries("position", "x", "y"), frame_skip=4),
    _control(
        "reacher/hard",
        _entries("position", "shoulder", "wrist"),
        caveat=_TARGET_CAVEAT + "; the shoulder angle is neither bounded nor wrapped",
    ),
    Task(
        "GridWorld",
        suite="small",
        horizon=10,
        source="GridWorld",
        labels={"x": 0, "y": 0},
        moves_by_itself=False,
    ),
    Task(
        "Dice",
        suite="small",
        horizon=1,
        source="Dice",
        labels={"face": 0},
        moves_by_itself=False,
    ),
)

TASKS: Mapping[str, Task] = MappingProxyType({task.name: task for task in _TASKS})
"""Every task by name, in the order of the paper's Table 1, followed by the small worlds."""


def get_task(name: str, *, beside: Iterable[str] = ()) -> Task:
    """Return the task with a name or id: ``"Pong"`` and ``"glamor/Pong-v0"`` are the same.

    Args:
        name: the name or id.
        beside: what else could have been given instead, to be suggested too.

    Raises:
        ValueError: there is no such task; the message suggests the nearest names.
    """
    task = find_task(name)
    if task is None:
        short = name.rpartition("/")[2].removesuffix(f"-v{VERSION}")
        hint = nearest_names(short, [*beside, *TASKS])
        raise ValueError(f"unknown task {name!r}; {hint}")
    return task


def find_task(name: str) -> Task | None:
    """Return the task with a name or id; None for the id of any other environment.

    Raises:
        ValueError: `name` is not a string.
    """
    if not isinstance(name, str):
        raise ValueError(f"task must be a string such as 'Pong', got {type(name).__name__}")
    name = name.removeprefix("glamor_gym:")
    return TASKS.get(name) or next((task for task in TASKS.values() if task.id == name), None)


def short_name(name: str) -> str:
    """Return what tables call an environment: a task by its name, others by id without module.

    Args:
        name: a task's name or id, or ``"ID"`` or ``"MODULE:ID"`` of another environment.
    """
    task = find_task(name)
    return without_module(name) if task is None else task.name


def file_name(name: str) -> str:
    """Return the short name of an environment with dashes for what separates folders."""
    return short_name(name).replace("/", "-")
