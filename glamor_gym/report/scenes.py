"""Draw the scenes of an episode as film frames: three panels above the agent's next action.

In: the :class:`~glamor_gym.evaluation.filming.Scene`s of an episode. Out: film frames, uint8
(H, W, 3), all of one even size: the world, the goal and the newest frame side by side, a progress
bar, and a caption.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from glamor_gym.evaluation.filming import Scene
from glamor_gym.names import counted
from glamor_gym.report.pictures import MISSED, REACHED
from glamor_gym.report.style import AGENT, INK, LINE, SOFT, TEXT, WHITE
from glamor_gym.wrappers.display import resized

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

REST_SECONDS = 0.5
"""How long the last scene of an episode is shown."""

_TITLES = ("world", "goal", "achieved")
_PANEL_HEIGHT = 320
_PANEL_WIDTHS = (280, 640)
"""Minimum, which leaves room for the caption, and maximum, which fits a screen."""

_MARGIN, _GAP, _BORDER = 20, 16, 4
_TITLE_HEIGHT, _BAR_HEIGHT, _LINE_HEIGHT = 38, 4, 36
_BASELINE = 25
"""Baseline of the text in a line, in pixels from the top of the line."""

_REGULAR, _BOLD = cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX


class Caption(NamedTuple):
    """The text below the panels.

    Attributes:
        subject: task and goal.
        step: number of steps taken, and the horizon.
        doing: the next action; at the end, whether the goal was reached, if that is known.
        plan: length and score of the plan that the action is from; empty if there is none.
    """

    subject: str
    step: str
    doing: str
    plan: str


def caption(scene: Scene, *, task: str, goal: int, success: bool | None) -> Caption:
    """Return the caption of a scene.

    Args:
        scene: the scene.
        task: id of the task.
        goal: index of the goal in its set.
        success: whether the episode was a success; None if nothing tells.
    """
    doing = f"action: {scene.action}"
    if scene.action is None:
        doing = {True: "goal reached", False: "goal missed", None: "the end"}[success]
    plan = ""
    if scene.plan is not None:
        n_actions = scene.plan.length - 1  # without STOP
        actions = f"{counted(n_actions, 'action')} + STOP" if n_actions else "STOP"
        plan = f"plan: {actions}, log score {scene.plan.log_score:.2f}"
    return Caption(f"{task}, goal {goal}", f"step {scene.step} of {scene.horizon}", doing, plan)


def frames_of(
    scenes: Sequence[Scene], *, task: str, goal: int, success: bool | None, fps: int
) -> Iterator[Picture]:
    """Yield the film frames of an episode: one per scene, the last one for half a second.

    Args:
        scenes: the scenes of the episode in order, at least one.
        task: id of the task.
        goal: index of the goal in its set.
        success: whether the episode was a success; None if nothing tells.
        fps: frames per second of the film.
    """
    for scene in scenes:
        frame = draw(scene, caption(scene, task=task, goal=goal, success=success), success)
        yield frame
    for _ in range(round(REST_SECONDS * fps) - 1):
        yield frame


def draw(scene: Scene, words: Caption, success: bool | None) -> Picture:
    """Return a scene with its caption, uint8 (H, W, 3), H and W even.

    Args:
        scene: the scene.
        words: its caption.
        success: whether the episode was a success, which sets the colour of the last scene; None
            for no colour.
    """
    at_the_end = scene.action is None and success is not None
    verdict = (REACHED if success else MISSED) if at_the_end else None
    width = _panel_width(scene.pictures.achieved)
    panels = [resized(picture, _PANEL_HEIGHT, width) for picture in scene.pictures]
    total_width = 2 * _MARGIN + len(panels) * width + (len(panels) - 1) * _GAP
    bar_top = _TITLE_HEIGHT + _PANEL_HEIGHT + _GAP
    words_top = bar_top + _BAR_HEIGHT + _GAP // 2
    total_height = words_top + 2 * _LINE_HEIGHT + _GAP // 2
    canvas = np.full((total_height, total_width, 3), _rgb(WHITE), np.uint8)

    for index, (title, panel) in enumerate(zip(_TITLES, panels, strict=True)):
        left = _MARGIN + index * (width + _GAP)
        _write(canvas, title, left, top=0, colour=_rgb(SOFT))
        edge = _BORDER if verdict else 1
        _fill(canvas, _TITLE_HEIGHT - edge, left - edge, _PANEL_HEIGHT + 2 * edge, width + 2 * edge,
              verdict or _rgb(LINE))  # fmt: skip
        canvas[_TITLE_HEIGHT : _TITLE_HEIGHT + _PANEL_HEIGHT, left : left + width] = panel

    whole = total_width - 2 * _MARGIN
    gone = round(whole * scene.step / scene.horizon)
    _fill(canvas, bar_top, _MARGIN, _BAR_HEIGHT, whole, _rgb(LINE))
    _fill(canvas, bar_top, _MARGIN, _BAR_HEIGHT, gone, _rgb(AGENT))

    right, second = total_width - _MARGIN, words_top + _LINE_HEIGHT
    _write(canvas, words.subject, _MARGIN, words_top, _rgb(INK), bold=True)
    _write(canvas, words.step, right, words_top, _rgb(TEXT), from_right=True)
    _write(canvas, words.doing, _MARGIN, second, verdict or _rgb(TEXT), bold=verdict is not None)
    _write(canvas, words.plan, right, second, _rgb(TEXT), from_right=True)
    return canvas


def _panel_width(frame: Picture) -> int:
    """Return the width, even and within limits, that keeps the aspect ratio of a frame."""
    in_proportion = _PANEL_HEIGHT * frame.shape[1] / frame.shape[0]
    return 2 * round(float(np.clip(in_proportion, *_PANEL_WIDTHS)) / 2)


def _fill(canvas: Picture, top: int, left: int, height: int, width: int, colour: Colour) -> None:
    canvas[top : top + height, left : left + width] = colour


def _write(
    canvas: Picture,
    text: str,
    x: int,
    top: int,
    colour: Colour,
    *,
    bold: bool = False,
    from_right: bool = False,
) -> None:
    """Write a line of text that begins at `x`, or ends there if `from_right`."""
    font, scale = _BOLD if bold else _REGULAR, 0.7
    if from_right:
        x -= cv2.getTextSize(text, font, scale, 1)[0][0]
    cv2.putText(canvas, text, (x, top + _BASELINE), font, scale, colour, 1, cv2.LINE_AA)


def _rgb(colour: str) -> Colour:
    red, green, blue = (round(255 * part) for part in to_rgb(colour))
    return red, green, blue
