import hashlib
import json
import os
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glamor_gym.goals import GoalSet, GoalSetError
from glamor_gym.goals.goal_file import hash_of
from tests.goals.toy_goals import SHAPES, assert_same, goal_set


@pytest.fixture(params=SHAPES)
def kind(request):
    return request.param


def test_what_was_saved_is_loaded(tmp_path, kind):
    path = tmp_path / "toy.npz"
    original = goal_set(kind)
    original.save(path)
    assert_same(original, GoalSet.load(path))


def test_a_set_is_saved_to_the_same_bytes_again_after_loading(tmp_path, kind):
    first, second = tmp_path / "1.npz", tmp_path / "2.npz"
    goal_set(kind).save(first)
    GoalSet.load(first).save(second)
    assert first.read_bytes() == second.read_bytes()


def test_numpy_reads_the_file_without_pickle(tmp_path):
    goal_set("state").save(tmp_path / "toy.npz")
    with np.load(tmp_path / "toy.npz", allow_pickle=False) as members:
        np.testing.assert_array_equal(
            members["evaluation_content"], goal_set("state").evaluation.content
        )
        assert json.loads(members["header"].tobytes())["task"] == "Toy"


def test_training_pictures_are_not_decompressed_by_loading(tmp_path, monkeypatch):
    goal_set().save(tmp_path / "toy.npz")
    opened = []
    original = zipfile.ZipFile.open
    monkeypatch.setattr(
        zipfile.ZipFile,
        "open",
        lambda self, name, *args, **kwargs: (
            opened.append(name) or original(self, name, *args, **kwargs)
        ),
    )
    loaded = GoalSet.load(tmp_path / "toy.npz")
    assert len(loaded.training) == 8
    assert "training_content.npy" not in opened
    _ = loaded.training[0]
    assert "training_content.npy" in opened
    opened.clear()
    _ = loaded.training[1]
    assert not opened


def test_a_set_that_is_not_yet_decompressed_can_be_sent_to_another_process(tmp_path):
    goal_set().save(tmp_path / "toy.npz")
    loaded = GoalSet.load(tmp_path / "toy.npz")
    (tmp_path / "toy.npz").unlink()
    assert_same(pickle.loads(pickle.dumps(loaded)), goal_set())


def test_what_a_set_holds_cannot_be_changed():
    one = goal_set()
    for mapping in (one.bounds, one.provenance):
        with pytest.raises(TypeError, match="does not support item assignment"):
            mapping["x"] = (0.0, 1.0)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("goals") / "toy.npz"
    goal_set().save(path)
    return path


def load_everything(path):
    loaded = GoalSet.load(path)
    _ = loaded.training.content
    return loaded


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_damaged_file_is_refused_or_harmless(saved, data):
    damaged = bytearray(saved.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    length = data.draw(st.one_of(st.just(len(damaged)), st.integers(0, len(damaged))))
    path = saved.with_name("damaged.npz")
    path.write_bytes(damaged[:length])
    try:
        loaded = load_everything(path)
    except GoalSetError as error:
        message = str(error)
    else:
        message = str(path)
        assert_same(loaded, goal_set())
    assert str(path) in message


def rewritten(saved, path, **members):
    """Write the saved file to `path` with some members replaced (None: left out)."""
    with np.load(saved) as archive:
        arrays = {name: archive[name] for name in archive.files} | members
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"header": None}, "header"),
        ({"header": np.zeros(4, np.uint8)}, "not a readable goal set"),
        ({"header": np.frombuffer(b"[1]", np.uint8)}, "not a readable goal set"),
        ({"header": np.frombuffer(b'{"format": 99}', np.uint8)}, "format is 99"),
        ({"header": np.zeros(2 * 2**20, np.uint8)}, "header has 2097152 bytes"),
        ({"background": np.zeros((6, 4), np.uint8)}, "header says"),
        ({"background": np.zeros((6, 5), np.uint8)}, "hash"),
        ({"evaluation_labels": np.zeros((3, 2))}, "hash"),
        ({"evaluation_labels": np.zeros((3, 2), np.float32)}, "header says <f8"),
        ({"evaluation_labels": np.asfortranarray(np.zeros((3, 2)))}, "plain numbers"),
        ({"evaluation_labels": np.zeros((4, 2))}, "header says"),
        ({"evaluation_labels": np.array([[None] * 2] * 3, object)}, "plain numbers"),
        ({"training_content": None}, "training_content"),
    ],
)
def test_foreign_members_are_refused(saved, tmp_path, members, message):
    path = rewritten(saved, tmp_path / "foreign.npz", **members)
    with pytest.raises(GoalSetError, match=message) as caught:
        load_everything(path)
    assert str(path) in str(caught.value)


