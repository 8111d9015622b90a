from __future__ import annotations

import base64
import io
import os
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from glamor_gym.report.films import film, write_film
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


def no_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)


def no_program(monkeypatch):
    package = pytest.importorskip("imageio_ffmpeg", reason="no encoder of videos")

    def get_ffmpeg_exe():
        raise RuntimeError("No ffmpeg exe could be found")

    monkeypatch.setattr(package, "get_ffmpeg_exe", get_ffmpeg_exe)


@pytest.mark.parametrize("take_away", [no_package, no_program])
def test_without_an_encoder_a_film_is_a_picture_that_moves(monkeypatch, take_away):
    take_away(monkeypatch)
    frames = square_moving(4)
    shown = film(frames)
    assert not shown.is_video
    head, data = shown.uri.split(",")
    assert head == "data:image/webp;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as movie:
        assert movie.n_frames == 4


# ---------------------------------------------------------------------------------- in files


def colours_changing(n_frames):
    """Frames of one colour each, with a white mark in the upper left corner."""
    frames = np.zeros((n_frames, 48, 64, 3), np.uint8)
    frames[:] = [[[[40 * step, 30, 200 - 40 * step]]] for step in range(n_frames)]
    frames[:, :8, :8] = 255
    return frames


def decoded_file(path):
    """The frames of a film in a file, RGB, and its frames a second."""
    video = cv2.VideoCapture(str(path))
    frames = []
    while (read := video.read())[0]:
        frames.append(read[1][:, :, ::-1])
    return np.stack(frames).astype(float), video.get(cv2.CAP_PROP_FPS)


@pytest.mark.parametrize("ending", [".mp4", ".webm", ".gif", ".MP4"])
def test_a_film_in_a_file_keeps_frames_colours_and_pace(tmp_path, ending):
    frames = colours_changing(5)
    path = tmp_path / "new" / f"film{ending}"
    write_film(iter(frames), path, fps=5)
    played, fps = decoded_file(path)
    assert played.shape == frames.shape
    assert fps == pytest.approx(5)
    assert np.abs(played - frames)[:, 16:, 16:].mean() < 6
    assert played[:, 2:5, 2:5].min() > 230
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_film_that_breaks_off_leaves_what_was_there(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(b"precious")

    def breaking():
        yield from colours_changing(3)
        raise RuntimeError("the world fell down")

    with pytest.raises(RuntimeError, match="fell down"):
        write_film(breaking(), path, fps=5)
    with pytest.raises(ValueError, match="frames must hold at least one"):
        write_film([], path, fps=5)
    with pytest.raises(ValueError, match=r"of one size, got \(48, 64, 3\) and \(46, 64, 3\)"):
        write_film([*colours_changing(1), colours_changing(1)[0, 2:]], path, fps=5)
    assert path.read_bytes() == b"precious"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("name", "fps", "error", "told"),
    [
        ("film.avi", 5, ValueError, r"film.avi must be one of '.mp4', '.webm', '.gif', got '.avi'"),
        ("film.mp4", 0, ValueError, "fps must be an integer from 1 to 100, got 0"),
        ("film.mp4", 2.5, TypeError, "fps must be an integer"),
        (3, 5, TypeError, "path must be a path"),
    ],
)
def test_what_is_no_film_is_refused(tmp_path, monkeypatch, name, fps, error, told):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=told):
        write_film(colours_changing(1), name, fps=fps)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("take_away", [no_package, no_program])
def test_a_film_in_a_file_needs_an_encoder(tmp_path, monkeypatch, take_away):
    take_away(monkeypatch)
    with pytest.raises(OSError, match="needs imageio-ffmpeg"):
        write_film(colours_changing(1), tmp_path / "film.mp4", fps=5)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")
@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("echo half > $last; cat > /dev/null; echo no space >&2; exit 3", 3),
        ("echo no space >&2", 0),
    ],
    ids=["at the end", "before it has read all"],
)
def test_an_encoder_that_fails_leaves_what_was_there(tmp_path, monkeypatch, script, code):
    package = pytest.importorskip("imageio_ffmpeg", reason="no encoder of videos")
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\nfor last; do :; done\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(package, "get_ffmpeg_exe", lambda: str(program))
    path = tmp_path / "films" / "film.mp4"
    path.parent.mkdir()
    path.write_bytes(b"precious")
    with pytest.raises(OSError, match=f"FFmpeg failed with exit code {code}: no space") as failed:
        write_film([*colours_changing(5)] * 50, path, fps=5)  # more than a pipe holds
    # That would mean that standard output was closed.
    assert not isinstance(failed.value, BrokenPipeError)
    assert path.read_bytes() == b"precious"
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert not film(square_moving(4)).is_video
