"""Every table and figure from its command to its files, on the grid world, in seconds."""

from __future__ import annotations

import dataclasses
import json
import shutil
from functools import cache
from typing import get_args
from xml.etree import ElementTree

import pandas as pd
import pytest
from PIL import Image

from glamor_gym.commands import options
from glamor_gym.experiments import ALGORITHMS
from glamor_gym.experiments.paper import REPRODUCTIONS, Workshop, write_outcome
from glamor_gym.experiments.paper.reproduction import DECISION_NOTE
from glamor_gym.tasks import TASKS

TINY = {"learning_starts": 16, "batch_size": 8}
SMALL_NETWORKS = {"policy_kwargs": {"embedding_size": 16}}
BY_CURVES = ("figure-2", "figure-3b", "figure-4", "figure-6", "figure-7", "figure-8")
OF_SMALL_AGENTS = {
    "figure-2": ("glamor", "gcsl", "discern"),
    "table-1": ("glamor", "gcsl", "discern", "random", "noop"),
}


def tiny(name, **changes):
    """Return the quick scale of an experiment, made tiny and put on the grid world."""
    quick = REPRODUCTIONS[name].quick
    scale = quick.over("GridWorld").but(
        steps=32, seeds=(0,), preset="small", settings=TINY | SMALL_NETWORKS,
        agents=OF_SMALL_AGENTS.get(name, ()), looks=min(quick.looks, 2), episodes_per_goal=1,
    )  # fmt: skip
    return scale.but(**changes)


def make(name, folder, **changes):
    """Make an experiment, and return its rows and its folder."""
    scale, command = tiny(name, **changes), f"glamor-gym reproduce {name}"
    workshop = Workshop(folder, command=command, device="cpu")
    rows = REPRODUCTIONS[name].collect(scale, workshop)
    write_outcome(
        folder / name, REPRODUCTIONS[name], scale, rows,
        command=command, runs=list(workshop.used.values()),
    )  # fmt: skip
    return rows, folder / name


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """As :func:`make`, but each experiment is made once, for all tests that only look at it."""
    return cache(lambda name: make(name, tmp_path_factory.mktemp(name)))


def test_the_command_knows_every_experiment():
    assert set(get_args(options.Reproduction)) == {*REPRODUCTIONS, "all"}
    for name in REPRODUCTIONS:
        assert f"- {name}: " in options.Reproduce.__doc__


@pytest.mark.parametrize("row", REPRODUCTIONS.values(), ids=list(REPRODUCTIONS))
def test_scales_name_what_there_is_and_quick_is_less(row):
    for scale in (row.quick, row.published):
        assert set(scale.tasks) <= set(TASKS)
        assert set(scale.agents) <= set(ALGORITHMS)
        assert scale.look_steps[-1] == scale.steps
    assert row.quick.steps * len(row.quick.seeds) < row.published.steps * len(row.published.seeds)
    assert bool(row.quick.agents) == bool(row.published.agents)


@pytest.mark.parametrize("name", [*BY_CURVES, "figure-11", "table-1"])
def test_it_runs_from_training_to_its_files(name, made):
    rows, folder = made(name)
    kept = pd.read_csv(folder / "data.csv")
    assert len(kept) == len(rows) > 0
    assert kept["success_rate"].between(0, 1).all()

    with Image.open(folder / f"{name}.png") as picture:
        assert min(picture.size) > 200
    svg = ElementTree.parse(folder / f"{name}.svg").getroot()
    assert svg.tag == "{http://www.w3.org/2000/svg}svg"

    comparison = pd.read_csv(folder / "comparison.csv")
    assert list(comparison) == ["statement", "ours", "published", "agrees"]
    page = (folder / "README.md").read_text()
    assert f"    glamor-gym reproduce {name}\n" in page
    assert "32 steps, 1 seed" in page
    assert REPRODUCTIONS[name].caveat in page
    assert REPRODUCTIONS[name].notes in page
    assert DECISION_NOTE in page or comparison["agrees"].isna().all()
    for statement in comparison["statement"]:
        assert statement in page


@pytest.mark.parametrize(
    ("name", "variants", "trainings"),
    [
        ("figure-3b", 3, 1),
        ("figure-4", 2, 1),
        ("figure-6", 8, 8),
        ("figure-7", 4, 4),
        ("figure-8", 2, 1),
    ],
)
def test_variants_that_plan_differently_are_one_agent(name, variants, trainings, made):
    rows, folder = made(name)
    assert rows["variant"].nunique() == variants
    assert len(rows) == variants * 2
    assert len(list((folder.parent / "runs").iterdir())) == trainings
    assert REPRODUCTIONS[name].n_trainings(tiny(name)) == trainings


def test_figures_share_what_is_trained_and_measured(made, tmp_path):
    shutil.copytree(made("figure-4")[1].parent, tmp_path, dirs_exist_ok=True)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    make("figure-8", tmp_path)
    runs = {path for path in before if path.is_relative_to(tmp_path / "runs")}
    assert all(path.stat().st_mtime_ns == before[path] for path in runs)
    assert set((tmp_path / "runs").rglob("*.*")) == {path for path in runs if path.suffix}


