from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

import glamor_gym
from glamor_gym.evaluation import NoopAgent, save_result
from glamor_gym.experiments.benchmark.record import BenchmarkFolder
from glamor_gym.experiments.benchmark.report import write_benchmark_report
from glamor_gym.experiments.benchmark.table import COLUMNS, benchmark_table
from glamor_gym.experiments.folders import record_command
from glamor_gym.experiments.runs import train_run
from tests.experiments.small_runs import small_spec


def run(task="Pong", agent="glamor", seed=0, rate=0.5, **changes):
    return {
        "task": task,
        "agent": agent,
        "seed": seed,
        "state": "finished",
        "steps": 50_000,
        "train_minutes": 13.7,
        "success_rate": rate,
        "success_low": rate - 0.1,
        "success_high": rate + 0.1,
        "reached_rate": rate + 0.05,
        "random": 0.08,
        "noop": 0.0,
        "folder": f"{task}-{agent}-{seed}",
        **changes,
    }


def rows(*runs, held_out=None):
    lines = benchmark_table(pd.DataFrame(runs), held_out or {}).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


def test_of_one_seed_the_interval_of_its_episodes_is_shown():
    (row,) = rows(run(rate=0.5))
    assert row == {
        "task": "Pong",
        "steps, training": "50k, 14 min",
        "goals reached": "**0.50** (0.40–0.60)",
        "of held-out goals": "–",
        "within reach at some step": "0.55",
        "random / no-op agent": "0.08 / 0.00",
        "paper, 500k steps": "0.44 ± 0.20",
    }


def test_of_several_seeds_each_is_shown_in_their_order():
    (row,) = rows(run(seed=2, rate=0.2, train_minutes=20), run(seed=0, rate=0.3), run(seed=1))
    assert row["goals reached"] == "~0.33 (0.30, 0.50, 0.20)"
    assert row["steps, training"] == "50k, 14–20 min"


def test_budgets_are_in_order_and_in_plain_numbers():
    (row,) = rows(run(steps=10_000_000), run(seed=1, steps=50_000), run(seed=2, steps=100_000))
    assert row["steps, training"] == "50k and 100k and 10,000k, 14 min"


@pytest.mark.parametrize(
    ("task", "rate", "shown"),
    [
        # The paper has 0.44 ± 0.20 for Pong; what rounds to its figures equals them.
        ("Pong", 0.436, "**0.44**"),
        ("Pong", 0.434, "~0.43"),
        ("Pong", 0.236, "~0.24"),
        ("Pong", 0.234, "0.23"),
        ("MsPacman", 0.21, "~0.21"),  # 0.28 ± 0.07, and 0.28 − 0.07 is 0.21000000000000002
    ],
)
def test_a_rate_is_marked_by_the_papers(task, rate, shown):
    (row,) = rows(run(task, rate=rate))
    assert row["goals reached"].split(" (")[0] == shown


def test_every_agent_has_a_row_beside_what_the_paper_has_for_it():
    found = rows(run("Qbert", "random", rate=0.99), run("Pong", "gcsl", rate=0.3), run("Pong"))
    assert list(found[0]) == list(COLUMNS)
    assert [(row["task"], row["agent"]) for row in found] == [
        ("Pong", "GLAMOR"),
        ("Pong", "GCSL"),
        ("Qbert", "random"),
    ]
    assert found[1]["goals reached"] == "**0.30** (0.20–0.40)"
    assert [row["paper, 500k steps"] for row in found] == ["0.44 ± 0.20", "0.28 ± 0.06", "–"]
    assert found[2]["goals reached"] == "0.99 (0.89–1.09)"
    assert found[2]["steps, training"] == "–"


def test_runs_that_are_not_finished_are_left_out():
    assert rows(run(state="failed"), run("Qbert", state="running")) == []


def judged(rate, **changes):
    kind = {"goals": "held-out", "goals_hash": "0123456789abcdef", "episodes": 60}
    interval = (round(rate - 0.1, 2), round(rate + 0.1, 2))
    return SimpleNamespace(success_rate=rate, confidence_interval=interval, **(kind | changes))


def test_held_out_goals_have_a_column_of_their_own():
    held_out = {"Pong-glamor-0": judged(0.6), "Pong-glamor-1": judged(0.8)}
    (row,) = rows(run(seed=0), run(seed=1), held_out=held_out)
    assert row["of held-out goals"] == "0.70 (0.60, 0.80)"
    (row,) = rows(run(seed=1), held_out=held_out)
    assert row["of held-out goals"] == "0.80 (0.70–0.90)"


def test_seeds_of_both_columns_are_in_the_same_order():
    # In the order of their folders' names.
    runs = [run(seed=seed, rate=seed / 20) for seed in (0, 10, 2)]
    held_out = {f"Pong-glamor-{seed}": judged(seed / 10) for seed in (0, 10, 2)}
    (row,) = rows(*runs, held_out=held_out)
    assert row["goals reached"] == "0.20 (0.00, 0.10, 0.50)"
    assert row["of held-out goals"] == "0.40 (0.00, 0.20, 1.00)"


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (
            judged(0.8, goals_hash="fedcba9876543210"),
            "goals fedcba987654 in Pong-glamor-1/held",
        ),
        (judged(0.8, episodes=120), "; 120 episodes on held-out goals 0123456789ab in Pong-gl"),
        (judged(0.8, goals="train"), "60 episodes on train goals"),
    ],
)
def test_results_on_different_held_out_goals_are_not_averaged(other, told):
    first = {"Pong-glamor-0": judged(0.6)}
    with pytest.raises(ValueError, match=told):
        rows(run(seed=0), run(seed=1), held_out=first | {"Pong-glamor-1": other})
    (row,) = rows(run(seed=0), run(seed=1), held_out=first)
    assert row["of held-out goals"] == "0.60 (0.50–0.70)"


def test_a_task_that_the_paper_lacks_has_a_dash():
    (row,) = rows(run("GridWorld", rate=0.9))
    assert row["goals reached"] == "0.90 (0.80–1.00)"
    assert row["paper, 500k steps"] == "–"


def test_evaluations_on_held_out_goals_are_found_beside_their_runs(tmp_path):
    folder = BenchmarkFolder(tmp_path)
    record_command(folder.record_file, "typed")
    specs = [small_spec(algorithm=name, overrides={}) for name in ("random", "noop")]
    for spec in specs:
        train_run(spec, folder.run(spec), command="typed")
    result = glamor_gym.evaluate(NoopAgent(stop_action=4), "GridWorld", goals="held-out")
    save_result(result, folder.run(specs[0]).held_out_file)
    write_benchmark_report(folder)
    lines = folder.table_file.read_text().splitlines()[2:]
    low, high = result.confidence_interval
    expected = f"{result.success_rate:.2f} ({low:.2f}–{high:.2f})"
    assert [line.split(" | ")[4] for line in lines] == [expected, "–"]
