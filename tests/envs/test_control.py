import dataclasses
import gc
import hashlib
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from gymnasium.error import ClosedEnvironmentError, ResetNeeded

from glamor_gym.envs.control import ControlWorld
from glamor_gym.envs.rendering import RenderingError
from glamor_gym.tasks import TASKS
from glamor_gym.types import World

CONTROL = [task for task in TASKS.values() if task.suite == "control"]
PENDULUM = TASKS["pendulum-swingup"]
REACHER = TASKS["reacher-hard"]
each_task = pytest.mark.parametrize("task", CONTROL, ids=lambda task: task.name)


@pytest.fixture
def make():
    made = []

    def make_one(task=PENDULUM, **options):
        made.append(ControlWorld(task, **({"render_profile": "fast"} | options)))
        return made[-1]

    yield make_one
    for world in made:
        world.close()


def random_actions(world, count, seed=0):
    rng = np.random.default_rng(seed)
    low, high = world.action_space.low, world.action_space.high
    return low + (high - low) * rng.random((count, *low.shape))


def whole_state(world):
    """Everything that the simulation goes on from, and all that is derived from it."""
    data = world._physics.data.ptr
    parts = world._physics.get_state(mujoco.mjtState.mjSTATE_INTEGRATION), data.xpos, data.qacc
    return np.concatenate([np.ravel(part) for part in (*parts, data.sensordata, data.qfrc_bias)])


@each_task
def test_a_step_shows_a_screen_and_the_labels_of_the_table(make, task):
    world = make(task)
    assert isinstance(world, World)
    assert world.observation_space.shape == (80, 104)
    for screen, info in (world.reset(seed=0), world.step(random_actions(world, 1)[0])[::4]):
        assert world.observation_space.contains(screen)
        assert screen.std() > 3
        assert list(info["labels"]) == list(task.labels)
        assert all(type(value) is float for value in info["labels"].values())


def joint_angles(physics, *names):
    return [physics.named.data.qpos[name][0] for name in names]


def sin_cos(*angles):
    return [part for angle in angles for part in (np.sin(angle), np.cos(angle))]


def pose(physics, body):
    position = physics.named.data.xpos[body, ["x", "z"]]
    return [*position, *physics.named.data.xquat[body, ["qw", "qy"]]]


WHAT_LABELS_ARE = {
    "ball_in_cup-catch": lambda p: joint_angles(p, "cup_x", "cup_z", "ball_x", "ball_z"),
    "cartpole-balance": lambda p: [
        *joint_angles(p, "slider"),
        *sin_cos(*joint_angles(p, "hinge_1"))[::-1],
    ],
    "finger-spin": lambda p: [
        *joint_angles(p, "proximal", "distal"),
        *(p.named.data.site_xpos["tip"] - p.named.data.xpos["spinner"])[[0, 2]],
    ],
    "manipulator-bring_ball": lambda p: [
        *sin_cos(
            *joint_angles(
                p,
                *("arm_root", "arm_shoulder", "arm_elbow", "arm_wrist"),
                *("finger", "fingertip", "thumb", "thumbtip"),
            )
        ),
        *pose(p, "hand"),
        *pose(p, "ball"),
    ],
    "pendulum-swingup": lambda p: sin_cos(*joint_angles(p, "hinge"))[::-1],
    "point_mass-easy": lambda p: p.named.data.geom_xpos["pointmass"][:2],
    "reacher-hard": lambda p: joint_angles(p, "shoulder", "wrist"),
}


@each_task
def test_labels_are_what_their_names_say(make, task):
    world = make(task, render_profile=None)
    world.reset(seed=1)
    for action in random_actions(world, 20):
        *_, info = world.step(action)
        expected = WHAT_LABELS_ARE[task.name](world._physics)
        np.testing.assert_allclose(list(info["labels"].values()), expected, atol=1e-6)


@each_task
def test_a_goal_of_the_present_looks_like_the_present(make, task):
    world = make(task)
    screen, _ = world.reset(seed=2)
    for action in random_actions(world, 8):
        np.testing.assert_array_equal(world.goal_screen(world.goal_content()), screen)
        screen, *_ = world.step(action)


@each_task
def test_showing_goals_leaves_no_trace(make, task):
    """Equal to the last bit: pictures, labels, state, and what is derived from the state."""
    plain, showing = make(task), make(task)
    for world in (plain, showing):
        world.reset(seed=3)
    goal = showing.goal_content()
    for action in random_actions(plain, 25):
        np.testing.assert_array_equal(whole_state(plain), whole_state(showing))
        showing.goal_screen(goal)
        np.testing.assert_array_equal(whole_state(plain), whole_state(showing))
        (screen, _, _, _, info), (other_screen, _, _, _, other_info) = (
            world.step(action) for world in (plain, showing)
        )
        np.testing.assert_array_equal(screen, other_screen)
        assert info == other_info


