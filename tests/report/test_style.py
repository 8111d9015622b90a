from __future__ import annotations

from glamor_gym.report.style import ALGORITHM_COLOURS, COLOURS, colours_of


def test_known_curves_keep_their_colours_and_no_other_takes_them():
    names = ["mine", "glamor", "yours", "noop"]
    colours = colours_of(names)
    assert list(colours) == names
    for name in ("glamor", "noop"):
        assert colours[name] == ALGORITHM_COLOURS[name]
    assert len({colours[name] for name in names}) == 4
    assert {colours["mine"], colours["yours"]} <= set(COLOURS)


def test_colours_repeat_once_there_are_no_more():
    free = [colour for colour in COLOURS if colour != "red"]
    names = [str(number) for number in range(len(free) + 1)]
    colours = colours_of([*names, "known"], {"known": "red"})
    assert list(colours.values()) == [*free, free[0], "red"]
