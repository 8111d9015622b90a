from __future__ import annotations

import re

import pytest

from tests.command_line import run


@pytest.mark.parametrize(
    ("words", "file", "told"),
    [
        (["train", "--task", "Dice", "--run-dir"], "benchmark.json", "--run-dir .* a benchmark"),
        (["train", "--task", "Dice", "--run-dir"], "ablation.json", "--run-dir .* an ablation"),
        (["benchmark", "--tasks", "Dice", "--out"], "config.json", "--out .* a run"),
        (["benchmark", "--tasks", "Dice", "--out"], "ablation.json", "--out .* an ablation"),
        (["benchmark", "--tasks", "Dice", "--out"], "reproduction.json", "--out .* a reproduction"),
        (["ablate", "--tasks", "Dice", "--out"], "config.json", "--out .* a run"),
        (["reproduce", "figure-4", "--quick", "--out"], "benchmark.json", "--out .* a benchmark"),
        (["reproduce", "figure-4", "--quick", "--out"], "ablation.json", "--out .* an ablation"),
        (["reproduce", "figure-4", "--quick", "--out"], "config.json", "--out .* a run"),
        (["ablate", "--tasks", "Dice", "--out"], "benchmark.json", "--out .* a benchmark"),
    ],
)
def test_a_folder_of_another_kind_is_left_alone(capsys, tmp_path, words, file, told):
    (tmp_path / file).write_text("{}")
    code, out, err = run(capsys, *words, tmp_path)
    assert (code, out) == (2, "")
    kind = told.replace("--out .* ", "").replace("--run-dir .* ", "")
    assert re.search(rf"{told} \({re.escape(file)}\)", err)
    assert f"{tmp_path} holds {kind} ({file}), whose results would be overwritten" in err
    assert [path.name for path in tmp_path.iterdir()] == [file]


@pytest.mark.parametrize("command", ["benchmark --tasks Dice", "ablate", "reproduce figure-4"])
def test_the_folder_of_an_experiment_is_no_file(capsys, tmp_path, command):
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    code, _, err = run(capsys, *command.split(), "--out", file)
    assert code == 2
    assert f"--out must be a folder, and {file} is a file" in err
