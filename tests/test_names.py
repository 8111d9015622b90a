from __future__ import annotations

import pytest

from glamor_gym.names import counted, in_order_of, naming_options, nearest_names


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


def test_where_there_are_no_names_none_is_listed():
    assert nearest_names("gamma", []) == "there are none"


def test_the_last_part_of_a_name_is_near_as_well():
    known = ["batch_size", "policy_kwargs.token_size"]
    assert nearest_names("token_sise", known).startswith("did you mean policy_kwargs.token_size")
    assert nearest_names("xyz", known) == "known: batch_size, policy_kwargs.token_size"


def test_an_option_that_there_is_not_tells_the_nearest():
    @naming_options
    def make(task: str, *, horizon: int = 1, sticky: float = 0.0) -> tuple[str, int, float]:
        return task, horizon, sticky

    assert make("Pong", horizon=3) == ("Pong", 3, 0.0)
    assert make(task="Pong") == ("Pong", 1, 0.0)
    with pytest.raises(TypeError, match="there is no option 'horizn'; did you mean horizon"):
        make("Pong", horizn=3)
    with pytest.raises(TypeError, match="known: horizon, sticky"):
        make("Pong", zzz=3)


@pytest.mark.parametrize(("number", "text"), [(0, "0 runs"), (1, "1 run"), (2, "2 runs")])
def test_of_one_thing_the_name_is_in_the_singular(number, text):
    assert counted(number, "run") == text


def test_names_of_a_table_come_in_its_order_and_others_after_them():
    names = ["b/Room", "Dice", "Pong", "a/Room", "Bowling", "Pong"]
    ordered = ["Bowling", "Pong", "Dice", "b/Room", "a/Room"]
    assert in_order_of(["Bowling", "Boxing", "Pong", "Dice"], names) == ordered
