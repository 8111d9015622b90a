import cv2
import gymnasium as gym
import numpy as np
import pytest

from glamor_gym.wrappers import ScreenToFrame, StackFrames


class Screens(gym.Env):
    """Shows the screens it is given, one after the other."""

    def __init__(self, *screens):
        self.screens = screens
        self.moment = 0
        self.observation_space = gym.spaces.Box(0, 255, screens[0].shape, screens[0].dtype)
        self.action_space = gym.spaces.Discrete(1)

    def reset(self, *, seed=None, options=None):
        self.moment = 0
        return self.screens[0], {}

    def step(self, action):
        self.moment += 1
        return self.screens[self.moment], 0.0, False, False, {}

    def goal_screen(self, content):
        return content


def test_a_gray_screen_is_averaged_over_areas():
    screen = np.array([[0, 10, 100, 100], [20, 30, 100, 104]], np.uint8)
    env = ScreenToFrame(Screens(screen), (1, 2))
    frame, _ = env.reset()
    # Each pixel of the frame is the mean of a square of four.
    assert frame.tolist() == [[[15, 101]]]
    assert frame in env.observation_space


def test_colours_become_gray_by_the_usual_weights():
    screen = np.zeros((1, 3, 3), np.uint8)
    screen[0] = np.diag([255, 255, 255])
    frame, _ = ScreenToFrame(Screens(screen), (1, 3)).reset()
    assert frame.tolist() == [[[76, 150, 29]]]  # 0.299, 0.587, 0.114 of 255


def test_the_default_is_the_papers_size():
    rng = np.random.default_rng(0)
    screen = rng.integers(0, 256, (210, 160), np.uint8)
    frame, _ = ScreenToFrame(Screens(screen)).reset()
    assert frame.shape == (1, 80, 104)
    assert np.array_equal(frame[0], cv2.resize(screen, (104, 80), interpolation=cv2.INTER_AREA))


def test_a_screen_of_the_right_size_is_copied():
    screen = np.arange(12, dtype=np.uint8).reshape(3, 4)
    frame, _ = ScreenToFrame(Screens(screen), (3, 4)).reset()
    frame += 1
    assert screen[0, 0] == 0


@pytest.mark.parametrize("size", [(20, 30), (5, 7)])
def test_a_gray_screen_may_have_an_axis_for_its_channel(size):
    screen = np.random.default_rng(1).integers(0, 256, (20, 30), np.uint8)
    frame, _ = ScreenToFrame(Screens(screen[:, :, None]), size).reset()
    assert np.array_equal(frame, ScreenToFrame(Screens(screen), size).reset()[0])


def test_goal_screens_get_the_look_of_the_observations():
    screen = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
    env = ScreenToFrame(Screens(screen), (5, 7))
    assert np.array_equal(env.goal_screen(screen), env.reset()[0])


@pytest.mark.parametrize(
    "screen",
    [np.zeros((4, 4), np.float32), np.zeros((4, 4, 2), np.uint8), np.zeros(4, np.uint8)],
)
def test_other_observations_are_refused(screen):
    with pytest.raises(ValueError, match="env must show screens"):
        ScreenToFrame(Screens(screen))


@pytest.mark.parametrize("frame_size", [(0, 4), (4,), 4, (4, 4.0), (4, -1), None])
def test_a_size_that_is_no_size_is_refused(frame_size):
    with pytest.raises(ValueError, match="frame_size must be"):
        ScreenToFrame(Screens(np.zeros((4, 4), np.uint8)), frame_size)


def frames(*values):
    return [np.full((1, 2, 3), value, np.uint8) for value in values]


def test_a_stack_is_oldest_first_with_zeros_before_the_first():
    env = StackFrames(Screens(*frames(1, 2, 3, 4, 5)), 3)
    stacks = [env.reset()[0], *(env.step(0)[0] for _ in range(4))]
    assert [stack[:, 0, 0].tolist() for stack in stacks] == [
        [0, 0, 1],
        [0, 1, 2],
        [1, 2, 3],
        [2, 3, 4],
        [3, 4, 5],
    ]
    assert env.observation_space.shape == (3, 2, 3)
    assert env.reset()[0][:, 0, 0].tolist() == [0, 0, 1]


def test_what_a_user_does_to_a_stack_does_not_come_back():
    env = StackFrames(Screens(*frames(1, 2)), 2)
    stack, _ = env.reset()
    stack[:] = 77
    assert env.step(0)[0][:, 0, 0].tolist() == [1, 2]


def test_a_snapshot_keeps_the_stack_of_its_moment():
    world = Screens(*frames(1, 2, 3))
    world.snapshot, world.snapshot_is_whole = {}, True
    env = StackFrames(world, 2)
    env.reset()
    snapshot = env.snapshot
    env.step(0)
    env.snapshot = snapshot
    assert env.step(0)[0][:, 0, 0].tolist() == [1, 3]


def test_colour_frames_are_stacked_by_frame():
    first, second = (np.concatenate([frame] * 3) for frame in frames(1, 2))
    env = StackFrames(Screens(first, second), 2)
    env.reset()
    assert env.step(0)[0][:, 0, 0].tolist() == [1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize(("n", "error"), [(0, ValueError), (1.5, TypeError)])
def test_a_stack_of_no_frames_is_refused(n, error):
    with pytest.raises(error, match="n must be an integer from 1 to 1000"):
        StackFrames(Screens(*frames(1)), n)


def test_only_frames_can_be_stacked():
    with pytest.raises(ValueError, match="env must show frames"):
        StackFrames(Screens(np.zeros((2, 3), np.uint8)))


@pytest.mark.parametrize(
    ("shown", "error", "message"),
    [
        (np.full((1, 2, 3), 0.7), TypeError, "dtype uint8, got dtype float64"),
        (np.full((1, 2, 3), 300), TypeError, "dtype uint8, got dtype int64"),
        (np.zeros((2, 3), np.uint8), ValueError, r"shape \(1, 2, 3\).*got shape \(2, 3\)"),
    ],
)
def test_a_frame_outside_the_worlds_own_space_is_refused(shown, error, message):
    world = Screens(*frames(1))
    told = world.observation_space
    env = StackFrames(gym.wrappers.TransformObservation(world, lambda _: shown, told), 2)
    with pytest.raises(error, match=rf"the world's observation must .*{message}"):
        env.reset()
