from __future__ import annotations

import pytest

from glamor_gym.commands.assignments import one_per_option, parse_assignments


@pytest.mark.parametrize(
    ("assignments", "parsed"),
    [
        ([], {}),
        (["n=200"], {"n": 200}),
        (["rate=5e-4", "on=true", "off=null"], {"rate": 5e-4, "on": True, "off": None}),
        (["on=True", "off=False", "no=None"], {"on": True, "off": False, "no": None}),
        (['text="True"', "name=Trueish"], {"text": "True", "name": "Trueish"}),
        (["size=[80, 104]"], {"size": [80, 104]}),
        (["n=1e5", "x=1e-1", "y=2.0", "z=1e38"], {"n": 100_000, "x": 0.1, "y": 2.0, "z": 1e38}),
        (["profile=fast"], {"profile": "fast"}),
        (["text=a=b"], {"text": "a=b"}),
        (["text="], {"text": ""}),
        (["n=1", "n=2"], {"n": 2}),
        (["a.b=1", "a.c.d=x"], {"a": {"b": 1, "c": {"d": "x"}}}),
    ],
)
def test_assignments_are_read(assignments, parsed):
    found = parse_assignments("--set", assignments)
    assert found == parsed
    assert list(map(type, found.values())) == list(map(type, parsed.values()))


@pytest.mark.parametrize("assignment", ["n", "=3", ""])
def test_other_forms_are_refused(assignment):
    with pytest.raises(ValueError, match=f"--set takes NAME=VALUE, got {assignment!r}"):
        parse_assignments("--set", [assignment])


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "[1, NaN]"])
def test_numbers_that_are_not_finite_are_refused(value):
    with pytest.raises(ValueError, match="--set n: numbers must be finite, got "):
        parse_assignments("--set", [f"n={value}"])


def test_an_integer_of_thousands_of_digits_is_refused():
    with pytest.raises(ValueError, match=r"--set n: Exceeds the limit .* 5000 digits"):
        parse_assignments("--set", ["n=" + "9" * 5_000])


def test_an_assignment_into_a_number_is_refused():
    with pytest.raises(ValueError, match="a already has a value"):
        parse_assignments("--set", ["a=1", "a.b=2"])


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        ("--set a=1 b.c=2 --steps 5", "--set a=1 --set b.c=2 --steps 5"),
        ("--set a=1 --set b=2", "--set a=1 --set b=2"),
        ("--set glamor.a=1 dqn-her.a=2", "--set glamor.a=1 --set dqn-her.a=2"),
        ("--env a=1 runs/x=1 b=2", "--env a=1 runs/x=1 b=2"),
        ("--change a=1,b=2 c=3 --set d=4", "--change a=1,b=2 --change c=3 --set d=4"),
        ("--tasks Pong a=1", "--tasks Pong a=1"),
        ("--set=a=1 b=2", "--set=a=1 b=2"),
        ("train --set", "train --set"),
        ("", ""),
    ],
)
def test_an_option_is_repeated_before_each_assignment(typed, understood):
    assert one_per_option(typed.split()) == understood.split()
