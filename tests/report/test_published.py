from __future__ import annotations

import pytest

from glamor_gym.report import published_rates
from glamor_gym.tasks import TASKS


@pytest.mark.parametrize(
    ("task", "method", "mean", "std"),
    [
        ("Seaquest", "GLAMOR", 0.57, 0.06),
        ("glamor/Pong-v0", "GLAMOR", 0.44, 0.20),
        ("Qbert", "GCSL", 0.56, 0.17),
        ("Bowling", "DISCERN", 0.11, 0.09),
        ("reacher-hard", "GLAMOR", 0.27, 0.08),
        ("point_mass-easy", "GCSL", 0.82, 0.05),
    ],
)
def test_figures_are_those_of_table_1(task, method, mean, std):
    assert published_rates(task)[method] == (mean, std)


def test_every_task_of_the_paper_has_its_row():
    rows = [published_rates(name) for name in TASKS]
    assert sum(len(row) == 3 for row in rows) == 21
    assert {len(row) for row in rows} == {0, 3}
    assert not published_rates("own/Room-v0")


def test_the_papers_figures_are_nobodys_to_change():
    with pytest.raises(TypeError):
        published_rates("Pong")["GLAMOR"] = (1.0, 0.0)
    assert published_rates("Pong")["GLAMOR"].mean == 0.44


def test_a_rate_reads_as_in_the_paper():
    assert str(published_rates("Tennis")["GLAMOR"]) == "0.10 (0.04)"
