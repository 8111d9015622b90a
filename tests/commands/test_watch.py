"""``glamor-gym watch`` as a person uses it: words in; a film, a table and an exit code out."""

from __future__ import annotations

import dataclasses
import webbrowser

import cv2
import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

from glamor_gym.agents import DiscernAgent, GCSLAgent, GlamorAgent
from glamor_gym.commands.options import OfSavedAgent
from glamor_gym.commands.saved_agent import find_agent
from glamor_gym.commands.watch import choose_episodes
from glamor_gym.evaluation import RunConfig, RunFolder
from glamor_gym.evaluation.rollout import EpisodeKey, episode_seed
from glamor_gym.report.pictures import MISSED, REACHED
from tests.command_line import run

TINY = {"buffer_size": 60, "device": "cpu", "seed": 0, "policy_kwargs": {"embedding_size": 8}}
ROOM, DICE, PONG = (f"glamor/{name}-v0" for name in ("GridWorld", "Dice", "Pong"))
CONFIG = RunConfig(
    task=ROOM,
    agent="GlamorAgent",
    preset="small",
    settings={},
    policy_kwargs={},
    env_kwargs={"horizon": 10},
    seed=0,
    n_envs=1,
    steps=1,
    eval_every=1,
    episodes_per_goal=1,
    commands=[],
    versions={},
    hardware="",
)


def rows(out):
    """The table's rows: goal, steps, actions of the first plan, its log score, reached or not."""
    lines = [line.split("│")[1:-1] for line in out.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line] for line in lines]


