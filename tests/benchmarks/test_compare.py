from __future__ import annotations

import json

import pytest
import tyro

from benchmarks.compare import Work, compare_ratios, main, read_ratios


@pytest.fixture
def results(tmp_path):
    """Return a function that writes a result file of the given ratios."""

    def write(name: str, **ratios: float) -> str:
        rows = [
            {"name": key, "reference": "plain loop", "ratio": ratio}
            for key, ratio in ratios.items()
        ]
        path = tmp_path / name
        path.write_text(json.dumps({"machine": {}, "rows": rows}))
        return str(path)

    return write


def named(**ratios: float) -> dict[Work, float]:
    return {Work(name, "plain loop"): ratio for name, ratio in ratios.items()}


def test_every_name_has_its_verdict_in_the_order_of_the_old_file():
    before = named(plan=20.0, gone=1.0, update=3.0, sample=10.0)
    after = named(sample=13.0, fresh=2.0, plan=15.0, update=2.5)
    changes = compare_ratios(before, after, 0.2)
    assert [(change.work.name, change.verdict) for change in changes] == [
        ("plan", "slower"),
        ("gone", "only in the old"),
        ("update", "as before"),
        ("sample", "faster"),
        ("fresh", "only in the new"),
    ]


@pytest.mark.parametrize(("tolerance", "code"), [("0.2", 1), ("0.5", 0)])
def test_exit_code_says_whether_something_got_slower(results, capsys, tolerance, code):
    files = [results("old", plan=20.0, sample=10.0), results("new", plan=14.0, sample=10.0)]
    assert tyro.cli(main, args=[*files, "--tolerance", tolerance]) == code
    last_line = capsys.readouterr().out.splitlines()[-1]
    assert last_line == ("slower: plan against plain loop" if code else "slower: nothing")


def test_what_is_compared_with_two_things_has_two_verdicts(tmp_path, capsys):
    files = []
    for name, ratio in (("old", 0.8), ("new", 0.4)):
        rows = [
            {"name": "collect", "reference": "an emulator", "ratio": ratio},
            {"name": "collect", "reference": "its vector", "ratio": 0.9},
        ]
        files.append(tmp_path / name)
        files[-1].write_text(json.dumps({"rows": rows}))
    assert tyro.cli(main, args=list(map(str, files))) == 1
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == "slower: collect against an emulator"
    assert "its vector" in out


def test_what_is_there_twice_is_refused(tmp_path):
    path = tmp_path / "twice.json"
    rows = [{"name": "collect", "reference": "an emulator", "ratio": 1.0}] * 2
    path.write_text(json.dumps({"rows": rows}))
    with pytest.raises(ValueError, match="two rows have collect against an emulator"):
        read_ratios(path)


@pytest.mark.parametrize("content", ["no JSON", "[]", '{"rows": [{"name": "plan"}]}'])
def test_what_is_no_result_file_is_named(results, tmp_path, capsys, content):
    broken = tmp_path / "broken.json"
    broken.write_text(content)
    assert tyro.cli(main, args=[results("old", plan=1.0), str(broken)]) == 2
    assert "broken.json" in capsys.readouterr().out.replace("\n", "")


def test_a_missing_file_is_named(results, capsys):
    assert tyro.cli(main, args=[results("old", plan=1.0), "nowhere.json"]) == 2
    assert "nowhere.json" in capsys.readouterr().out


@pytest.mark.parametrize("tolerance", [-0.1, 1.0, float("nan")])
def test_a_tolerance_out_of_range_is_refused(tolerance):
    with pytest.raises(ValueError, match="tolerance must lie in"):
        list(compare_ratios(named(plan=1.0), named(plan=1.0), tolerance))
