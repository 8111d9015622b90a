from __future__ import annotations

import pytest

from glamor_gym.report.markdown import markdown_table


def test_a_table_has_a_line_a_row():
    table = markdown_table(("", "ours"), [("Pong", "0.7"), ("a|b", "–"), ("a\nb", "1")])
    assert table == "|  | ours |\n|---|---|\n| Pong | 0.7 |\n| a\\|b | – |\n| a b | 1 |\n"


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"rows must have 2 cells, got 1: \('Pong',\)"):
        markdown_table(("task", "rate"), [("Pong",)])
