from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image, ImageSequence

from glamor_gym.report import contact_sheet, write_pictures
from glamor_gym.report.pictures import (
    FRAME_MILLISECONDS,
    LAST_FRAME_MILLISECONDS,
    MISSED,
    REACHED,
    animation,
    as_gray,
    picture,
    save_picture,
)
from glamor_gym.types import EpisodeFrames

RNG = np.random.default_rng(0)
FRAMES = RNG.integers(0, 256, (5, 80, 104), dtype=np.uint8)


def opened(uri, media_type):
    head, data = uri.split(",")
    assert head == f"data:{media_type};base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def episode(success, goal_index=0, frames=FRAMES):
    return EpisodeFrames(goal_index=goal_index, goal=frames[0], frames=frames, success=success)


def test_a_picture_is_lossless():
    np.testing.assert_array_equal(np.asarray(opened(picture(FRAMES[0]), "image/png")), FRAMES[0])


def test_a_film_has_every_frame_unchanged_and_stays_at_the_end():
    movie = Image.open(io.BytesIO(animation(FRAMES)))
    shown = [frame.convert("L") for frame in ImageSequence.Iterator(movie)]
    np.testing.assert_array_equal(np.stack(shown), FRAMES)
    durations = []
    for index in range(movie.n_frames):
        movie.seek(index)
        movie.load()
        durations.append(movie.info["duration"])
    assert durations == [FRAME_MILLISECONDS] * 4 + [LAST_FRAME_MILLISECONDS]
    assert movie.info["loop"] == 0


def test_a_film_may_be_of_one_frame():
    assert Image.open(io.BytesIO(animation(FRAMES[:1]))).size == (104, 80)


@pytest.mark.parametrize(("size", "shape"), [(49, (7, 7)), (6, (1, 6))])
def test_vectors_are_shown_as_cells(size, shape):
    vector = np.zeros(size, np.float32)
    vector[size - 2] = 1.0
    gray = as_gray(vector)
    assert gray.shape == shape
    assert gray.dtype == np.uint8
    assert gray.ravel().tolist() == [0] * (size - 2) + [255, 0]


def test_many_entries_of_a_vector_fill_a_square_as_far_as_they_go(tmp_path):
    vectors = np.linspace(-1, 2, 3 * 60, dtype=np.float32).reshape(3, 60)
    gray = as_gray(vectors[2])
    assert gray.shape == (8, 8)
    assert gray.ravel().tolist() == [255] * 60 + [0] * 4  # white, as all above 1
    files = write_pictures([episode(True, 4, vectors)], tmp_path)
    with Image.open(files[1]) as film:
        assert (film.n_frames, film.height) == (3, 8 * 20 + 2 * 3 + 2 * 4)


def test_two_episodes_of_one_goal_have_films_of_their_own(tmp_path):
    files = write_pictures([episode(True, 3), episode(False, 3), episode(True, 4)], tmp_path)
    names = ["goals.png", "goal-3.webp", "goal-3-2.webp", "goal-4.webp"]
    assert [file.name for file in files] == names
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(names)


def test_the_sheet_shows_goal_and_end_of_every_episode():
    episodes = [episode(index % 2 == 0, index) for index in range(7)]
    sheet = contact_sheet(episodes, columns=3)
    height, width = sheet.shape[0] // 3, sheet.shape[1] // 3
    assert sheet.dtype == np.uint8
    for index in range(9):
        row, column = divmod(index, 3)
        cell = sheet[row * height : (row + 1) * height, column * width : (column + 1) * width]
        if index >= 7:
            assert (cell == 255).all()
            continue
        colour = REACHED if index % 2 == 0 else MISSED
        edge = cell[5, 5]
        assert tuple(edge) == colour
        inside = cell[7:-7, 7:-7, 0]
        np.testing.assert_array_equal(inside[::2, : 2 * 104 : 2], FRAMES[0])
        np.testing.assert_array_equal(inside[::2, -2 * 104 :: 2], FRAMES[-1])


def test_files_are_a_sheet_and_a_film_of_each_episode(tmp_path):
    files = write_pictures([episode(True, 3), episode(False, 12)], tmp_path / "new")
    assert [file.name for file in files] == ["goals.png", "goal-3.webp", "goal-12.webp"]
    with Image.open(files[1]) as movie:
        assert movie.n_frames == 5


@pytest.mark.parametrize("suffix", [".png", ".webp", ".PNG"])
def test_a_picture_in_a_file_is_lossless_and_its_folders_are_made(tmp_path, suffix):
    path = tmp_path / "new" / f"frame{suffix}"
    save_picture(FRAMES[0], path)
    np.testing.assert_array_equal(np.asarray(Image.open(path).convert("L")), FRAMES[0])


@pytest.mark.parametrize("name", ["frame.xyz", "frame", "frame.jpg"])
def test_other_formats_are_refused_by_name(tmp_path, name):
    with pytest.raises(ValueError, match=r"must be one of '\.png', '\.webp'"):
        save_picture(FRAMES[0], tmp_path / "new" / name)
    assert list(tmp_path.iterdir()) == []
