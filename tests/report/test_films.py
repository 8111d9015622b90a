from __future__ import annotations

import base64
import io
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from glamor_gym.report.films import film
from glamor_gym.report.pictures import FRAME_MILLISECONDS, LAST_FRAME_MILLISECONDS


def square_moving(n_frames, height=80, width=104):
    frames = np.zeros((n_frames, height, width), np.uint8)
    for step, frame in enumerate(frames):
        frame[20:40, 10 + 8 * step : 30 + 8 * step] = 200
    return frames


def decoded(shown, tmp_path):
    """The frames of a video, gray."""
    head, data = shown.uri.split(",")
    assert head == "data:video/webm;base64"
    file = tmp_path / "film.webm"
    file.write_bytes(base64.b64decode(data))
    video = cv2.VideoCapture(str(file))
    frames = []
    while (read := video.read())[0]:
        frames.append(read[1][:, :, 0])
    return np.stack(frames)


def test_a_video_shows_every_frame_and_rests_at_the_end(tmp_path):
    pytest.importorskip("imageio_ffmpeg", reason="no encoder of videos")
    frames = square_moving(6)
    shown = film(frames)
    assert shown.is_video
    played = decoded(shown, tmp_path).astype(float)
    rest = LAST_FRAME_MILLISECONDS // FRAME_MILLISECONDS
    assert len(played) == 6 + rest
    # Video levels differ from full ones by some per cent, and edges blur a little.
    assert np.abs(played[:6] - frames).mean(axis=(1, 2)).max() < 8
    assert np.abs(played[6:] - frames[-1]).mean() < 8
    assert np.abs(played[0] - frames[-1]).mean() > 10


def test_small_worlds_are_enlarged_to_an_even_size(tmp_path):
    pytest.importorskip("imageio_ffmpeg", reason="no encoder of videos")
    room = np.zeros((3, 49), np.float32)
    room[np.arange(3), [0, 1, 2]] = 1.0
    played = decoded(film(room), tmp_path)
    assert played.shape[1:] == (84, 84)
    assert played[0, 6, 6] > 200 > 50 > played[0, 6, 18]


def test_without_an_encoder_a_film_is_a_picture_that_moves(monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    frames = square_moving(4)
    shown = film(frames)
    assert not shown.is_video
    head, data = shown.uri.split(",")
    assert head == "data:image/webp;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as movie:
        assert movie.n_frames == 4
