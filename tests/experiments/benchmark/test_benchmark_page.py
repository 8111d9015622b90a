from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from glamor_gym.evaluation import RunFolder
from glamor_gym.experiments.benchmark import report
from glamor_gym.experiments.benchmark.report import render_benchmark, unequal_steps
from glamor_gym.experiments.results import CURVE_COLUMNS, RESULT_COLUMNS, run_pages
from glamor_gym.types import EpisodeFrames, EvaluationResult
from tests.browser import opened_page, pictures_that_failed

RNG = np.random.default_rng(0)
COMMANDS = ["glamor-gym benchmark --tasks <a & b>"]
RATES = {("Pong", "glamor"): (0.4, 0.6), ("Pong", "gcsl"): (0.2, 0.3), ("Pong", "random"): (0.1,)}


def result(rate, reaches):
    frames = RNG.integers(0, 256, (5, 80, 104), dtype=np.uint8)
    return EvaluationResult(
        task="glamor/Pong-v0",
        success_rate=rate,
        confidence_interval=(0.0, 1.0),
        image_match_rate=0.0,
        per_goal=dict.fromkeys(range(30), rate),
        per_label={},
        random=0.1,
        noop=0.0,
        random_interval=(0.0, 0.2),
        noop_interval=(0.0, 0.1),
        reached_rate=rate,
        mean_length=40.0,
        episodes=30,
        seed=0,
        goals_hash="",
        goals="eval",
        env_kwargs={},
        distances={goal: goal / 30 for goal in range(30)},
        frames=[
            EpisodeFrames(goal_index=goal, goal=frames[0], frames=frames, success=goal in reaches)
            for goal in (0, 5, 9)
        ],
    )


RUNS = {
    (task, agent, seed): result(rate, reaches={5} if agent == "glamor" else {9})
    for (task, agent), rates in RATES.items()
    for seed, rate in enumerate(rates)
}
RESULTS = pd.DataFrame(
    [
        {
            "task": task,
            "agent": agent,
            "seed": seed,
            "preset": "compact",
            "state": "finished",
            "steps": 0 if agent == "random" else 1_000,
            "success_rate": found.success_rate,
            "success_low": found.success_rate - 0.07,
            "success_high": found.success_rate + 0.16,
            "episodes": 30,
            "random": 0.1,
            "noop": 0.0,
            "train_minutes": 2.5,
            "hardware": "2 CPU cores",
            "commit": "abc" if agent != "random" else "",
            "versions": "torch 2.1" if seed else "torch 2.0",
            "error": "",
            "folder": f"{task}-{agent}-{seed}",
        }
        for (task, agent, seed), found in RUNS.items()
    ]
    + [
        {
            "task": "Qbert",
            "agent": "glamor",
            "seed": 0,
            "state": "failed",
            "steps": 0,
            "error": "MemoryError: too <large>",
            "folder": "Qbert-glamor-0",
        }
    ],
    columns=pd.Index(RESULT_COLUMNS),
)
CURVES = pd.DataFrame(
    [
        (task, agent, seed, step, found.success_rate * step / 1_000, 0.0, 1.0)
        for (task, agent, seed), found in RUNS.items()
        for step in ((0,) if agent == "random" else (500, 1_000))
    ],
    columns=pd.Index(CURVE_COLUMNS),
)


PAGES = {"Pong-glamor-1": "../runs/Pong-glamor-1/report.html"}


def rendered(results=RESULTS, curves=CURVES, runs=RUNS, pages=PAGES):
    folders = {
        key: SimpleNamespace(evaluation=lambda found=found, **_: found)
        for key, found in runs.items()
    }
    return render_benchmark(COMMANDS, results, curves, folders, pages)


@pytest.fixture(scope="module")
def page():
    return rendered()


@pytest.fixture(scope="module")
def words(page):
    text = re.sub(r"<style>.*</style>|<[^>]*>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize(
    "told",
    [
        "GLAMOR, GCSL, random",
        "on 2 tasks, 1,000 environment steps each, seeds 0, 1; 5 of 6 runs finished",
        # Of the random agent there is one seed, of the others two.
        "(Pong) and the seeds that it has finished on all of them "
        "(seeds: GLAMOR 0, 1; GCSL 0, 1; random 0); thin lines",
        "Qbert, GLAMOR, seed 0 MemoryError: too &lt;large&gt;",
        # Mean and standard deviation by hand; of the one random run, its Wilson interval.
        "Pong 0.50 (0.14) 0.25 (0.07) 0.10 0.03–0.26 0.44 (0.20) 0.21 (0.08) 0.28 (0.06)",
        "Qbert – – – 0.83 (0.03)",
        "Pong GLAMOR compact 1 finished 1,000 60% 10% 0% 2.5 Pong-glamor-1",
        "Qbert GLAMOR – 0 failed 0",
        "glamor-gym benchmark --tasks &lt;a &amp; b&gt;",
        "Commits abc (4 runs) not known (1 run)",
        "Versions torch 2.0 (3 runs) torch 2.1 (2 runs)",
        "Hardware 2 CPU cores (5 runs)",
        # Of the goals that all recorded, 5 is the first on which they differ most.
        "Pong, goal 5 the goal GLAMOR reached GCSL missed random missed",
    ],
)
def test_the_page_says(words, told):
    assert told in words