def decoded(path):
    video = cv2.VideoCapture(str(path))
    frames = []
    while (read := video.read())[0]:
        frames.append(read[1][:, :, ::-1].astype(int))
    return frames


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder of untrained agents."""
    folder = tmp_path_factory.mktemp("agents")
    for kind in (GlamorAgent, GCSLAgent, DiscernAgent):
        kind(ROOM, **TINY).save(folder / kind.__name__)
    GlamorAgent(DICE, **TINY).save(folder / "dice")
    GlamorAgent(PONG, **TINY, n_trials=3).save(folder / "pong")
    nameless = GlamorAgent(gym.make(ROOM).unwrapped, **TINY)
    nameless.task_id = None
    nameless.save(folder / "nameless")
    return folder


def test_the_film_and_the_table_are_of_the_goals_named(saved, capsys, tmp_path):
    file, path = saved / "GlamorAgent.safetensors", tmp_path / "films" / "room.mp4"
    code, out, err = run(capsys, "watch", file, "--goal", 3, 19, "--out", path, "--fps", 4)
    assert (code, err) == (0, "")
    assert f"video: {path}" in out

    agent, env = GlamorAgent.load(file), gym.make(ROOM, goals="eval")
    told, n_frames = rows(out), 0
    for goal, (number, steps, actions, log_score, reached) in zip((3, 19), told, strict=True):
        seed = episode_seed(0, EpisodeKey(goal, 0))
        observation, _ = env.reset(seed=seed, options={"goal": goal})
        plan = agent.plan(observation, deterministic=True)
        assert (number, actions) == (str(goal), str(int(plan.length[0]) - 1))
        assert float(log_score) == pytest.approx(float(plan.log_score[0]), abs=0.006)
        assert reached in ("yes", "no")
        stopped = int(steps) < 10  # nothing else ends an episode early here
        n_frames += int(steps) + stopped + 2
    frames = decoded(path)
    assert len(frames) == n_frames
    assert {frame.shape for frame in frames} == {(466, 1032, 3)}


def test_the_end_of_an_episode_has_the_colour_of_its_verdict(saved, capsys, tmp_path):
    words = ("watch", saved / "dice.safetensors", "--goals", "all", "--out", tmp_path)
    code, out, _ = run(capsys, *words)
    assert code == 0
    told = rows(out)
    assert [row[:3] for row in told] == [[str(face), "1", "1"] for face in range(6)]
    frames = decoded(tmp_path / "watch.mp4")
    assert len(frames) == 6 * (1 + 5)
    edges = [frame[60:300, 17:19].mean(axis=(0, 1)) for frame in frames]
    for episode, row in enumerate(told):
        before, *rest = edges[6 * episode : 6 * episode + 6]
        assert before.min() > 200
        for edge in rest:
            assert np.abs(edge - (REACHED if row[-1] == "yes" else MISSED)).max() < 40


def test_games_are_shown_in_colour_beside_what_the_agent_sees(saved, capsys, tmp_path):
    path = tmp_path / "pong.webm"
    words = ("--episodes", 1, "--env", "horizon=3", "--out", path)
    code, out, _ = run(capsys, "watch", saved / "pong.safetensors", *words)
    assert code == 0
    assert [row[:2] for row in rows(out)] == [["0", "3"]]
    frames = decoded(path)
    assert len(frames) == 3 + 5
    assert frames[0].shape == (466, 1320, 3)
    for left, coloured in ((20, True), (452, False), (884, False)):
        panel = frames[0][38:358, left : left + 416]
        assert (np.ptp(panel, axis=2).mean() > 50) == coloured


@pytest.fixture
def screenshot(tmp_path):
    """A picture of Pong in colour, as one would take it, and how an agent would see it."""
    shown = np.random.default_rng(0).integers(0, 256, (210, 160, 3), np.uint8)
    path = tmp_path / "screenshot.png"
    Image.fromarray(shown).save(path)
    gray = cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY)
    return path, cv2.resize(gray, (104, 80), interpolation=cv2.INTER_AREA)


def test_a_picture_of_ones_own_is_a_goal(saved, screenshot, capsys, tmp_path, monkeypatch):
    file, seen = screenshot
    filmed = []
    monkeypatch.setattr(
        "glamor_gym.commands.watch.frames_of",
        lambda scenes, **facts: filmed.append((scenes, facts)) or iter(()),
    )
    monkeypatch.setattr(
        "glamor_gym.commands.watch.write_film", lambda frames, *_, **__: list(frames)
    )
    words = ("--picture", file, "--env", "horizon=2", "--episodes", 2, "--out", tmp_path)
    code, out, err = run(capsys, "watch", saved / "pong.safetensors", *words)
    assert (code, err) == (0, "")
    assert [(row[0], row[-1]) for row in rows(out)] == [("0", "–")] * 2
    assert [facts["success"] for _, facts in filmed] == [None, None]
    for scenes, _ in filmed:
        for scene in scenes:
            np.testing.assert_array_equal(scene.pictures.goal[..., 0], seen)


def test_pictures_that_cannot_be_goals_are_refused(saved, screenshot, capsys, tmp_path):
    pong, (picture, _) = saved / "pong.safetensors", screenshot
    text = tmp_path / "notes.png"
    text.write_text("no picture")
    for words, told in (
        ((pong, "--picture", tmp_path / "gone.png"), "gone.png cannot be read: "),
        ((pong, "--picture", text), "notes.png cannot be read: cannot identify image file"),
        ((pong, "--picture", picture, "--goal", 3), "takes the place of --goals and --goal"),
        ((pong, "--picture", picture, "--goals", "train"), "takes the place of --goals and --go"),
        ((saved / "dice", "--picture", picture), "needs goals that are pictures, but here"),
    ):
        code, _, err = run(capsys, "watch", *words, "--out", tmp_path / "film.mp4")
        assert code == 2
        assert told in err
    assert not (tmp_path / "film.mp4").exists()


@pytest.mark.parametrize("kind", ["GCSLAgent", "DiscernAgent"])
def test_agents_that_do_not_plan_are_filmed_too(kind, saved, capsys, tmp_path):
    words = ("--goal", 5, "--out", tmp_path / "film.gif")
    code, out, _ = run(capsys, "watch", saved / f"{kind}.safetensors", *words)
    assert code == 0
    assert rows(out)[0][:4] == ["5", "10", "", ""]
    assert len(decoded(tmp_path / "film.gif")) == 10 + 5


def test_a_run_tells_its_task_and_its_environment(saved, capsys, tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.write_config(dataclasses.replace(CONFIG, env_kwargs={"horizon": 2}))
    folder.save_agent(GlamorAgent.load(saved / "nameless"))
    for path in (folder.path, folder.checkpoint_folder):
        code, out, _ = run(capsys, "watch", path, "--goal", 1)
        assert code == 0
        assert int(rows(out)[0][1]) <= 2
        assert f"video: {folder.path / 'watch.mp4'}" in out
        (folder.path / "watch.mp4").unlink()


def test_a_file_tells_its_algorithm_and_its_task(saved):
    found = find_agent(saved / "GCSLAgent.safetensors", OfSavedAgent())
    assert (found.algorithm.name, found.task) == ("gcsl", ROOM)
    assert found.home == saved / "GCSLAgent"
    assert find_agent(saved / "nameless.safetensors", OfSavedAgent(task="Dice")).task == DICE


@pytest.mark.parametrize(
    ("named", "episodes", "keys"),
    [
        ((3, 7), None, [(3, 0), (7, 0)]),
        ((3, 7), 5, [(3, 0), (7, 0), (3, 1), (7, 1), (3, 2)]),
        ((), None, [(0, 0), (6, 0), (12, 0), (17, 0), (23, 0), (29, 0)]),
        ((), 1, [(0, 0)]),
    ],
)
def test_goals_take_turns(named, episodes, keys):
    assert choose_episodes(named, episodes, n_goals=30) == keys


def test_of_few_goals_each_is_played():
    assert choose_episodes((), None, n_goals=2) == [(0, 0), (1, 0)]
    assert choose_episodes((), 3, n_goals=2) == [(0, 0), (1, 0), (0, 1)]


def test_the_film_is_opened_on_request(saved, capsys, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda uri: opened.append(uri))
    words = ("watch", saved / "dice.safetensors", "--episodes", 1, "--out", tmp_path)
    _, out, _ = run(capsys, *words)
    assert not opened
    _, out, _ = run(capsys, *words, "--open")
    assert opened == [(tmp_path / "watch.mp4").as_uri()]
    assert "found no application to open it with" in out


@pytest.mark.parametrize(
    ("file", "words", "told"),
    [
        ("nothing.safetensors", [], "nothing.safetensors"),
        (".", [], "holds no run"),
        ("nameless.safetensors", [], "--task is needed"),
        ("nameless.safetensors", ["--task", "Pnog"], "unknown task 'Pnog'; did you mean Pong?"),
        ("dice.safetensors", ["--task", "GridWorld"], "made for the actions Discrete(3)"),
        ("dice.safetensors", ["--goal", "30"], "--goal must be an integer from 0 to 29, got 30"),
        ("dice.safetensors", ["--goal", "-1"], "--goal must be an integer from 0 to 29, got -1"),
        ("dice.safetensors", ["--goals", "some"], "goals must be 'train'"),
        (
            "dice.safetensors",
            ["--goals", "2"],
            "--goals names a set of goals, got 2; give --goal 2",
        ),
        ("dice.safetensors", ["--episodes", "0"], "--episodes must be an integer from 1 to"),
        ("dice.safetensors", ["--fps", "0"], "fps must be an integer from 1 to 100, got 0"),
        ("dice.safetensors", ["--out", "film.avi"], "--out must be a folder, or end in .mp4"),
        ("dice.safetensors", ["--out", "taken/film.mp4"], "taken"),
        ("dice.safetensors", ["--env", "speed=3"], "speed"),
        ("dice.safetensors", ["--algorithm", "gcsl"], "it holds a GlamorAgent, not a GCSLAgent"),
        ("dice.safetensors", ["--algorithm", "dqn-her"], "loaded only with trust=True"),
    ],
)
def test_what_cannot_be_filmed_is_refused(saved, capsys, tmp_path, monkeypatch, file, words, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_bytes(b"precious")
    before = sorted(saved.iterdir())
    code, out, err = run(capsys, "watch", saved / file, *words)
    assert (code, out) == (2, "")
    assert told in err
    assert err.startswith("glamor-gym: ")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
    assert sorted(saved.iterdir()) == before
