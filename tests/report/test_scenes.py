from __future__ import annotations

import itertools

import numpy as np
import pytest

from glamor_gym.evaluation.filming import PlanInMind, Scene
from glamor_gym.report.pictures import MISSED, REACHED
from glamor_gym.report.scenes import Caption, caption, draw, frames_of
from glamor_gym.wrappers.goal_env import Pictures

TASK = {"task": "glamor/Pong-v0", "goal": 7}
RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)


def scene(action="RIGHT", plan=None, step=3, shape=(80, 104), world_shape=(210, 160)):
    """A scene whose world is red, whose goal is green and whose newest frame is blue."""
    pictures = Pictures(
        world=np.full((*world_shape, 3), RED, np.uint8),
        goal=np.full((*shape, 3), GREEN, np.uint8),
        achieved=np.full((*shape, 3), BLUE, np.uint8),
    )
    return Scene(step=step, horizon=12, action=action, plan=plan, pictures=pictures)


def colour_boxes(frame, colour):
    """(top, left, height, width) of the part of a frame that has a colour."""
    rows, columns = np.nonzero((frame == colour).all(axis=2))
    assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)  # it is a full rectangle
    return rows.min(), columns.min(), np.ptp(rows) + 1, np.ptp(columns) + 1


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        (PlanInMind(9, -14.318), "plan: 8 actions + STOP, log score -14.32"),
        (PlanInMind(2, 0.5), "plan: 1 action + STOP, log score 0.50"),
        (PlanInMind(1, -0.01), "plan: STOP, log score -0.01"),
        (None, ""),
    ],
)
def test_the_caption_tells_action_and_plan(plan, told):
    words = caption(scene("RIGHT", plan), **TASK, success=False)
    assert words == Caption("glamor/Pong-v0, goal 7", "step 3 of 12", "action: RIGHT", told)


@pytest.mark.parametrize(
    ("success", "told"), [(True, "goal reached"), (False, "goal missed"), (None, "the end")]
)
def test_the_last_caption_tells_what_the_labels_say(success, told):
    words = caption(scene(None, step=12), **TASK, success=success)
    assert words == Caption("glamor/Pong-v0, goal 7", "step 12 of 12", told, "")


def drawn(shown, success=False):
    return draw(shown, caption(shown, **TASK, success=success), success)


def test_where_nothing_tells_the_last_scene_has_no_verdicts_colour():
    plain, last = drawn(scene("RIGHT")), drawn(scene(None), success=None)
    np.testing.assert_array_equal(last[: 38 + 320], plain[: 38 + 320])
    assert (drawn(scene(None), success=False)[: 38 + 320] != plain[: 38 + 320]).any()


def test_the_panels_stand_side_by_side_at_one_size():
    frame = drawn(scene())
    assert frame.dtype == np.uint8
    boxes = [colour_boxes(frame, colour) for colour in (RED, GREEN, BLUE)]
    assert {box[2:] for box in boxes} == {(320, 416)}  # four pixels for one of a frame
    assert len({box[0] for box in boxes}) == 1
    lefts = [box[1] for box in boxes]
    assert all(right - left > 416 for left, right in itertools.pairwise(lefts))


@pytest.mark.parametrize("shape", [(80, 104), (85, 85), (40, 41), (33, 211), (1, 49), (90, 20)])
def test_frames_of_any_shape_have_an_even_size_and_room_for_the_caption(shape):
    frame = drawn(scene(plan=PlanInMind(101, -1234.5), shape=shape))
    assert frame.shape[0] % 2 == frame.shape[1] % 2 == 0
    assert 900 < frame.shape[1] < 2000


def test_pixels_that_are_enlarged_stay_sharp():
    shown = scene()
    shown.pictures.goal[40, 52] = (255, 255, 255)
    frame = drawn(shown)
    top, left, *_ = colour_boxes(drawn(scene()), GREEN)
    square = frame[top + 160 : top + 164, left + 208 : left + 212]
    assert (square == 255).all()
    frame[top + 160 : top + 164, left + 208 : left + 212] = GREEN
    np.testing.assert_array_equal(frame, drawn(scene()))


def test_texts_are_drawn_where_nothing_else_is():
    with_words = drawn(scene(plan=PlanInMind(9, -14.3)))
    words = Caption("", "", "", "")
    without = draw(scene(), words, success=False)
    rows, columns = np.nonzero((with_words != without).any(axis=2))
    assert (without[rows, columns] == 255).all()  # on white only
    height, width = without.shape[:2]
    assert rows.max() < height - 1
    assert columns.max() < width - 1
    middle = (width // 2 - 60 < columns) & (columns < width // 2 + 60)
    assert not middle.any()  # left and right do not meet


@pytest.mark.parametrize(("success", "colour"), [(True, REACHED), (False, MISSED)])
def test_the_verdict_has_a_colour_and_only_at_the_end(success, colour):
    end = drawn(scene(None), success)
    other = MISSED if success else REACHED
    assert (end == colour).all(axis=2).sum() > 3 * 4 * 320
    assert colour_boxes(end, GREEN)[2:] == (320, 416)
    missed = (drawn(scene("RIGHT"), success) == MISSED).all(axis=2).sum()
    assert missed == 0
    assert (end[:, :18] == other).all(axis=2).sum() == 0


def test_the_bar_is_as_long_as_the_episode_is_old():
    def green_of_the_bar(step):
        frame = drawn(scene(step=step))
        top, _, height, _ = colour_boxes(frame, GREEN)
        below = frame[top + height + 2 : top + height + 30]
        return (below == (15, 118, 110)).all(axis=2).any(axis=0).sum()

    whole = green_of_the_bar(12)
    assert green_of_the_bar(0) == 0
    assert green_of_the_bar(3) == pytest.approx(whole / 4, abs=1)


@pytest.mark.parametrize(("fps", "rest"), [(10, 5), (4, 2), (1, 1)])
def test_the_last_frame_rests_for_half_a_second(fps, rest):
    scenes = [scene(step=0), scene(step=1), scene(None, step=2)]
    frames = list(frames_of(scenes, **TASK, success=True, fps=fps))
    assert len(frames) == 2 + rest
    for frame, shown in zip(frames, scenes, strict=False):
        np.testing.assert_array_equal(frame, drawn(shown, success=True))
    for frame in frames[2:]:
        np.testing.assert_array_equal(frame, frames[2])
