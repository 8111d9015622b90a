import numpy as np

from glamor_gym.wrappers.display import side_by_side, to_picture


def test_a_gray_frame_becomes_a_colour_picture():
    frame = np.array([[[0, 5], [6, 7]]], np.uint8)
    picture = to_picture(frame)
    assert picture.shape == (2, 2, 3)
    assert (picture == frame[0][:, :, None]).all()


def test_a_colour_frame_keeps_its_colours():
    frame = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    assert to_picture(frame)[1, 0].tolist() == frame[:, 1, 0].tolist()


def test_a_vector_becomes_a_row_of_cells():
    picture = to_picture(np.array([0.0, 0.5, 1.0], np.float32))
    assert picture[0, :, 0].tolist() == [0, 128, 255]


def test_values_out_of_range_are_black_and_white():
    picture = to_picture(np.array([-3.0, 0.2, 1.004, np.inf], np.float32))
    assert picture[0, :, 0].tolist() == [0, 51, 255, 255]


def test_frames_of_other_channels_are_shown_by_their_mean():
    frame = np.stack([np.full((2, 3), 10, np.uint8), np.full((2, 3), 21, np.uint8)])
    assert to_picture(frame).tolist() == np.full((2, 3, 3), 15).tolist()


def test_pictures_stand_side_by_side_enlarged_by_a_whole_factor():
    left = np.zeros((80, 104, 3), np.uint8)
    right = np.full((80, 104, 3), 100, np.uint8)
    right[0, 0] = 7
    both = side_by_side(left, right)
    assert both.shape == (320, 416 + 8 + 416, 3)
    assert (both[:, :416] == 0).all()
    assert (both[:, 416:424] == 255).all()
    assert (both[:4, 424:428] == 7).all()
    assert (both[4:, 424:] == 100).all()


def test_sides_are_even_as_videos_need_them():
    both = side_by_side(np.zeros((333, 37, 3), np.uint8), np.zeros((333, 37, 3), np.uint8))
    assert both.shape == (334, 37 + 8 + 37, 3)
    assert (both[333] == 255).all()
    assert (both[:333, -37:] == 0).all()


def test_the_right_one_is_given_the_size_of_the_left():
    left = np.zeros((210, 160, 3), np.uint8)
    right = np.zeros((80, 104, 3), np.uint8)
    right[:, 52:] = 90
    both = side_by_side(left, right)
    assert both.shape == (420, 320 + 8 + 320, 3)
    assert (both[:, 328:488] == 0).all()
    assert (both[:, 488:] == 90).all()