def test_an_edited_header_is_refused(saved, tmp_path):
    with np.load(saved) as archive:
        header = json.loads(archive["header"].tobytes())
    header["bounds"]["x"] = [0.0, 1000.0]
    edited = np.frombuffer(json.dumps(header).encode(), np.uint8)
    with pytest.raises(GoalSetError, match="does not have the hash"):
        GoalSet.load(rewritten(saved, tmp_path / "edited.npz", header=edited))


@pytest.mark.parametrize("changes", [{"bounds": []}, {"task": 5}, {"version": "x"}])
def test_a_header_that_vouches_for_what_is_no_goal_set_is_refused(saved, tmp_path, changes):
    with np.load(saved) as archive:
        header = {**json.loads(archive["header"].tobytes()), **changes}
    header["hash"] = hash_of(header)
    edited = np.frombuffer(json.dumps(header).encode(), np.uint8)
    with pytest.raises(GoalSetError):
        GoalSet.load(rewritten(saved, tmp_path / "edited.npz", header=edited))


def test_an_array_longer_than_its_member_takes_no_memory(saved, tmp_path):
    # 8 TB, said by the array's own header and not by the file's.
    path = tmp_path / "bomb.npz"
    claim = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }"
    array = b"\x93NUMPY\x01\x00" + len(claim).to_bytes(2, "little") + claim
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, array if name == "evaluation_labels.npy" else old.read(name))
    with pytest.raises(GoalSetError, match="header says"):
        GoalSet.load(path)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04" + bytes(40)])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(GoalSetError, match=r"other\.npz"):
        GoalSet.load(path)


def test_a_failed_save_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "toy.npz"
    goal_set().save(path)
    before = path.read_bytes()

    def full_disk(*args, **kwargs):
        raise OSError("no space left")

    monkeypatch.setattr(zipfile.ZipFile, "open", full_disk)
    with pytest.raises(OSError, match="no space left"):
        goal_set(version=9).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_set_that_could_not_be_loaded_again_is_not_saved(tmp_path, monkeypatch):
    with pytest.raises(GoalSetError, match=r"header has .* more than the maximum of 1048576"):
        goal_set(provenance={"note": "long" * 2**18}).save(tmp_path / "toy.npz")
    monkeypatch.setattr("glamor_gym.goals.goal_file._MAX_MEMBER_BYTES", 8 * 6 * 5 - 1)
    with pytest.raises(GoalSetError, match="training_content has 240 bytes"):
        goal_set().save(tmp_path / "toy.npz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("split", ["evaluation", "training"])
@pytest.mark.parametrize("contents", [np.array(3, np.uint8), np.zeros((1, 6, 5), np.uint8)])
def test_contents_of_another_number_are_refused_when_the_file_is_opened(
    saved, tmp_path, split, contents
):
    name = f"{split}_content"
    with np.load(saved) as archive:
        header = json.loads(archive["header"].tobytes())
    header["members"][name] = {
        "dtype": "|u1",
        "shape": list(contents.shape),
        "sha256": hashlib.sha256(contents.tobytes()).hexdigest(),
    }
    header["hash"] = hash_of(header)
    edited = np.frombuffer(json.dumps(header).encode(), np.uint8)
    path = rewritten(saved, tmp_path / "short.npz", header=edited, **{name: contents})
    with pytest.raises(GoalSetError, match=r"short\.npz: .*content must have . entries"):
        GoalSet.load(path)


def test_a_file_whose_lists_are_of_other_sizes_is_refused_when_it_is_opened(saved, tmp_path):
    with np.load(saved) as archive:
        header = json.loads(archive["header"].tobytes())
    header["members"]["training_content"]["shape"] = [8, 5, 6]
    header["hash"] = hash_of(header)
    edited = np.frombuffer(json.dumps(header).encode(), np.uint8)
    path = rewritten(saved, tmp_path / "turned.npz", header=edited)
    with pytest.raises(GoalSetError, match=r"turned\.npz: .*contents of the same dtype and shape"):
        GoalSet.load(path)


def test_a_pipe_is_no_goal_set(tmp_path):
    os.mkfifo(tmp_path / "goals.npz")
    with pytest.raises(GoalSetError, match=r"goals\.npz is not a regular file"):
        GoalSet.load(tmp_path / "goals.npz")
