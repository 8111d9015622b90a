from __future__ import annotations

import dataclasses
import hashlib
import json
import math

import numpy as np
import pytest

from glamor_gym.evaluation import RunFolder, evaluate, load_result, result_file, save_result
from glamor_gym.untrusted import open_npz
from tests.evaluation.players import Walker


@pytest.fixture(scope="module")
def result():
    return evaluate(Walker(detour=True), "GridWorld", goals="all", record=3)


def figures(result):
    return {
        field.name: getattr(result, field.name)
        for field in dataclasses.fields(result)
        if field.name != "frames"
    }


def test_a_result_comes_back_as_it_was(result, tmp_path):
    save_result(result, tmp_path / "evaluation.json")
    back = load_result(tmp_path / "evaluation.json")
    assert figures(back) == figures(result)
    for episode, original in zip(back.frames, result.frames, strict=True):
        assert (episode.goal_index, episode.success) == (original.goal_index, original.success)
        np.testing.assert_array_equal(episode.goal, original.goal)
        np.testing.assert_array_equal(episode.frames, original.frames)
        assert episode.frames.dtype == original.frames.dtype
    assert back == result


def test_what_is_missing_is_null_in_the_file_and_nan_when_read(result, tmp_path):
    nothing = dataclasses.replace(
        result, random=math.nan, random_interval=(math.nan, math.nan), frames=[]
    )
    save_result(nothing, tmp_path / "evaluation.json")
    stored = json.loads((tmp_path / "evaluation.json").read_text())
    assert stored["random"] is None
    assert stored["random_interval"] == [None, None]
    back = load_result(tmp_path / "evaluation.json")
    assert math.isnan(back.random)
    assert all(map(math.isnan, back.random_interval))
    assert back.frames == []


def test_a_result_can_be_kept_without_its_pictures(result, tmp_path):
    save_result(result, tmp_path / "evaluation.json")
    (tmp_path / "evaluation.npz").unlink()
    back = load_result(tmp_path / "evaluation.json")
    assert figures(back) == figures(result)
    assert back.frames == []


def test_of_pictures_that_are_too_many_the_first_are_kept(result, tmp_path, monkeypatch):
    path = tmp_path / "evaluation.json"
    save_result(result, path)
    with open_npz(path.with_suffix(".npz"), max_bytes=2**20) as pictures:
        size = pictures.claimed_bytes
    for limit, episodes in ((size, result.frames), (size - 1, result.frames[:-1]), (1, [])):
        monkeypatch.setattr(result_file, "MAX_PICTURE_BYTES", limit)
        save_result(result, path)
        assert load_result(path) == dataclasses.replace(result, frames=episodes)


def test_a_result_can_be_read_without_its_pictures(result, tmp_path):
    run = RunFolder(tmp_path)
    run.save_evaluation(result)
    save_result(result, run.held_out_file)
    run.evaluation_file.with_suffix(".npz").write_bytes(b"never opened")
    for back in (
        load_result(run.evaluation_file, frames=False),
        run.evaluation(frames=False),
        run.held_out(),
    ):
        assert figures(back) == figures(result)
        assert back.frames == []
    assert len(load_result(run.held_out_file).frames) == len(result.frames)


def replace_pictures(path, **pictures):
    """Put others in their place, with their hash."""
    archive = path.with_suffix(".npz")
    np.savez(archive, **pictures)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"frames_sha256": digest}))


def test_the_pictures_of_another_result_are_left_out(result, tmp_path):
    path, other = tmp_path / "evaluation.json", tmp_path / "other.json"
    save_result(result, path)
    save_result(dataclasses.replace(result, frames=result.frames[::-1]), other)
    other.with_suffix(".npz").replace(path.with_suffix(".npz"))
    back = load_result(path)
    assert figures(back) == figures(result)
    assert back.frames == []


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"frames": 3}', '{"frames": [], "per_goal": 1}']
)
def test_a_file_that_holds_something_else_is_refused(result, tmp_path, text):
    path = tmp_path / "evaluation.json"
    save_result(result, path)
    path.write_text(text)
    with pytest.raises(ValueError, match="does not hold an evaluation result"):
        load_result(path)


def test_pictures_that_are_a_pickle_are_refused(result, tmp_path):
    path = tmp_path / "evaluation.json"
    save_result(result, path)
    replace_pictures(path, goal_0=np.array([object()]), frames_0=np.zeros((1, 2)))
    with pytest.raises(ValueError, match="only plain numbers"):
        load_result(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("task", 3),
        ("episodes", 1.5),
        ("seed", True),
        ("goals", 3),
        ("env_kwargs", [1]),
        ("success_rate", "1.0"),
        ("random_interval", [0.1]),
        ("random_interval", [0.1, "x"]),
        ("per_goal", {"0": "x"}),
        ("per_label", {"x": [1]}),
        ("per_goal", {"a": 1.0}),
        ("unknown", 1),
    ],
)
def test_figures_of_another_kind_are_refused(result, tmp_path, field, value):
    path = tmp_path / "evaluation.json"
    save_result(result, path)
    figures = json.loads(path.read_text())
    path.write_text(json.dumps(figures | {field: value}))
    with pytest.raises(ValueError, match="does not hold an evaluation result"):
        load_result(path)


@pytest.mark.parametrize("index", ["../../escaped", "/tmp/escaped", 1.0, None, True])
def test_an_index_that_would_name_a_file_elsewhere_is_refused(result, tmp_path, index):
    path = tmp_path / "evaluation.json"
    save_result(result, path)
    figures = json.loads(path.read_text())
    figures["frames"][0]["goal_index"] = index
    path.write_text(json.dumps(figures))
    with pytest.raises(ValueError, match="goal_index"):
        load_result(path)


@pytest.mark.parametrize(
    ("goal", "frames"),
    [
        (np.zeros(49, np.float32), np.zeros((0, 49), np.float32)),
        (np.zeros(49, np.float32), np.zeros((2, 48), np.float32)),
        (np.zeros(49, np.float64), np.zeros((2, 49), np.float64)),
        (np.zeros((), np.float32), np.zeros(2, np.float32)),
        (np.zeros((7, 7), np.float32), np.zeros((2, 7, 7), np.float32)),
    ],
)
def test_pictures_that_are_none_are_refused(result, tmp_path, goal, frames):
    path = tmp_path / "evaluation.json"
    save_result(dataclasses.replace(result, frames=result.frames[:1]), path)
    replace_pictures(path, goal_0=goal, frames_0=frames)
    with pytest.raises(ValueError, match="pictures of an episode"):
        load_result(path)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_result(tmp_path / "evaluation.json")


def test_a_name_that_the_pictures_take_is_refused(result, tmp_path):
    with pytest.raises(ValueError, match=r"path must not end in \.npz"):
        save_result(result, tmp_path / "evaluation.npz")
    assert not list(tmp_path.iterdir())
