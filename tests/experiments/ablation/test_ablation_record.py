"""The file of an ablation."""

from __future__ import annotations

import json

import pytest

from glamor_gym.experiments.ablation.planning import plan_ablation
from glamor_gym.experiments.ablation.record import AblationFolder
from tests.experiments.small_runs import SMALL


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"setup": {"base": 1}}'])
def test_a_damaged_record_is_told(tmp_path, text):
    folder = AblationFolder(tmp_path)
    folder.record_file.write_text(text)
    with pytest.raises(ValueError, match=r"ablation\.json is damaged"):
        folder.record()


def test_a_record_is_plain_json(tmp_path):
    folder = AblationFolder(tmp_path)
    record, _ = plan_ablation(
        None, tasks=["GridWorld"], settings=SMALL, changes=[{"planner": {"stop": "end"}}]
    )
    folder.write(record, "typed")
    there = json.loads(folder.record_file.read_text())
    assert not {"commit", "versions"} & set(there)  # each run has its own
    assert there["runs"][1] == ["planner.stop=end", "GridWorld", 0, "eval"]