@each_task
def test_a_seed_settles_the_episodes_that_follow_it(make, task):
    def run(world):
        seen = []
        for seed in (5, None, None):
            screen, info = world.reset(seed=seed)
            seen.append((screen.copy(), info["labels"]))
            for action in random_actions(world, 5):
                screen, _, _, _, info = world.step(action)
                seen.append((screen, info["labels"]))
        return seen

    used = make(task)
    used.reset(seed=1)
    used.step(random_actions(used, 1)[0])
    for (screen, labels), (other_screen, other_labels) in zip(
        run(used), run(make(task)), strict=True
    ):
        np.testing.assert_array_equal(screen, other_screen)
        assert labels == other_labels


def test_other_seeds_give_other_episodes_and_large_ones_are_allowed(make):
    world = make()
    seen = {world.reset(seed=seed)[1]["labels"]["cos"] for seed in (0, 1, 2**40)}
    assert len(seen) == 3


def test_a_seed_gives_the_same_in_another_process(make):
    code = (
        "from glamor_gym.envs import make_world\n"
        "import hashlib\n"
        "world = make_world('reacher-hard', render_profile='fast')\n"
        "screen, info = world.reset(seed=11)\n"
        "screen = world.step(world.action_space.high)[0]\n"
        "print(hashlib.sha256(screen).hexdigest(), info['labels']['wrist'])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    world = make(REACHER)
    _, info = world.reset(seed=11)
    screen, *_ = world.step(world.action_space.high)
    assert run == [hashlib.sha256(screen).hexdigest(), str(info["labels"]["wrist"])]


@pytest.mark.parametrize("task", [REACHER, TASKS["manipulator-bring_ball"]], ids=lambda t: t.name)
def test_goals_show_the_target_of_the_running_episode(make, task):
    """Where a state differs from the goal in its target alone, the goal looks as the state."""
    world = make(task)
    world.reset(seed=6)
    goal = world.goal_content()
    before = world.goal_screen(goal)
    world.reset(seed=7)
    after = world.goal_screen(goal)
    changed = np.argwhere(before != after)
    assert len(changed) > 0
    # The target is small; the arm has not moved.
    assert (before != after).mean() < 0.05


def test_an_action_lasts_for_the_frame_skip(make):
    task = TASKS["cartpole-balance"]  # which pays something at every step
    assert task.frame_skip == 1
    slow, fine = make(dataclasses.replace(task, frame_skip=4)), make(task)
    for world in (slow, fine):
        world.reset(seed=8)
    for action in random_actions(slow, 5):
        screen, reward, _, _, info = slow.step(action)
        steps = [fine.step(action) for _ in range(4)]
        np.testing.assert_array_equal(screen, steps[-1][0])
        assert info == steps[-1][4]
        assert 2 < reward == pytest.approx(sum(step[1] for step in steps))


def test_no_time_limit_ends_an_episode(make):
    world = make(render_profile=None)
    world.reset(seed=0)
    action = np.zeros(1)
    assert not any(any(world.step(action)[2:4]) for _ in range(1100))


def test_the_screen_has_the_size_asked_for_even_beyond_the_models_buffer(make):
    assert make(frame_size=(33, 47)).reset(seed=0)[0].shape == (33, 47)
    assert make(frame_size=(500, 700)).reset(seed=0)[0].shape == (500, 700)


def test_looks_differ_and_without_one_screens_are_black(make):
    screens = {look: make(render_profile=look).reset(seed=0)[0] for look in ("paper", "fast", None)}
    assert (screens["paper"] != screens["fast"]).any()
    assert (screens[None] == 0).all()


def test_the_look_of_the_paper_is_dm_controls_own(make):
    world = make(REACHER, render_profile="paper", render_mode="rgb_array")
    world.reset(seed=9)
    np.testing.assert_array_equal(
        world.render(), world._physics.render(height=80, width=104, camera_id=0)
    )


def test_gray_is_the_luma_of_the_picture(make):
    world = make(REACHER, render_mode="rgb_array")
    screen, _ = world.reset(seed=9)
    luma = world.render() @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(screen, luma, atol=1)
    assert make().render() is None


def test_frames_and_contents_are_fresh_arrays(make):
    world = make()
    screen, _ = world.reset(seed=0)
    content = world.goal_content()
    kept = screen.copy(), content.copy()
    for action in random_actions(world, 3):
        world.step(action)
    np.testing.assert_array_equal(screen, kept[0])
    np.testing.assert_array_equal(content, kept[1])


def test_the_render_rate_is_steps_a_second_and_leaves_shimmy_alone(make):
    from shimmy import DmControlCompatibilityV0

    assert make().metadata["render_fps"] == 50
    assert make(TASKS["cartpole-balance"]).metadata["render_fps"] == 100
    assert make(TASKS["point_mass-easy"]).metadata["render_fps"] == 12  # 50 control steps, by four
    assert ControlWorld.metadata == gym.Env.metadata
    assert DmControlCompatibilityV0.metadata is not make().metadata


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"render_mode": "human"}, "render_mode"),
        ({"task": dataclasses.replace(PENDULUM, source="pendulum/dance")}, "source"),
        ({"task": dataclasses.replace(PENDULUM, labels={"x": ("colour", 0)})}, "colour"),
        ({"task": dataclasses.replace(PENDULUM, labels={"x": ("orientation", 2)})}, "got 2"),
    ],
)
def test_bad_arguments_are_named(make, options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


@pytest.mark.parametrize(
    "action", [np.array([2.0]), np.zeros(2), np.array([np.nan]), np.zeros((1, 1))]
)
def test_bad_actions_are_refused(make, action):
    world = make()
    world.reset(seed=0)
    with pytest.raises(ValueError, match="action must be in"):
        world.step(action)


def test_a_step_before_the_first_reset_is_refused(make):
    with pytest.raises(ResetNeeded):
        make().step(np.zeros(1))


@pytest.mark.parametrize(
    "content",
    [[0, 0], np.zeros(3), np.zeros(2, np.float32), np.array([0, np.nan]), np.array([np.inf, 0])],
)
def test_goals_that_are_no_state_of_the_task_are_refused(make, content):
    world = make()
    world.reset(seed=0)
    with pytest.raises(ValueError, match="content must be a finite float64 array"):
        world.goal_screen(content)


def test_labels_and_states_need_no_opengl_at_all():
    code = (
        "from glamor_gym.envs import make_world\n"
        "world = make_world('pendulum-swingup', render_profile=None)\n"
        "print(world.reset(seed=0)[0].max(), world.unwrapped.goal_content().shape)\n"
        "make_world('pendulum-swingup').reset(seed=0)"
    )
    environment = os.environ | {"MUJOCO_GL": "off"}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert run.stdout == "0 (2,)\n"
    assert "RenderingError: OpenGL does not work with MUJOCO_GL='off'" in run.stderr


def test_closing_twice_is_allowed(make):
    world = make()
    world.reset(seed=0)
    world.close()
    world.close()


def test_a_context_that_cannot_be_made_is_a_rendering_error(make, monkeypatch):
    from dm_control.mujoco import Physics

    def fail(self):
        raise RuntimeError("no display")

    monkeypatch.setattr(Physics, "_make_rendering_contexts", fail)
    with pytest.raises(RenderingError, match="no display"):
        make().reset(seed=0)


def test_worlds_are_drawn_in_forked_processes_after_the_parent_has_drawn(make):
    parent = make()
    screen, _ = parent.reset(seed=4)
    workers = gym.vector.AsyncVectorEnv(
        [lambda: ControlWorld(PENDULUM, render_profile="fast")] * 2, context="fork"
    )
    try:
        workers.reset_async(seed=[4, 5])
        screens, _ = workers.reset_wait(timeout=60)
        np.testing.assert_array_equal(screens[0], screen)
    finally:
        workers.close(terminate=True)


def resident():
    """Return the memory of this process in MiB."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


needs_proc = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")


@needs_proc
def test_memory_stays_flat_over_resets(make):
    world = make()
    world.reset(seed=0)
    world.goal_screen(world.goal_content())
    before = resident()
    for _ in range(200):
        world.reset()
        world.goal_screen(world.goal_content())
    assert resident() - before < 10


@needs_proc
def test_a_closed_world_gives_its_memory_back():
    def use_one():
        world = ControlWorld(PENDULUM, render_profile="fast")
        world.reset()
        world.goal_screen(world.goal_content())
        world.close()

    for _ in range(3):
        use_one()
    before = resident()
    for _ in range(6):
        use_one()
    # An OpenGL context takes about 50 MiB; where the allocator keeps one it is none of six.
    assert resident() - before < 100


@pytest.mark.slow
@each_task
def test_the_fast_look_gives_four_times_the_frames(make, task):
    def frames_per_second(world, seconds=1.0):
        world.reset(seed=0)
        actions = random_actions(world, 100)
        world.step(actions[0])
        start, frames = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            world.step(actions[frames % 100])
            frames += 1
        return frames / (time.perf_counter() - start)

    paper = frames_per_second(make(task, render_profile="paper"))
    assert frames_per_second(make(task)) > 4 * paper


def test_once_closed_it_says_so(make):
    world = make()
    world.reset(seed=0)
    content, snapshot = world.goal_content(), world.snapshot
    world.close()
    calls = [
        world.reset,
        lambda: world.step(world.action_space.sample()),
        world.goal_content,
        lambda: world.goal_screen(content),
        lambda: world.snapshot,
        lambda: setattr(world, "snapshot", snapshot),
    ]
    for call in calls:
        with pytest.raises(ClosedEnvironmentError, match="is closed"):
            call()