@pytest.mark.parametrize(("seeds", "cautions"), [(1, False), (2, True), (4, True), (5, False)])
def test_intervals_over_few_seeds_are_said_to_be_narrow(seeds, cautions):
    results = pd.concat([RESULTS[:1].assign(seed=seed) for seed in range(seeds)])
    page = rendered(results, CURVES[:2], runs={})
    assert ("too narrow with fewer than 5 of them" in page) == cautions


def test_the_best_that_learned_is_marked(page):
    best = re.findall(r'<td class="best">([\d.]+)', page)
    assert best == ["0.50"]


def test_a_run_without_a_page_has_no_link(page):
    assert re.findall(r'href="([^"]*)"', page) == list(PAGES.values())


def test_pages_of_runs_are_found_from_where_they_are_linked(tmp_path):
    folders = [RunFolder(tmp_path / "runs" / name) for name in ("a", "b")]
    folders[0].path.mkdir(parents=True)
    folders[0].report_file.write_text("")
    assert run_pages(folders, tmp_path) == {"a": "runs/a/report.html"}
    assert run_pages(folders, tmp_path / "table-1") == {"a": "../runs/a/report.html"}


def test_the_page_needs_nothing_but_itself(page):
    sources = re.findall(r'(?:src|srcset)="([^"]*)"', page)
    assert len(sources) > 5
    assert all(source.startswith("data:") for source in sources)
    assert "<script" not in page


def test_nothing_that_failed_is_drawn():
    only_failed = RESULTS[RESULTS["state"] == "failed"]
    page = rendered(only_failed, CURVES.iloc[:0], {}, {})
    assert "Final success rates" not in page
    assert "MemoryError" in page


def test_a_run_that_does_not_tell_its_task_has_failed_and_adds_none():
    unnamed = RESULTS.tail(1).assign(task="", agent="", seed=7, folder="unnamed")
    page = rendered(pd.concat([RESULTS, unnamed]))
    assert "on 2 tasks, 1,000 environment steps each, seeds 0, 1; 5 of 7 runs finished" in page
    assert '<th scope="row">unnamed</th>' in page


def test_the_page_renders_and_its_films_play(tmp_path, page):
    file = tmp_path / "report.html"
    file.write_text(page)
    with opened_page(file) as (shown, faults):
        assert pictures_that_failed(shown) == []
        assert shown.locator("h1").inner_text() == "GLAMOR, GCSL, random"
        assert shown.evaluate("document.querySelectorAll('video').length") in (0, 3)
    assert faults == []


def test_runs_of_seeds_that_are_not_on_all_tasks_are_counted():
    more = RESULTS[(RESULTS["state"] == "finished") & (RESULTS["agent"] == "glamor")]
    qbert = more[more["seed"] == 1].assign(task="Qbert")
    page = rendered(pd.concat([more, qbert]), CURVES.iloc[:0], {}, {})
    assert "(seeds: 1; 1 finished run of other seeds left out)" in page


def test_distances_are_those_of_the_runs_that_are_compared(monkeypatch):
    drawn = {}
    monkeypatch.setattr(report, "distance_curves", lambda found: drawn.update(found))
    others = {("Qbert", "glamor", 0): result(0.0, {}), ("Pong", "glamor", 7): result(0.0, {})}
    rendered(runs={**RUNS, **others})
    rates = {agent: [each.success_rate for each in found] for agent, found in drawn.items()}
    assert rates == {"glamor": [0.4, 0.6], "gcsl": [0.2, 0.3], "random": [0.1]}


def test_ends_at_different_steps_are_told(page):
    told = "Runs of GLAMOR ended at different steps: the last point averages"
    assert told not in page
    late = (CURVES["agent"] == "glamor") & (CURVES["seed"] == 1) & (CURVES["step"] == 1_000)
    curves = CURVES.assign(step=CURVES["step"].mask(late, 900))
    assert told in rendered(curves=curves)


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([1_000, 1_000, 1_000, 1_000, 0], ""),
        ([1_000, 1_004, 1_000, 1_000, 0], ""),  # parallel environments take steps together
        ([4_000, 4_000, 1_000, 1_000, 0], "GLAMOR 4,000; GCSL 1,000"),
        ([4_000, 1_000, 1_000, 1_000, 0], "GLAMOR 1,000 to 4,000; GCSL 1,000"),
    ],
)
def test_agents_of_different_steps_are_not_ranked_silently(steps, told):
    results = RESULTS.assign(steps=[*steps, 7])  # the last has failed
    assert unequal_steps(results, ["Pong"]) == told
    assert unequal_steps(results, []) == ""
    line = f"Not all took the same number of steps: {told}."
    assert (line in rendered(results)) == bool(told)


def test_runs_without_an_update_are_told(page):
    told = "their agents learned nothing: Pong-glamor-0."
    assert told not in page
    first = RESULTS["folder"] == "Pong-glamor-0"
    results = RESULTS.assign(updates=[0 if it else 7 for it in first])
    assert told in rendered(results)


def test_one_seed_is_said_to_be_one():
    first = RESULTS[RESULTS["seed"] == 0]
    page = rendered(first, CURVES[CURVES["seed"] == 0], RUNS, {})
    assert "one seed each, which gives no interval over seeds" in page