def test_the_same_data_makes_the_same_files(made, tmp_path):
    first = made("figure-4")[1]
    shutil.copytree(first.parent, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / first.name)
    _, again = make("figure-4", tmp_path)
    files, files_again = (
        {path.name: path.read_bytes() for path in folder.iterdir()} for folder in (first, again)
    )
    assert files_again == files


def test_without_a_comparison_the_table_has_its_columns(made, tmp_path):
    rows, _ = made("figure-4")
    reproduction = dataclasses.replace(REPRODUCTIONS["figure-4"], compare=lambda _: [])
    write_outcome(tmp_path, reproduction, tiny("figure-4"), rows, command="", runs=[])
    table = pd.read_csv(tmp_path / "comparison.csv")
    assert list(table) == ["statement", "ours", "published", "agrees"]
    assert table.empty


def test_pictures_are_drawn_and_not_written(made):
    rows, folder = made("figure-11")
    assert rows["goal_picture"][0].shape == rows["achieved_picture"][0].shape == (7, 7)
    assert len(rows) == 30
    assert list(pd.read_csv(folder / "data.csv")) == ["task", "goal", "trials", "success_rate"]


def test_table_1_tells_minutes_of_training(made):
    rows, folder = made("table-1")
    configs = [json.loads(file.read_text()) for file in folder.parent.glob("runs/*/config.json")]
    seconds = sorted(config["train_seconds"] for config in configs)
    assert sorted(60 * rows["minutes"]) == pytest.approx(seconds)


def test_agents_that_do_not_learn_are_no_training_runs(made):
    page = (made("table-1")[1] / "README.md").read_text()
    assert ". 3 training runs, " in page  # and the random and the no-op agent


def test_figures_of_single_agents_train_one_however_many_seeds_there_are():
    for name, trainings in (("figure-11", 1), ("figure-4", 3)):
        assert REPRODUCTIONS[name].n_trainings(tiny(name, seeds=(0, 1, 2))) == trainings


def test_a_goal_is_reached_in_most_trials_if_in_more_than_half_of_them():
    rows = pd.DataFrame({"task": "GridWorld", "success_rate": [0.0, 0.4, 0.5, 0.6, 1.0]})
    (comparison,) = REPRODUCTIONS["figure-11"].compare(rows)
    assert comparison.ours == "0.50; 0.40 of the goals in most trials"


def test_the_spread_over_seeds_is_a_standard_deviation():
    rates = {"with prior": (0.4, 0.6), "without prior": (0.1, 0.9)}
    rows = pd.DataFrame(
        [
            {
                "task": "GridWorld", "step": 10, "seed": seed, "variant": f"{trials}, {prior}",
                "success_rate": rate, "episodes": 100, "random": 0.0, "noop": 0.0,
            }
            for trials in ("1 trial", "5 trials", "10 trials", "50 trials")
            for prior, of_seeds in rates.items()
            for seed, rate in enumerate(of_seeds)
        ]
    )  # fmt: skip
    spread = REPRODUCTIONS["figure-6"].compare(rows)[-1]
    assert spread.statement == "GridWorld: standard deviation over 2 seeds"
    assert spread.ours == "0.141 with prior, 0.566 without prior"


def test_a_figure_says_what_it_is_not(made):
    quick = REPRODUCTIONS["figure-4"].quick
    svg = (made("figure-4")[1] / "figure-4.svg").read_text()
    assert "Not the published scale" in svg
    assert quick.described() not in svg


@pytest.mark.slow
@pytest.mark.parametrize("name", ["figure-3a", "appendix-a1"])
def test_small_worlds_agree_with_the_paper_at_the_quick_scale(name, tmp_path):
    row = REPRODUCTIONS[name]
    scale = row.quick.but(seeds=(0, 1, 2), looks=1)  # fewer seeds decide nothing
    rows = row.collect(scale, Workshop(tmp_path, command="", device="cpu"))
    verdicts = {comparison.statement: comparison.agrees for comparison in row.compare(rows)}
    # Where one trial reaches nearly all goals already, more of them prove nothing.
    assert "yes" in verdicts.values(), verdicts
    assert "no" not in verdicts.values(), verdicts


@pytest.mark.slow
def test_every_task_runs_with_every_agent(tmp_path):
    """All 21 tasks of the paper × the three agents: a few steps, short episodes, small networks."""
    published = REPRODUCTIONS["table-1"].published
    scale = dataclasses.replace(
        tiny("table-1"),
        tasks=published.tasks,
        agents=("glamor", "gcsl", "discern"),
        steps=96,
        preset="compact",
        settings=TINY | {"policy_kwargs": {"encoder": "tiny"}},
        env_kwargs={"render_profile": "fast", "horizon": 6},
        n_envs=4,
    )
    workshop = Workshop(tmp_path, command="glamor-gym reproduce table-1", device="cpu")
    rows = REPRODUCTIONS["table-1"].collect(scale, workshop)
    assert len(rows) == 21 * 3
    assert rows["success_rate"].between(0, 1).all()
    runs = list(workshop.used.values())
    write_outcome(
        tmp_path / "table-1", REPRODUCTIONS["table-1"], scale, rows, command="", runs=runs
    )
