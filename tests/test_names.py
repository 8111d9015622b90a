from __future__ import annotations

import pytest

from glamor_gym.names import nearest_names


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Qbrt", "did you mean Qbert?"),
        ("qbert", "did you mean Qbert?"),
        ("Pon", "did you mean Pong or Pond?"),
        ("xyz", "known: Pong, Pond, Qbert"),
    ],
)
def test_the_nearest_names_are_told(name, told):
    assert nearest_names(name, ["Pong", "Pond", "Qbert"]) == told
