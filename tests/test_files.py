"""Files are whole or not there."""

from __future__ import annotations

import pytest

from glamor_gym.files import write_atomically


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "folder" / "file"
    with write_atomically(path) as file:
        file.write(b"old")
    with pytest.raises(TypeError), write_atomically(path) as file:
        file.writelines([b"half of the new", "then something goes wrong"])
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]
